export { logPino } from './log-pino.ts';
export type { LogPinoOptions } from './log-pino.ts';
