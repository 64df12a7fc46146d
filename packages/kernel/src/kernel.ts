/** Makes kernels: one for a scan directory, as svscan, or one for a single service, as supervise. */
import { KernelError } from './errors.ts';
import type { Core } from './core.ts';
import { createHooks } from './hooks.ts';
import type { KernelHooks, Report, ReportLevel } from './hooks.ts';
import type { Logger, Plugin, ReportAbout } from './plugin/contract.ts';
import { applyPlugins } from './plugin/host.ts';
import type { HeldDirectory, Ports, SpawnPlan } from './ports.ts';
import { labelOf } from './scan/label.ts';
import { ScanLoop } from './scan/loop.ts';
import { Service } from './supervise/service.ts';
import { ServiceSink } from './supervise/sink.ts';

/** What a kernel is made of. */
export interface KernelOptions {
  /** The scan directory, or the service directory. */
  readonly path: Buffer;
  readonly plugins: readonly Plugin[];
  readonly ports: Ports;
  /** What every start is made of before plugins change it: the caller's environment, descriptors, limits, signals. */
  readonly basePlan: SpawnPlan;
  /** The directory that holds the runtime directories of all kernels, e.g. `/run/daemontap`. Made when missing. */
  readonly runtimeRoot: string;
  /** Until a service that was told to stop is killed, in milliseconds; `undefined`: it never is. */
  readonly stopTimeoutMs: number | undefined;
}

/** A running supervisor. */
export interface Kernel {
  /** Looks at the scan directory now. */
  requestScan(): void;
  /** Stops every service in order. */
  stop(): void;
  /** Resolves when nothing is supervised any more; it never rejects. */
  readonly done: Promise<void>;
}

/**
 * Supervises every service of a scan directory until it is stopped.
 * @throws `NO_DIRECTORY`, `ROOT_DIRECTORY`, `PLUGIN_FAILED`, `PLUGIN_NAME_TAKEN`
 * @example
 * const kernel = superviseScanDirectory({ ...system, path: Buffer.from('/service'), plugins: daemontools(), … });
 * process.on('SIGTERM', () => kernel.stop());
 * await kernel.done; // `runningSystem` of @daemontap/preset makes the system
 */
export function superviseScanDirectory(options: KernelOptions): Kernel {
  return holding(options, (held) => {
    if (held.identity === options.ports.files.rootIdentity()) {
      throw new KernelError('ROOT_DIRECTORY', 'unable to scan /: it is the root directory and holds no services');
    }
    const { core, close } = createCore({ ...options, held, program: 'svscan' });
    const loop = new ScanLoop(core, held);
    loop.start();
    return { requestScan: () => loop.requestScan(), stop: () => loop.stop(), done: loop.done.then(close) };
  });
}

/**
 * Supervises one service until `x` and its end. Stopping waits for the service for as long as it takes.
 * @throws `NO_DIRECTORY`, `LOCK_HELD`, `STAT_FAILED`, `PLUGIN_FAILED`, `PLUGIN_NAME_TAKEN`, or a control transport's
 */
export function superviseService(options: KernelOptions): Kernel {
  return holding(options, (held) => {
    const { core, close } = createCore({ ...options, held, program: 'supervise' });
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const label = labelOf(options.path);
    const directory = { label, role: 'service', hasLog: false, identity: held.identity, path: held.path } as const;
    const sink = new ServiceSink(core);
    const service = new Service({
      core,
      directory,
      held,
      settles: false,
      sink: () => sink.of(directory),
      onChange({ phase }) {
        if (phase !== 'gone') return;
        sink.close();
        resolve();
      },
    });
    return { requestScan() {}, stop: () => service.leave(), done: done.then(close) };
  });
}

/** Holds the directory for a kernel, and lets go of it where none comes about. */
function holding({ path, ports }: KernelOptions, make: (held: HeldDirectory) => Kernel): Kernel {
  let held: HeldDirectory;
  try {
    held = ports.files.hold(path);
  } catch (cause) {
    throw new KernelError('NO_DIRECTORY', `unable to chdir to ${labelOf(path)}`, { cause });
  }
  try {
    return make(held);
  } catch (error) {
    held.close();
    throw error;
  }
}

function createCore(
  options: KernelOptions & { readonly held: HeldDirectory; readonly program: 'svscan' | 'supervise' },
): { readonly core: Core; close(): void } {
  const { ports, plugins, basePlan, runtimeRoot, held, stopTimeoutMs } = options;
  const hooks = createHooks();
  const log = createLogger(hooks, options.program);
  const runtimePath = `${runtimeRoot}/${held.identity}`;
  let isMade = false;
  const runtimeDir = (): string => {
    // Each time: whoever tidies up /tmp may have removed it.
    for (const path of [runtimeRoot, runtimePath]) ports.files.makeRuntimeDir(path);
    isMade = true;
    return runtimePath;
  };
  const { clock, readiness } = ports;
  applyPlugins(plugins, { hooks, log, clock, readiness, runtimeDir });
  const stopTimeoutNs = stopTimeoutMs === undefined ? undefined : BigInt(Math.round(stopTimeoutMs * 1e6));
  return {
    core: { hooks, ports, log, basePlan, stopTimeoutNs },
    close() {
      if (isMade) ports.files.removeRuntimeDir(runtimePath);
      held.close();
    },
  };
}

function createLogger(hooks: KernelHooks, program: Report['program']): Logger {
  const say =
    (level: ReportLevel) =>
    (message: string, { cause, service }: ReportAbout = {}): void => {
      const by = service === undefined ? program : 'supervise';
      hooks.reported.call({ level, program: by, message, cause, service: service?.label });
    };
  return { fatal: say('fatal'), warning: say('warning'), info: say('info'), debug: say('debug') };
}
