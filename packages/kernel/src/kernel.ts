/** Makes kernels: one for a scan directory, as svscan, or one for a single service, as supervise. */
import { KernelError } from './errors.ts';
import type { Core } from './core.ts';
import type { KernelHooks } from './hooks.ts';
import type { Logger, Plugin } from './plugin/contract.ts';
import { PluginHost } from './plugin/host.ts';
import type { PluginChanges, PluginHostOptions, PluginProfile } from './plugin/host.ts';
import type { HeldDirectory, Ports, SpawnPlan } from './ports.ts';
import { labelOf } from './scan/label.ts';
import { ScanLoop } from './scan/loop.ts';
import { Helpers } from './supervise/helpers.ts';
import { Service } from './supervise/service.ts';
import { ServiceSink } from './supervise/sink.ts';

/** What a kernel is made of. */
export interface KernelOptions {
  /** The scan directory, or the service directory. */
  readonly path: Buffer;
  /** In the order in which they are applied, asked and told. */
  readonly plugins: readonly Plugin[];
  readonly ports: Ports;
  /** What every start is made of before plugins change it: the caller's environment, descriptors, limits, signals. */
  readonly basePlan: SpawnPlan;
  /** The directory that holds the runtime directories of all kernels, e.g. `/run/daemontap`. Made when missing. */
  readonly runtimeRoot: string;
  /** Until a service that was told to stop is killed, in milliseconds; `undefined`: it never is. */
  readonly stopTimeoutMs: number | undefined;
  /** What the configuration says for one plugin and one service alone; default: nothing. */
  readonly serviceOptions?: PluginHostOptions['serviceOptions'];
}

/** A running supervisor. */
export interface Kernel {
  /** Looks at the scan directory now. */
  requestScan(): void;
  /** Stops every service in order. */
  stop(): void;
  /**
   * Goes on with these plugins. Who is the very same object as before is left alone, and what others have open is closed;
   * no service notices. Output goes where the new ones say from each service's next start on.
   * @throws `PLUGIN_NAME_TAKEN`, `PLUGIN_API`, `PLUGIN_MISSING`, `PLUGIN_FAILED`; all is as before then
   */
  replacePlugins(plugins: readonly Plugin[]): PluginChanges;
  /** Says something in the kernel's name. */
  readonly log: Logger;
  /** What the plugins' taps have cost until now. */
  profiles(): readonly PluginProfile[];
  /** Resolves when nothing is supervised any more; it never rejects. */
  readonly done: Promise<void>;
}

/**
 * Supervises every service of a scan directory until it is stopped.
 * @throws `NO_DIRECTORY`, `ROOT_DIRECTORY`, and what {@link Kernel.replacePlugins} throws
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
    const { core, host, helpers, close } = createCore({ ...options, held, program: 'svscan' });
    const loop = new ScanLoop(core, held);
    loop.start();
    return {
      ...pluginsOf(host, [loop, helpers]),
      requestScan: () => loop.requestScan(),
      stop: () => loop.stop(),
      done: loop.done.then(close),
    };
  });
}

/**
 * Supervises one service until `x` and its end. Stopping waits for the service for as long as it takes.
 * @throws `NO_DIRECTORY`, `LOCK_HELD`, `STAT_FAILED`, a control transport's, and what {@link Kernel.replacePlugins} throws
 */
export function superviseService(options: KernelOptions): Kernel {
  return holding(options, (held) => {
    const { core, host, helpers, close } = createCore({ ...options, held, program: 'supervise' });
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
    return {
      ...pluginsOf(host, [{ meet: (hooks) => (sink.renew(), service.meet(hooks)) }, helpers]),
      requestScan() {},
      stop: () => service.leave(),
      done: done.then(close),
    };
  });
}

/**
 * Applies plugins to no kernel, to see whether one would take them: `apply` opens nothing and starts nothing.
 * @throws what {@link Kernel.replacePlugins} throws
 */
export function checkPlugins(plugins: readonly Plugin[]): void {
  const nothing = { close() {} };
  const host = new PluginHost({
    program: 'svscan',
    clock: { monotonicNs: () => 0n, wallNs: () => 0n, wakeAt: () => nothing },
    readiness: { watchReadable: () => nothing },
    stateDir() {
      throw new Error('there is no kernel, and so no state directory');
    },
    serviceOptions: () => ({}),
    supervise() {
      throw new Error('there is no kernel, and so nothing is supervised');
    },
  });
  host.replace(plugins);
  host.close();
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
): { readonly core: Core; readonly host: PluginHost; readonly helpers: Helpers; close(): Promise<void> } {
  const { ports, plugins, basePlan, runtimeRoot, held, stopTimeoutMs, program } = options;
  const { clock, readiness, files } = ports;
  const runtimePath = `${runtimeRoot}/${held.identity}`;
  const made = new Set<string>();
  const host = new PluginHost({
    program,
    clock,
    readiness,
    stateDir(plugin) {
      const statePath = `${runtimePath}/${plugin.replaceAll('/', '+')}`;
      // Each time: whoever tidies up /tmp may have removed it.
      for (const path of [runtimeRoot, runtimePath, statePath]) files.makeRuntimeDir(path);
      made.add(statePath);
      return statePath;
    },
    serviceOptions: options.serviceOptions ?? (() => ({})),
    supervise: (plugin, helper) => helpers.open(plugin, helper),
  });
  const core: Core = {
    get hooks() {
      return host.hooks;
    },
    ports,
    log: host.log,
    basePlan,
    stopTimeoutNs: stopTimeoutMs === undefined ? undefined : BigInt(Math.round(stopTimeoutMs * 1e6)),
  };
  const helpers = new Helpers(core);
  host.replace(plugins);
  return {
    core,
    host,
    helpers,
    async close() {
      host.close(({ isHelper }) => isHelper); // else the one would wait for the other
      await helpers.stop(); // what services have written last goes through them
      host.close();
      for (const path of made.size > 0 ? [...made, runtimePath] : []) files.removeRuntimeDir(path);
      held.close();
    },
  };
}

/** The part of a kernel that is about its plugins. */
function pluginsOf(
  host: PluginHost,
  supervised: readonly { meet(hooks: KernelHooks): void }[],
): Pick<Kernel, 'log' | 'replacePlugins' | 'profiles'> {
  return {
    log: host.log,
    profiles: () => host.profiles,
    replacePlugins(plugins) {
      const { addedHooks, ...changes } = host.replace(plugins);
      for (const each of supervised) each.meet(addedHooks);
      return changes;
    },
  };
}
