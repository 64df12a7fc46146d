export { logStderr } from './log-stderr.ts';
export type { LogStderrOptions } from './log-stderr.ts';
