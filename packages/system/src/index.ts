export type { PreparingProgram } from './prepared.ts';
export { runningSystem } from './running-system.ts';
export type { RunningSystem } from './running-system.ts';
