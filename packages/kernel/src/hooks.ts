/**
 * The kernel's hooks: all of them, and their only description. An imperative asks, a past participle tells.
 * Plugins tap; the kernel alone calls.
 */
import { AsyncSeriesBailHook, AsyncSeriesWaterfallHook, SyncBailHook, SyncHook } from 'tapable';
import type { Closeable, ProcessEnd, ProcessIdentity, SpawnPlan } from './ports.ts';
import type { Command } from './supervise/commands.ts';
import type { Want } from './supervise/machine.ts';

/** A service directory under supervision, as plugins see it. */
export interface ServiceDirectory {
  /** For messages: `finger`, `finger/log`, or what `supervise` was called with. One line, whatever the name holds. */
  readonly label: string;
  /** `log` for the log/ directory of another service; `helper` for a process that a plugin has asked for. */
  readonly role: 'service' | 'log' | 'helper';
  /** The plugin whose helper it is. Only it, and who asks for that (`meetsHelpers`), is asked and told about it. */
  readonly plugin?: string;
  /** True for a service that has a log/ directory. */
  readonly hasLog: boolean;
  /** Device and inode of the service's own directory, of the main one for a log service: `DEV-INO`. */
  readonly identity: string;
  /** A path that leads to the directory for as long as it is supervised, whatever it is called meanwhile. */
  readonly path: string;
}

/** What a service is at a moment: what `svstat` shows. */
export interface ServiceStatus {
  /** `undefined`: no process. */
  readonly pid: number | undefined;
  /** True after `svc -p`, until `svc -c` or the next start. */
  readonly paused: boolean;
  /** What was asked for, whatever is. */
  readonly want: Want;
  /** When the pid last changed, or supervision began; wall clock. */
  readonly sinceNs: bigint;
  /** True while a start is due or under way. */
  readonly startDue: boolean;
  /** True after `svc -x`: supervision ends with the process. */
  readonly leaving: boolean;
}

/** What an earlier kernel, which did not stop in order, has left of a service. */
export interface LeftService {
  /** The process that ran last; it may have ended since. `undefined`: none did. */
  readonly process: ProcessIdentity | undefined;
  /** What was asked for, whatever is. */
  readonly want: Want;
  /** When its process began, or ended where there was none; wall clock. */
  readonly sinceNs: bigint;
  /** True where a start was due or had not begun. */
  readonly startDue: boolean;
  /** True after `svc -x`. */
  readonly leaving: boolean;
  /** True where the process was about to be told to stop, and may not have been. */
  readonly stopDue: boolean;
}

/** What a service goes on as. `later`: it goes on, and as which process is not to be told yet. */
export type Successor = ProcessIdentity | 'later';

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
  /** How grave it is. */
  readonly level: ReportLevel;
  /** Who says it, in daemontools' terms. */
  readonly program: 'svscan' | 'supervise';
  /** The plugin that says it, where a configuration names it; `undefined`: the kernel, or one of its own. */
  readonly plugin: string | undefined;
  /** Without its reason: that is the `cause`. */
  readonly message: string;
  /** The reason: an error, or `undefined`. */
  readonly cause: unknown;
  /** The service's label, when it is about one. */
  readonly service: string | undefined;
}

/** All hooks. `npm run docs` makes docs/hooks.md of this: the tags are rows, kind and deadline it finds in the code. */
export interface KernelHooks {
  /**
   * Asks where a service's output goes. First sink wins; `undefined` passes: output goes where the kernel's goes.
   * @calledBy A service or its log service, whichever starts first, for both. `service` is never the log service.
   * @failure It is reported, and the next plugin is asked; the next start asks again. A `KernelError` is a refusal: this
   * start is refused, and no further plugin is asked.
   * @before The lock is held and the control transports listen.
   * @after `prepareSpawn` follows, without waiting for a sink that is promised. The sink serves all later starts; only
   * a `log/` that comes later, or other plugins, are a reason to ask again. Where there is none the next start asks
   * again. It is closed once both services are released for good.
   */
  readonly openLogSink: AsyncSeriesBailHook<[service: ServiceDirectory], LogSink | undefined>;
  /**
   * Asks how to start `./run`. Each tap returns the plan for the next tap; one that fails refuses this start.
   * @calledBy A service or a log service, before each of its starts. The first tap is given the kernel's own plan.
   * @failure This start is refused, never half-prepared, and no further plugin is asked. `startFailed` follows.
   * @before `openLogSink` has been called, at this start or an earlier one; its sink may still be promised.
   * @after `./run` is started once plan and sink are there: `serviceStarted` or `startFailed` follows, or neither when
   * the service is no longer wanted by then.
   */
  readonly prepareSpawn: AsyncSeriesWaterfallHook<[plan: SpawnPlan, service: ServiceDirectory]>;
  /**
   * Asks what an earlier kernel has left of the service. First answer wins.
   * @calledBy A service or a log service, when its supervision begins.
   * @failure Supervision does not begin until the next scan, and no further plugin is asked: what was started blindly may
   * run already.
   * @before `supervise/lock` is held. This is the first hook of each supervision.
   * @after A process that is there still is taken over as it is, without a start. Where there is none `findSuccessor`
   * follows; then what is wanted is started again. What the earlier kernel knew counts, not a file `down`. `openControl`
   * is next.
   */
  readonly findRunning: SyncBailHook<[service: ServiceDirectory], LeftService | undefined>;
  /**
   * Asks whether a service goes on as another process, now that the one that was known has ended. First answer wins;
   * `undefined` passes: it has ended. It must be answered from what is there, not from memory: the end may have come
   * while no kernel ran, and then `pid` may be unknown.
   * @calledBy A service or a log service, as soon as the system tells that its process has ended; and when its
   * supervision begins and no process is there.
   * @failure It is reported, no further plugin is asked, and the service counts as up until one answers: each second all are asked
   * again. When supervision begins it does not, until the next scan.
   * @before Nothing tells of the end. `findRunning` was answered, when supervision begins.
   * @after With a process, it is taken over and `statusChanged` follows, with its pid; it is told to stop where the service
   * is wanted down. With `later`, each second all are asked again; signals reach nobody, and KILL, where the service is
   * wanted down, gives it up as ended. Without an answer `serviceEnded` follows.
   */
  readonly findSuccessor: SyncBailHook<[service: ServiceDirectory, pid: number | undefined], Successor | undefined>;
  /**
   * Asks every control transport to listen.
   * @calledBy A service or a log service, when its supervision begins.
   * @failure It is reported, and the next plugin is asked. A `KernelError` that is thrown is a refusal: no further plugin
   * is asked, what was opened is closed, the lock too, supervision ends until the next scan, and `supervise` ends.
   * @before `supervise/lock` is held; `findRunning` was answered, and `findSuccessor` where that was asked.
   * @after The first start follows, unless the service runs already, a file `down` lies there or the directory is still
   * being filled. Commands may come from now on. What was handed over is closed when supervision ends, before `serviceReleased`. A plugin that
   * comes with a change of the configuration is asked for each service that is supervised, and then told its status.
   */
  readonly openControl: SyncHook<[service: ServiceDirectory, control: ControlPort]>;
  /**
   * Asks for watchers that hurry the scan. The timed scan stays the truth, so one that throws is only reported.
   * @calledBy The scan loop of `svscan`, once for each plugin. `supervise` has none.
   * @failure It is reported, and the next plugin is asked.
   * @before All plugins are applied, and nothing is supervised yet.
   * @after The first scan follows at once. Watchers are closed when the kernel is told to stop, before any service is.
   */
  readonly watchScanDirectory: SyncHook<[watch: ScanWatch]>;
  /**
   * Tells what a service is now: when its supervision begins, after every change, and after every command about it.
   * Changes that follow from each other at once are one.
   * @calledBy A service or a log service, when it has handled all that is at hand, and when it is released.
   * @before `serviceStarted`, `startFailed` or `serviceEnded`, where the change is one of these.
   * @after Nothing follows from it. After the last one comes `serviceReleased`.
   */
  readonly statusChanged: SyncHook<[service: ServiceDirectory, status: ServiceStatus]>;
  /**
   * Tells that `./run` has started.
   * @calledBy A service or a log service, once the system has given it a pid.
   * @before `prepareSpawn` was answered. The kernel has closed its side of what the sink opened for this start.
   * @after `statusChanged` follows, with the pid.
   */
  readonly serviceStarted: SyncHook<[service: ServiceDirectory, pid: number]>;
  /**
   * Tells that `./run` could not be started, and why.
   * @calledBy A service or a log service, when a plugin or the system has refused a start.
   * @before `reported` was called with the reason.
   * @after `statusChanged` follows. A service wanted up is tried again a second later; one wanted once only where the
   * system was out of something.
   */
  readonly startFailed: SyncHook<[service: ServiceDirectory, error: unknown]>;
  /**
   * Tells what is done next: `./run` is started, or its process is told to stop by TERM and CONT. A kernel that is ended
   * before it can tell that it was done leaves a plugin that knows at least this.
   * @calledBy A service or a log service, just before the system call.
   * @before `prepareSpawn` and `openLogSink` were answered, for a start; a command has come, or the kernel stops, for a stop.
   * @after `serviceStarted` or `startFailed` follows a start, `statusChanged` a stop.
   */
  readonly intended: SyncHook<[service: ServiceDirectory, intent: 'start' | 'stop']>;
  /**
   * Tells that the process has ended, and the service with it. How may be unknown where it was no child of this kernel:
   * `undefined`.
   * @calledBy A service or a log service, as soon as the system tells of the end.
   * @before `findSuccessor` was not answered. The process is gone; the last `statusChanged` still names it.
   * @after `statusChanged` follows. Where the next start follows at once, its hooks come first and both are one change.
   */
  readonly serviceEnded: SyncHook<[service: ServiceDirectory, pid: number, end: ProcessEnd | undefined]>;
  /**
   * Tells that a service is no longer supervised. Its process has ended before.
   * @calledBy A service or a log service, after `x`, or when its directory was removed or the kernel stops.
   * @before The last `statusChanged`; then control transports and lock were closed.
   * @after A scan that still finds the directory begins with `findRunning`; else the sink is closed.
   */
  readonly serviceReleased: SyncHook<[service: ServiceDirectory]>;
  /**
   * Tells what the kernel or a plugin has to say. Tap it to show messages; nothing else does.
   * @calledBy The kernel, and every plugin through the `log` it was given.
   * @failure Is not reported, as there is nobody left to tell; the other plugins are told all the same.
   * @before Any other hook, or none.
   * @after Nothing follows from it. After a start that failed, `startFailed` is called next.
   */
  readonly reported: SyncHook<[report: Report]>;
}

/** The hooks themselves, for the kernel. */
export function createHooks(): KernelHooks {
  return {
    openLogSink: new AsyncSeriesBailHook(['service']),
    prepareSpawn: new AsyncSeriesWaterfallHook(['plan', 'service']),
    findRunning: new SyncBailHook(['service']),
    findSuccessor: new SyncBailHook(['service', 'pid']),
    openControl: new SyncHook(['service', 'control']),
    watchScanDirectory: new SyncHook(['watch']),
    statusChanged: new SyncHook(['service', 'status']),
    serviceStarted: new SyncHook(['service', 'pid']),
    startFailed: new SyncHook(['service', 'error']),
    intended: new SyncHook(['service', 'intent']),
    serviceEnded: new SyncHook(['service', 'pid', 'end']),
    serviceReleased: new SyncHook(['service']),
    reported: new SyncHook(['report']),
  };
}
