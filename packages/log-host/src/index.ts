export { logAccount } from './client/account.ts';
export { openLogHosts } from './client/hosts.ts';
export type { LogHostsOptions, StreamOptions } from './client/hosts.ts';
export { programBeside } from './client/start.ts';
export type { HostedSink, HostedStream, LogHostProgram } from './host/hosted-sink.ts';
export { runLogHost } from './host/run-log-host.ts';
