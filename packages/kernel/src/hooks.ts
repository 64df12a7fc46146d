/**
 * The kernel's hooks: all of them, and their only description. An imperative asks, a past participle tells.
 * Plugins tap; the kernel alone calls.
 */
import { AsyncSeriesBailHook, AsyncSeriesWaterfallHook, SyncHook } from 'tapable';
import type { Closeable, ProcessEnd, SpawnPlan } from './ports.ts';
import type { Command } from './supervise/commands.ts';
import type { Want } from './supervise/machine.ts';

/** A service directory under supervision, as plugins see it. */
export interface ServiceDirectory {
  /** For messages: `finger`, `finger/log`, or what `supervise` was called with. One line, whatever the name holds. */
  readonly label: string;
  /** `log` for the log/ directory of another service. */
  readonly role: 'service' | 'log';
  /** True for a service that has a log/ directory. */
  readonly hasLog: boolean;
  /** Device and inode of the service's own directory, of the main one for a log: `DEV-INO`. */
  readonly identity: string;
  /** A path that leads to the directory for as long as it is supervised, whatever it is called meanwhile. */
  readonly path: string;
}

/** What a service is at a moment: what `svstat` shows. */
export interface ServiceStatus {
  /** `undefined`: no process. */
  readonly pid: number | undefined;
  readonly paused: boolean;
  readonly want: Want;
  /** When the pid last changed, or supervision began; wall clock. */
  readonly sinceNs: bigint;
}

/** Where a service's output goes, and where its log service reads. Each call of `open…` gives a descriptor anew. */
export interface LogSink extends Closeable {
  /** The service's standard output; the kernel closes its side after the start. */
  openOutput(): number;
  /** The log service's standard input, when the sink has a log service. */
  openInput?(): number;
  /** No output will follow: a reader meets end of file once the last writer is gone. */
  end(): void;
}

/** What a control transport is given for a service. */
export interface ControlPort {
  /** Carries out one command. */
  command(command: Command): void;
  /** Hands over what the transport opened; the kernel closes it when supervision ends. */
  opened(transport: Closeable): void;
}

/** What a watcher of the scan directory is given. */
export interface ScanWatch {
  /** A path that leads to the scan directory. */
  readonly path: string;
  /** Hurries the next scan. It may be called as often as one likes. */
  requestScan(): void;
  /** Hands over what the watcher opened; the kernel closes it when scanning ends. */
  opened(watcher: Closeable): void;
}

/** `fatal` and `warning` are daemontools' words; a supervisor goes on after both. */
export type ReportLevel = 'fatal' | 'warning' | 'info' | 'debug';

/** One message of the kernel or of a plugin. */
export interface Report {
  readonly level: ReportLevel;
  /** Who says it, in daemontools' terms. */
  readonly program: 'svscan' | 'supervise';
  /** Without its reason: that is the `cause`. */
  readonly message: string;
  readonly cause: unknown;
  /** The service's label, when it is about one. */
  readonly service: string | undefined;
}

/** All hooks. */
export interface KernelHooks {
  /** Asks where a service's output goes. First sink wins; `undefined` passes: output goes where the kernel's goes. */
  readonly openLogSink: AsyncSeriesBailHook<[service: ServiceDirectory], LogSink | undefined>;
  /** Asks how to start `./run`. Each tap returns the plan for the next tap; one that fails refuses this start. */
  readonly prepareSpawn: AsyncSeriesWaterfallHook<[plan: SpawnPlan, service: ServiceDirectory]>;
  /** Asks every control transport to listen. One that throws ends this service's supervision until the next scan. */
  readonly openControl: SyncHook<[service: ServiceDirectory, control: ControlPort]>;
  /** Asks for watchers that hurry the scan. The timed scan stays the truth, so one that throws is only reported. */
  readonly watchScanDirectory: SyncHook<[watch: ScanWatch]>;
  /**
   * Tells what a service is now: when its supervision begins, after every change, and after every command about it.
   * Changes that follow from each other at once are one.
   */
  readonly statusChanged: SyncHook<[service: ServiceDirectory, status: ServiceStatus]>;
  /** Tells that `./run` has started. */
  readonly serviceStarted: SyncHook<[service: ServiceDirectory, pid: number]>;
  /** Tells that `./run` could not be started, and why. */
  readonly startFailed: SyncHook<[service: ServiceDirectory, error: unknown]>;
  /** Tells that the process has ended. */
  readonly serviceEnded: SyncHook<[service: ServiceDirectory, pid: number, end: ProcessEnd]>;
  /** Tells that a service is no longer supervised. Its process has ended before. */
  readonly serviceReleased: SyncHook<[service: ServiceDirectory]>;
  /** Tells what the kernel or a plugin has to say. Tap it to show messages; nothing else does. */
  readonly reported: SyncHook<[report: Report]>;
}

/** The hooks themselves, for the kernel. */
export function createHooks(): KernelHooks {
  return {
    openLogSink: new AsyncSeriesBailHook(['service']),
    prepareSpawn: new AsyncSeriesWaterfallHook(['plan', 'service']),
    openControl: new SyncHook(['service', 'control']),
    watchScanDirectory: new SyncHook(['watch']),
    statusChanged: new SyncHook(['service', 'status']),
    serviceStarted: new SyncHook(['service', 'pid']),
    startFailed: new SyncHook(['service', 'error']),
    serviceEnded: new SyncHook(['service', 'pid', 'end']),
    serviceReleased: new SyncHook(['service']),
    reported: new SyncHook(['report']),
  };
}
