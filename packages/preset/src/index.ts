export { daemontools } from './daemontools.ts';
export type { DaemontoolsOptions } from './daemontools.ts';
