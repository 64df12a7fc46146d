export { logMultilog } from './log-multilog.ts';
export type { LogMultilogOptions } from './log-multilog.ts';
export { runMultilogHost } from './multilog-host.ts';
