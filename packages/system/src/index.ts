export { runningSystem } from './running-system.ts';
export type { RunningSystem } from './running-system.ts';
