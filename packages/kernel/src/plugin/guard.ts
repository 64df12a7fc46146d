/**
 * Keeps the kernel safe from a tap: one that throws, rejects, never answers or answers with something else is reported
 * with its plugin, hook and service, and stops neither another tap nor a service that runs.
 */
import { KernelError } from '../errors.ts';
import type { KernelHooks } from '../hooks.ts';
import type { Clock } from '../ports.ts';
import { faultOfPlan, faultOfSink } from './answers.ts';
import type { Logger, Plugin } from './contract.ts';

/** A plugin's function, of whatever hook. */
export type Tap = (...args: unknown[]) => unknown;

/** What has become of the calls of one plugin's taps of one hook. */
export interface HookProfile {
  /** The name of the hook. */
  readonly hook: keyof KernelHooks;
  /** How often it was called. */
  calls: number;
  /** How many of the calls threw, rejected, were not answered or answered wrongly. */
  failures: number;
  /** The time in which the kernel could do nothing else, in nanoseconds. */
  spentNs: bigint;
  /** The longest part of it, in nanoseconds. */
  longestNs: bigint;
  /** The time until promised answers came, in nanoseconds. */
  waitedNs: bigint;
}

/** A tap, and whose it is. */
export interface Guarded {
  readonly tap: Tap;
  readonly plugin: Plugin;
  readonly profile: HookProfile;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How long a hook that asks waits for one plugin. */
const ANSWER_DEADLINE_NS = 10_000_000_000n;

/** What a failure does: it is reported; or so unless it is a refusal; or it always refuses what was asked for. */
const KINDS = {
  openLogSink: 'asks, may refuse',
  prepareSpawn: 'asks, refuses',
  findRunning: 'asks, refuses',
  openControl: 'asks, may refuse',
  watchScanDirectory: 'asks',
  statusChanged: 'tells',
  serviceStarted: 'tells',
  startFailed: 'tells',
  intended: 'tells',
  serviceEnded: 'tells',
  serviceReleased: 'tells',
  reported: 'tells',
} as const satisfies Record<keyof KernelHooks, 'tells' | 'asks' | 'asks, may refuse' | 'asks, refuses'>;

/** Hooks whose answer may be promised. */
export const WAITING: ReadonlySet<keyof KernelHooks> = new Set(['openLogSink', 'prepareSpawn']);

/** The tap as the kernel calls it. */
export function guard(guarded: Guarded): Tap {
  const { tap, profile, clock } = guarded;
  const { hook } = profile;
  const waits = WAITING.has(hook);
  return (...args) => {
    const startNs = clock.monotonicNs();
    profile.calls++;
    try {
      const given = tap(...args);
      if (isThenable(given)) return waits ? answer(guarded, args, given) : lateFailure(guarded, args, given);
      return waits ? checked(hook, args, given) : given;
    } catch (error) {
      return failed(guarded, args, error);
    } finally {
      const tookNs = clock.monotonicNs() - startNs;
      profile.spentNs += tookNs;
      if (tookNs > profile.longestNs) profile.longestNs = tookNs;
    }
  };
}

/** The promised answer, or a failure once the deadline has passed. */
function answer(guarded: Guarded, args: unknown[], given: PromiseLike<unknown>): Promise<unknown> {
  const { clock, profile, plugin } = guarded;
  const askedNs = clock.monotonicNs();
  const promised = Promise.resolve(given);
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const deadline = clock.wakeAt(askedNs + ANSWER_DEADLINE_NS, () => {
    const message = `plugin ${titleOf(plugin)} has not answered ${profile.hook}${aboutOf(args)} for 10 seconds`;
    reject(new KernelError('PLUGIN_SILENT', message));
    promised.then(closeUnwanted).catch(() => {}); // it has been reported as silent
  });
  promised.then((value) => resolve(checked(profile.hook, args, value))).catch(reject);
  return promise
    .catch((error: unknown) => failed(guarded, args, error))
    .finally(() => {
      deadline.close();
      profile.waitedNs += clock.monotonicNs() - askedNs;
    });
}

/** An async function type-checks as a tap that answers at once; its rejection would end the process. */
function lateFailure(guarded: Guarded, args: unknown[], given: PromiseLike<unknown>): undefined {
  Promise.resolve(given).catch((error: unknown) => say(guarded, nameIt(guarded, args, error)));
}

/** @throws Error when it is not what the hook asks for */
function checked(hook: string, [asked]: unknown[], given: unknown): unknown {
  if (given === asked && hook === 'prepareSpawn') return given;
  const fault = hook === 'prepareSpawn' ? faultOfPlan(given) : faultOfSink(given);
  if (fault === undefined) return given;
  closeUnwanted(given);
  throw new TypeError(fault);
}

/** @throws `PLUGIN_FAILED`, `PLUGIN_SILENT`, or what the plugin refuses with */
function failed(guarded: Guarded, args: unknown[], error: unknown): undefined {
  const kind = KINDS[guarded.profile.hook];
  const isRefusal = error instanceof KernelError && error.code !== 'PLUGIN_SILENT';
  const named = nameIt(guarded, args, error);
  if (kind === 'asks, refuses' || (kind === 'asks, may refuse' && isRefusal)) {
    guarded.profile.failures++;
    throw named;
  }
  say(guarded, named);
}

function say({ profile, log }: Guarded, { message, cause }: KernelError): void {
  profile.failures++;
  // A plugin that shows messages and fails cannot be told about its failure.
  if (profile.hook !== 'reported') log.warning(message, { cause });
}

/** The failure with plugin, hook and service; a refusal in daemontools' words stays as it is. */
function nameIt({ plugin, profile }: Guarded, args: unknown[], error: unknown): KernelError {
  const isKnown = error instanceof KernelError;
  // The kernel's own plugins speak in daemontools' words.
  if (isKnown && (plugin.origin === undefined || error.code === 'PLUGIN_SILENT')) return error;
  const message = `plugin ${titleOf(plugin)} failed in ${profile.hook}${aboutOf(args)}`;
  if (!isKnown) return new KernelError('PLUGIN_FAILED', message, { cause: error });
  return new KernelError(error.code, `${message}: ${error.message}`, { cause: error.cause });
}

/** As messages call a plugin: `heartbeat (plugins[1] in daemontap.config.json)`. */
export function titleOf({ name, origin }: Plugin): string {
  return origin === undefined ? name : `${name} (${origin})`;
}

/** ` for finger`: the service among what a tap was called with. */
function aboutOf(args: readonly unknown[]): string {
  for (const each of args) {
    if (typeof each === 'object' && each !== null && 'label' in each) return ` for ${String(each.label)}`;
  }
  return '';
}

/** A promise of any kind: not every library uses the language's own. */
function isThenable(given: unknown): given is PromiseLike<unknown> {
  return typeof given === 'object' && given !== null && 'then' in given && typeof given.then === 'function';
}

/** An answer that came too late, or is none, may be something open. */
function closeUnwanted(given: unknown): void {
  if (typeof given === 'object' && given !== null && 'close' in given && typeof given.close === 'function') {
    given.close();
  }
}
