export { daemontools } from './daemontools.ts';
export type { DaemontoolsOptions } from './daemontools.ts';
export { runningSystem } from './running-system.ts';
export type { RunningSystem } from './running-system.ts';
