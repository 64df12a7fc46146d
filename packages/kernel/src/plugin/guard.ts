/**
 * Keeps the kernel safe from a tap: one that throws, rejects, never answers or answers with something else is reported
 * with its plugin, hook and service, and stops neither another tap nor a service that runs.
 */
import { KernelError } from '../errors.ts';
import type { KernelHooks, LogSink, ServiceDirectory } from '../hooks.ts';
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
  findSuccessor: 'asks, refuses',
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
    if (isOthersHelper(guarded.plugin, args)) return hook === 'prepareSpawn' ? args[0] : undefined;
    const startNs = clock.monotonicNs();
    profile.calls++;
    try {
      const given = tap(...args);
      if (isThenable(given)) return waits ? answer(guarded, args, given) : lateFailure(guarded, args, given);
      return waits ? checked(guarded, args, given) : given;
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
  promised.then((value) => resolve(checked(guarded, args, value))).catch(reject);
  return promise
    .catch((error: unknown) => failed(guarded, args, error))
    .finally(() => {
      deadline.close();
      profile.waitedNs += clock.monotonicNs() - askedNs;
    });
}

/** An async function type-checks as a tap that answers at once; its rejection would end the process. */
function lateFailure(guarded: Guarded, args: unknown[], given: PromiseLike<unknown>): undefined {
  Promise.resolve(given).catch((error: unknown) => say(guarded, args, nameIt(guarded, args, error)));
}

/** @throws TypeError when it is not what the hook asks for */
function checked(guarded: Guarded, args: unknown[], given: unknown): unknown {
  const isPlan = guarded.profile.hook === 'prepareSpawn';
  if (isPlan && given === args[0]) return given;
  const fault = isPlan ? faultOfPlan(given, args[0]) : faultOfSink(given);
  if (fault !== undefined) {
    closeUnwanted(given);
    throw new TypeError(fault);
  }
  // `faultOfSink` has looked at it.
  return isPlan || given === undefined ? given : guardedSink(given as LogSink, guarded.plugin, aboutOf(args));
}

/** A sink whose failures bear its plugin's name, and whose descriptors are numbers. */
function guardedSink(sink: LogSink, plugin: Plugin, about: string): LogSink {
  const named = <T>(what: string, body: () => T): T => {
    try {
      return body();
    } catch (error) {
      throw nameFailure({ plugin, what: `${what}${about}`, error });
    }
  };
  const descriptor = (fd: unknown): number => {
    if (Number.isInteger(fd) && Number(fd) >= 0) return Number(fd);
    throw new TypeError(`it must give a descriptor, and gives ${String(fd)}`);
  };
  return {
    openOutput: () => named('LogSink.openOutput', () => descriptor(sink.openOutput())),
    ...(sink.openInput === undefined
      ? {}
      : { openInput: () => named('LogSink.openInput', () => descriptor(sink.openInput?.())) }),
    end: () => named('LogSink.end', () => sink.end()),
    close: () => named('LogSink.close', () => sink.close()),
  };
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
  say(guarded, args, named);
}

function say({ profile, log }: Guarded, args: readonly unknown[], { message, cause }: KernelError): void {
  profile.failures++;
  const service = serviceIn(args);
  // A plugin that shows messages and fails cannot be told about its failure.
  if (profile.hook !== 'reported') log.warning(message, service === undefined ? { cause } : { cause, service });
}

/** The failure with plugin, hook and service. */
function nameIt({ plugin, profile }: Guarded, args: unknown[], error: unknown): KernelError {
  if (error instanceof KernelError && error.code === 'PLUGIN_SILENT') return error;
  return nameFailure({ plugin, what: `${profile.hook}${aboutOf(args)}`, error });
}

/** A failure with its plugin's name. What a plugin of the kernel's own refuses with is in daemontools' words, and stays so. */
export function nameFailure({
  plugin,
  what,
  error,
}: {
  readonly plugin: Plugin;
  readonly what: string;
  readonly error: unknown;
}): KernelError {
  if (!(error instanceof KernelError)) {
    return new KernelError('PLUGIN_FAILED', `plugin ${titleOf(plugin)} failed in ${what}`, { cause: error });
  }
  if (plugin.origin === undefined) return error;
  const message = `plugin ${titleOf(plugin)} refuses in ${what}: ${error.message}`;
  return new KernelError(error.code, message, { cause: error.cause });
}

/** As messages call a plugin: `heartbeat (plugins[1] in daemontap.config.json)`. */
export function titleOf({ name, origin }: Plugin): string {
  return origin === undefined ? name : `${name} (${origin})`;
}

/** A helper belongs to its plugin: what others make of services must not befall it. */
function isOthersHelper({ name, meetsHelpers = false }: Plugin, args: readonly unknown[]): boolean {
  if (meetsHelpers) return false;
  const service: Partial<ServiceDirectory> | undefined = serviceIn(args);
  return service?.role === 'helper' && service.plugin !== name;
}

/** ` for finger`: the service among what a tap was called with. */
function aboutOf(args: readonly unknown[]): string {
  const service = serviceIn(args);
  return service === undefined ? '' : ` for ${service.label}`;
}

function serviceIn(args: readonly unknown[]): { readonly label: string } | undefined {
  return args.find(
    (each): each is { readonly label: string } =>
      typeof each === 'object' && each !== null && 'label' in each && typeof each.label === 'string',
  );
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
