/** One plugin without a kernel: a test calls what it has tapped, and sees what it says. */
import type { Logger, Plugin, PluginHooks, PluginKernel, ReportAbout, ReportLevel } from '@daemontap/kernel';
import { FakeReadiness } from './fake-readiness.ts';
import { SimulatedClock } from './simulated-clock.ts';

/** What a tap of a hook is called with. */
export type HookArguments<K extends keyof PluginHooks> = Parameters<Parameters<PluginHooks[K]['tap']>[1]>;

/** What a plugin said through its logger. */
export interface Said extends ReportAbout {
  readonly level: ReportLevel;
  readonly message: string;
}

/** A plugin that was applied, and its surroundings. */
export interface AppliedPlugin {
  readonly clock: SimulatedClock;
  readonly readiness: FakeReadiness;
  readonly said: readonly Said[];
  /** Calls every tap of a hook in order and returns what each one returned. @throws what a tap throws */
  call<K extends keyof PluginHooks>(hook: K, ...args: HookArguments<K>): readonly unknown[];
}

/** Where a plugin is applied. */
export interface ApplyAloneOptions {
  /** What `runtimeDir()` answers; default: it throws. */
  readonly runtimeDir?: string;
}

type Tap = (...args: readonly unknown[]) => unknown;

/**
 * Applies a plugin to hooks that only the test calls. There is no guard: what a tap throws reaches the test.
 * @throws what the plugin's `apply` throws
 * @example
 * const plugin = applyAlone(statusFile());
 * plugin.call('statusChanged', service, { pid: 7, paused: false, want: 'up', sinceNs: 0n });
 */
export function applyAlone(plugin: Plugin, { runtimeDir }: ApplyAloneOptions = {}): AppliedPlugin {
  const taps = new Map<string, Tap[]>();
  const said: Said[] = [];
  const clock = new SimulatedClock();
  const readiness = new FakeReadiness();
  const add = (hook: string) => (_options: unknown, tap: Tap) => {
    taps.set(hook, [...(taps.get(hook) ?? []), tap]);
  };
  // Answers for every name as the kernel's hooks do: there is nothing else to a view that can only be tapped.
  const hooks = new Proxy({} as PluginHooks, {
    get: (_target, name) => ({ tap: add(String(name)), tapPromise: add(String(name)) }),
  });
  const say =
    (level: ReportLevel) =>
    (message: string, about: ReportAbout = {}): void =>
      void said.push({ level, message, ...about });
  const log: Logger = { fatal: say('fatal'), warning: say('warning'), info: say('info'), debug: say('debug') };
  const kernel: PluginKernel = {
    hooks,
    log,
    clock,
    readiness,
    runtimeDir() {
      if (runtimeDir === undefined) throw new Error('unable to make a runtime directory: the test gave none');
      return runtimeDir;
    },
  };
  plugin.apply(kernel);
  return {
    clock,
    readiness,
    said,
    call: (hook, ...args) => (taps.get(hook) ?? []).map((tap) => tap(...args)),
  };
}
