export { KernelError, systemCode } from './errors.ts';
export type { KernelErrorCode } from './errors.ts';
export type {
  ControlPort,
  KernelHooks,
  LeftService,
  LogSink,
  Report,
  ReportLevel,
  ScanWatch,
  ServiceDirectory,
  ServiceStatus,
  Successor,
} from './hooks.ts';
export { checkPlugins, superviseScanDirectory, superviseService } from './kernel.ts';
export type { Kernel, KernelOptions } from './kernel.ts';
export { API_VERSION } from './plugin/contract.ts';
export type {
  HelperOptions,
  Logger,
  Plugin,
  PluginHooks,
  PluginKernel,
  PluginSource,
  ReportAbout,
} from './plugin/contract.ts';
export { definePlugin } from './plugin/define.ts';
export type {
  DefinedPluginKernel,
  PluginDefinition,
  PluginFactory,
  SchemaIssue,
  SchemaResult,
  StandardSchema,
} from './plugin/define.ts';
export type { HookProfile } from './plugin/guard.ts';
export type { PluginChanges, PluginProfile } from './plugin/host.ts';
export { defineConfig, definePreset } from './plugin/stack.ts';
export type { Config, PluginEntry, Preset } from './plugin/stack.ts';
export type {
  Adopted,
  Clock,
  Closeable,
  Files,
  HeldDirectory,
  LimitedResource,
  Ports,
  ProcessAccount,
  ProcessEnd,
  ProcessIdentity,
  Processes,
  Readiness,
  ScanEntry,
  ServiceSignal,
  SpawnPlan,
} from './ports.ts';
export { labelOf } from './scan/label.ts';
export type { Command } from './supervise/commands.ts';
export type { Want } from './supervise/machine.ts';
