/**
 * Lets plugins tap the kernel's hooks and keeps the kernel safe from them: a tap that throws, rejects or never
 * answers is reported with its plugin and hook, and stops neither another tap nor a service.
 */
import { KernelError } from '../errors.ts';
import type { KernelHooks } from '../hooks.ts';
import type { Clock } from '../ports.ts';
import type { Logger, Plugin, PluginHooks, PluginKernel } from './contract.ts';

/** How long an asking hook waits for one plugin. */
const ANSWER_DEADLINE_NS = 10_000_000_000n;

/** Hooks that tell: a failing tap is reported and the others are called all the same. */
const TELLING = [
  'statusChanged',
  'serviceStarted',
  'startFailed',
  'serviceEnded',
  'serviceReleased',
  'reported',
] as const;
/** Hooks that ask: a failing tap fails the question, with the plugin's name. */
const ASKING = ['openLogSink', 'prepareSpawn'] as const;
const ASKING_AT_ONCE = ['openControl', 'watchScanDirectory'] as const;

type Tap = (...args: unknown[]) => unknown;
type Guard = (tap: Tap, plugin: string) => Tap;

/**
 * Puts the guards on the hooks and applies the plugins, in their order.
 * @throws `PLUGIN_NAME_TAKEN`, and what a plugin's `apply` throws as `PLUGIN_FAILED`
 */
export function applyPlugins(
  plugins: readonly Plugin[],
  { hooks, clock, log, ...rest }: Omit<PluginKernel, 'hooks'> & { readonly hooks: KernelHooks },
): void {
  for (const name of TELLING) guard(hooks, name, (tap, plugin) => telling({ tap, plugin, hook: name, log }));
  for (const name of ASKING) guard(hooks, name, (tap, plugin) => asking({ tap, plugin, hook: name, clock }));
  for (const name of ASKING_AT_ONCE)
    guard(hooks, name, (tap, plugin) => askingAtOnce({ tap, plugin, hook: name, log }));
  const names = new Set<string>();
  for (const plugin of plugins) {
    if (names.has(plugin.name)) throw new KernelError('PLUGIN_NAME_TAKEN', `two plugins are called ${plugin.name}`);
    names.add(plugin.name);
    try {
      plugin.apply({ hooks: tappable(hooks, plugin.name), clock, log, ...rest });
    } catch (cause) {
      throw new KernelError('PLUGIN_FAILED', `unable to apply plugin ${plugin.name}`, { cause });
    }
  }
}

/** A view without `call` and `promise`: only the owner calls. Every tap bears its plugin's name, whatever it says. */
function tappable(hooks: KernelHooks, name: string): PluginHooks {
  const view = Object.entries(hooks).map(([key, hook]: readonly [string, AnyHook]) => {
    const named = (options: TapOptions): TapOptions & { name: string } =>
      typeof options === 'string' ? { name } : { ...options, name };
    return [
      key,
      {
        tap: (options: TapOptions, tap: Tap) => hook.tap(named(options) as never, tap as never),
        ...('tapPromise' in hook
          ? { tapPromise: (options: TapOptions, tap: Tap) => hook.tapPromise?.(named(options) as never, tap as never) }
          : {}),
      },
    ];
  });
  // The entries are those of `hooks`, one by one.
  return Object.freeze(Object.fromEntries(view)) as PluginHooks;
}

type TapOptions = string | { readonly name: string; readonly stage?: number; readonly before?: string };

/** What all hooks have in common; each one's own types are checked where a plugin taps it. */
interface AnyHook {
  tap(options: never, tap: never): void;
  tapPromise?(options: never, tap: never): void;
}

function guard(hooks: KernelHooks, name: keyof KernelHooks, wrap: Guard): void {
  const hook: { intercept(interceptor: { register(tap: { name: string; fn: unknown }): unknown }): void } = hooks[
    name
  ] as never;
  hook.intercept({ register: (tap) => ({ ...tap, fn: wrap(tap.fn as Tap, tap.name) }) });
}

interface Guarded {
  readonly tap: Tap;
  readonly plugin: string;
  readonly hook: string;
}

function telling({ tap, plugin, hook, log }: Guarded & { readonly log: Logger }): Tap {
  const failed = (cause: unknown): void => {
    // A plugin that shows messages and fails cannot be told about its failure.
    if (hook !== 'reported') log.warning(`unable to tell plugin ${plugin} of ${hook}`, { cause });
  };
  return (...args) => {
    try {
      const result = tap(...args);
      // An async function type-checks as a tap; its rejection would end the process.
      if (isThenable(result)) Promise.resolve(result).catch(failed);
    } catch (cause) {
      failed(cause);
    }
  };
}

function asking({ tap, plugin, hook, clock }: Guarded & { readonly clock: Clock }): Tap {
  return (...args) => {
    const given = attempt({ tap, plugin, hook }, args);
    if (!isThenable(given)) return given;
    const answer = Promise.resolve(given);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const deadline = clock.wakeAt(clock.monotonicNs() + ANSWER_DEADLINE_NS, () => {
      reject(new KernelError('PLUGIN_SILENT', `plugin ${plugin} has not answered ${hook} for 10 seconds`));
      answer.then(closeUnwanted).catch(() => {}); // it has been reported as silent
    });
    answer.then(resolve, (cause: unknown) => reject(named({ plugin, hook }, cause))).finally(() => deadline.close());
    return promise;
  };
}

/** A question that is answered at once; an async function type-checks as a tap, and its rejection would be lost. */
function askingAtOnce({ tap, plugin, hook, log }: Guarded & { readonly log: Logger }): Tap {
  return (...args) => {
    const answer = attempt({ tap, plugin, hook }, args);
    if (!isThenable(answer)) return answer;
    Promise.resolve(answer).catch((error: unknown) => {
      const { message, cause } = named({ plugin, hook }, error);
      log.warning(message, { cause });
    });
    return undefined;
  };
}

/** @throws what the tap throws, as an error that names plugin and hook */
function attempt({ tap, plugin, hook }: Guarded, args: unknown[]): unknown {
  try {
    return tap(...args);
  } catch (cause) {
    throw named({ plugin, hook }, cause);
  }
}

function named({ plugin, hook }: Omit<Guarded, 'tap'>, cause: unknown): KernelError {
  if (cause instanceof KernelError) return cause;
  return new KernelError('PLUGIN_FAILED', `plugin ${plugin} failed in ${hook}`, { cause });
}

/** A promise of any kind: not every library uses the language's own. */
function isThenable(answer: unknown): answer is PromiseLike<unknown> {
  return typeof answer === 'object' && answer !== null && 'then' in answer && typeof answer.then === 'function';
}

/** An answer that came too late may be something open. */
function closeUnwanted(answer: unknown): void {
  if (typeof answer === 'object' && answer !== null && 'close' in answer && typeof answer.close === 'function') {
    answer.close();
  }
}
