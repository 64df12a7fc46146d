export { logStdout } from './log-stdout.ts';
export type { LogStdoutOptions } from './log-stdout.ts';
export { runStdoutHost } from './stdout-host.ts';
