/** One plugin without a kernel: a test calls what it has tapped, and sees what it says. */
import type { Closeable, Logger, Plugin, PluginHooks, PluginKernel, ReportAbout, ReportLevel } from '@daemontap/kernel';
import { FakeReadiness } from './fake-readiness.ts';
import { SimulatedClock } from './simulated-clock.ts';

/** What a tap of a hook is called with. */
export type HookArguments<K extends keyof PluginHooks> = Parameters<Parameters<PluginHooks[K]['tap']>[1]>;

/** What a plugin said through its logger. */
export interface Said extends ReportAbout {
  readonly level: ReportLevel;
  /** Without its reason: that is the `cause`. */
  readonly message: string;
}

/** A plugin that was applied, and its surroundings. */
export interface AppliedPlugin {
  readonly clock: SimulatedClock;
  readonly readiness: FakeReadiness;
  readonly said: readonly Said[];
  /** Calls every tap of a hook in order and returns what each one returned. @throws what a tap throws */
  call<K extends keyof PluginHooks>(hook: K, ...args: HookArguments<K>): readonly unknown[];
  /** Closes what the plugin has handed over with `opened`, the last thing first. */
  close(): void;
}

/** Where a plugin is applied. */
export interface ApplyAloneOptions {
  /** What `stateDir()` answers; default: it throws. */
  readonly stateDir?: string;
  /** What `serviceOptions()` answers; default: nothing. */
  readonly serviceOptions?: PluginKernel['serviceOptions'];
  /** What `profiles()` answers; default: nothing. */
  readonly profiles?: PluginKernel['profiles'];
}

/** What a plugin has tapped with. */
export type Tap = (...args: readonly unknown[]) => unknown;

/** A plugin that was applied to what the caller gave. */
export interface Taps {
  readonly said: readonly Said[];
  /** What the plugin has handed over with `opened`, in order. */
  readonly opened: readonly Closeable[];
  /** What the plugin has tapped a hook with, in order. */
  of(hook: keyof PluginHooks): readonly Tap[];
}

/**
 * Applies a plugin to hooks that only the test calls. There is no guard: what a tap throws reaches the test.
 * @throws what the plugin's `apply` throws
 * @example
 * const plugin = applyAlone(statusFile());
 * plugin.call('statusChanged', service, { pid: 7, paused: false, want: 'up', sinceNs: 0n });
 */
export function applyAlone(
  plugin: Plugin,
  { stateDir, serviceOptions = () => ({}), profiles = () => [] }: ApplyAloneOptions = {},
): AppliedPlugin {
  const clock = new SimulatedClock();
  const readiness = new FakeReadiness();
  const taps = applyTo(plugin, {
    clock,
    readiness,
    stateDir() {
      if (stateDir === undefined) throw new Error('unable to make a state directory: the test gave none');
      return stateDir;
    },
    serviceOptions,
    profiles,
    supervise: () => ({ close() {} }),
  });
  return {
    clock,
    readiness,
    said: taps.said,
    call: (hook, ...args) => taps.of(hook).map((tap) => tap(...args)),
    close() {
      for (const thing of taps.opened.toReversed()) thing.close();
    },
  };
}

/**
 * Applies a plugin to a kernel of which the caller gives the rest.
 * @throws what the plugin's `apply` throws
 */
export function applyTo(plugin: Plugin, rest: Omit<PluginKernel, 'hooks' | 'log' | 'opened'>): Taps {
  const taps = new Map<string, Tap[]>();
  const said: Said[] = [];
  const opened: Closeable[] = [];
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
  plugin.apply({ ...rest, hooks, log, opened: (thing) => void opened.push(thing) });
  return { said, opened, of: (hook) => taps.get(hook) ?? [] };
}
