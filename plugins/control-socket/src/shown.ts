/** What is known, in the words of the API. */
import { constants } from 'node:os';
import type { PluginProfile, ServiceStatus } from '@daemontap/kernel';
import type { KnownExit } from './exit-history.ts';
import type { Exit, Service, ServiceState, ShownPlugin } from './schema.ts';
import type { Supervised } from './services.ts';

const MS_NS = 1_000_000n;
const SECRET = /pass|secret|token|credential|key$/i;
const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** A service, as it is at a time of the wall clock. */
export function shownService({ directory, status }: Supervised, nowNs: bigint): Service {
  const { label, role, identity } = directory;
  const { pid, paused, want, sinceNs, startDue, leaving } = status;
  return {
    name: label,
    role,
    identity,
    state: stateOf(status),
    pid: pid ?? null,
    paused,
    want,
    since: isoTime(sinceNs),
    sinceNs: String(sinceNs),
    forMs: nowNs > sinceNs ? Number((nowNs - sinceNs) / MS_NS) : 0,
    startDue,
    leaving,
  };
}

/** The end of a process. */
export function shownExit({ pid, atNs, end, ranForMs }: KnownExit): Exit {
  return {
    pid,
    at: isoTime(atNs),
    atNs: String(atNs),
    exitCode: end !== undefined && 'exitCode' in end ? end.exitCode : null,
    signal: end !== undefined && 'signal' in end ? (signalNames.get(end.signal) ?? `SIG${end.signal}`) : null,
    ranForMs: ranForMs ?? null,
  };
}

/** A plugin, without what is nobody else's business. */
export function shownPlugin({ name, origin, source, hooks }: PluginProfile): ShownPlugin {
  return {
    name,
    version: source?.version ?? null,
    module: source?.module ?? null,
    place: source?.place ?? origin ?? null,
    options: withoutSecrets(source?.options ?? {}),
    hooks: hooks.map(({ hook, calls, failures, spentNs, longestNs, waitedNs }) => ({
      ...{ hook, calls, failures },
      spentUs: microseconds(spentNs),
      longestUs: microseconds(longestNs),
      waitedUs: microseconds(waitedNs),
    })),
  };
}

/** Unix nanoseconds as ISO 8601. */
export function isoTime(unixNs: bigint): string {
  return new Date(Number(unixNs / MS_NS)).toISOString();
}

/** `up`, or `paused`: what a service is in one word. */
export function stateOf({ pid, paused, want, startDue }: ServiceStatus): ServiceState {
  if (pid === undefined) return startDue ? 'starting' : 'down';
  if (paused) return 'paused';
  return want === 'down' ? 'stopping' : 'up';
}

function withoutSecrets(options: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return JSON.parse(
    JSON.stringify(options, (key, value: unknown) => (SECRET.test(key) ? undefined : value)),
  ) as Readonly<Record<string, unknown>>; // an object stays one
}

function microseconds(ns: bigint): number {
  return Number(ns / 100n) / 10;
}
