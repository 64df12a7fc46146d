export { KernelError, systemCode } from './errors.ts';
export type { KernelErrorCode } from './errors.ts';
export type {
  ControlPort,
  KernelHooks,
  LogSink,
  Report,
  ReportLevel,
  ScanWatch,
  ServiceDirectory,
  ServiceStatus,
} from './hooks.ts';
export { superviseScanDirectory, superviseService } from './kernel.ts';
export type { Kernel, KernelOptions } from './kernel.ts';
export { nodeClock } from './node/clock.ts';
export { nodeFiles } from './node/files.ts';
export type { Logger, Plugin, PluginHooks, PluginKernel, ReportAbout } from './plugin/contract.ts';
export type {
  Clock,
  Closeable,
  Files,
  HeldDirectory,
  Ports,
  ProcessEnd,
  Processes,
  Readiness,
  ScanEntry,
  ServiceSignal,
  SpawnPlan,
} from './ports.ts';
export type { Command } from './supervise/commands.ts';
export type { Want } from './supervise/machine.ts';
