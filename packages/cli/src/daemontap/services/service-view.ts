/** What is known of a service, whoever has told it: its kernel, or the files in its directory. */
import type { ParsedStatus } from '@daemontap/formats';
import type { NamedService } from './service-words.ts';
import { isoTime } from './time-text.ts';

/**
 * What a service is: `starting` is down and wanted up, `stopping` is up and wanted down. Two that no kernel says:
 * `unsupervised`, and `unknown` where it cannot be told.
 */
export type ServiceState = 'up' | 'down' | 'starting' | 'stopping' | 'paused' | 'unsupervised' | 'unknown';

/** A service as it is shown. What does not apply, or was not told, is `undefined`. */
export interface ServiceView {
  readonly service: NamedService;
  /** Device and inode of its directory, of the main one for a log service. */
  readonly identity?: string | undefined;
  readonly state: ServiceState;
  readonly pid?: number | undefined;
  readonly paused?: boolean | undefined;
  readonly want?: 'up' | 'down' | 'once' | undefined;
  /** Since when the pid is what it is: wall clock, nanoseconds of Unix time. */
  readonly sinceNs?: bigint | undefined;
  /** It was told to exit: supervision ends with the process. */
  readonly leaving?: boolean | undefined;
  /** Down, and about to be started. */
  readonly startDue?: boolean | undefined;
  /** Whether it is started by itself; a file `down` says no. */
  readonly normally?: 'up' | 'down' | undefined;
  /** Why it is `unknown`. */
  readonly reason?: string | undefined;
  /** Who has told this. */
  readonly by: 'kernel' | 'files';
}

/** What a status record says of a service. */
export function stateOf({ pid, paused, want }: Pick<ParsedStatus, 'pid' | 'paused' | 'want'>): ServiceState {
  if (pid === undefined) return want === 'up' ? 'starting' : 'down';
  if (paused) return 'paused';
  return want === 'down' ? 'stopping' : 'up';
}

/** A state in the words of a message: `up (pid 7)`, `supervise not running`. */
export function stateText({ state, pid, paused, reason }: ServiceView): string {
  if (state === 'unsupervised') return 'supervise not running';
  if (state === 'unknown') return reason ?? 'unknown';
  return pid === undefined ? 'down' : `up (pid ${pid})${paused === true ? ', paused' : ''}`;
}

/** The view as JSON has it, as a kernel's own: every key is there, and `null` stands for what does not apply. */
export function plainView(view: ServiceView, nowNs: bigint): Readonly<Record<string, unknown>> {
  const { service, identity, state, pid, paused, want, sinceNs, leaving, startDue, normally, reason, by } = view;
  const hasTime = sinceNs !== undefined;
  return {
    name: service.label,
    role: service.role,
    identity: identity ?? null,
    state,
    pid: pid ?? null,
    paused: paused ?? null,
    want: want ?? null,
    since: (hasTime ? isoTime(sinceNs) : undefined) ?? null,
    sinceNs: hasTime ? String(sinceNs) : null,
    forMs: hasTime ? Number((nowNs > sinceNs ? nowNs - sinceNs : 0n) / 1_000_000n) : null,
    startDue: startDue ?? null,
    leaving: leaving ?? null,
    normally: normally ?? null,
    reason: reason ?? null,
    directory: service.role === 'helper' ? null : service.directory.toString(), // those have none that is anybody's
    by,
  };
}
