/**
 * How far a service is on the way to where it was told to go. It decides and never acts: what was seen comes in, with
 * its time, and from when on the service is there comes out.
 */
import { stateText } from './service-view.ts';
import type { ServiceView } from './service-view.ts';

/** What services are told. */
export type Verb = 'start' | 'stop' | 'restart';

/** What was seen of a service that was told something. Times are monotonic milliseconds. */
export interface Progress {
  readonly verb: Verb;
  /** The process that is to end first: a restart's, and one that was told to end before it is to start. */
  readonly oldPid: number | undefined;
  readonly view: ServiceView;
  /** Since when the process is seen. */
  readonly seenAtMs: number;
  /** How many processes have come since. */
  readonly starts: number;
  /** Whether the process was told of as ended. Of one that goes on as another one no kernel says so. */
  readonly hasEnded?: boolean;
  /** What has gone wrong last. */
  readonly trouble?: string;
}

/** A moment on both clocks. */
export interface Moment {
  readonly atMs: number;
  readonly wallNs: bigint;
}

/** One that ends within a second is started again a second after its start: it was not up. */
const LIVED_MS = 1000;
/** C's supervise sleeps for 1.02 seconds after a start, and tells of an end only then. */
const LIVED_BY_FILES_MS = 1200;

/** What is known when a service is told. */
export function beginProgress(verb: Verb, view: ServiceView, { atMs, wallNs }: Moment): Progress {
  const ranMs = view.sinceNs === undefined || view.sinceNs > wallNs ? 0 : Number((wallNs - view.sinceNs) / 1_000_000n);
  const isToEnd = verb === 'restart' || view.want === 'down';
  return { verb, oldPid: isToEnd ? view.pid : undefined, view, seenAtMs: atMs - ranMs, starts: 0 };
}

/** What is known when it is seen again. */
export function advance(progress: Progress, view: ServiceView, { atMs }: Moment): Progress {
  if (view.pid === progress.view.pid) return { ...progress, view };
  if (isMoved(progress, view)) {
    const isToEnd = progress.oldPid === progress.view.pid && (progress.verb === 'restart' || view.want === 'down');
    return { ...progress, view, seenAtMs: atMs, oldPid: isToEnd ? view.pid : progress.oldPid };
  }
  const starts = progress.starts + (view.pid === undefined ? 0 : 1);
  return { ...progress, view, seenAtMs: atMs, starts, hasEnded: false };
}

/** What is known when its process has ended. */
export function noteEnd(progress: Progress, trouble: string): Progress {
  return { ...progress, trouble, hasEnded: true };
}

/** From when on it is done if nothing else is seen; `undefined`: something must come first. */
export function doneAtMs({ verb, oldPid, view, seenAtMs }: Progress): number | undefined {
  const { state, pid, want, by } = view;
  if (verb === 'stop') return state === 'down' && want === 'down' ? seenAtMs : undefined;
  if (pid === undefined || pid === oldPid || want === 'down') return undefined;
  return seenAtMs + (by === 'files' ? LIVED_BY_FILES_MS : LIVED_MS);
}

/** Why it is not done after that time. */
export function remainsText({ verb, oldPid, view, starts, trouble }: Progress, waitMs: number): string {
  const { state, pid, want } = view;
  const time = `${waitMs / 1000} ${waitMs === 1000 ? 'second' : 'seconds'}`;
  const why = trouble === undefined || verb === 'stop' ? '' : `: ${trouble}`;
  if (state === 'unsupervised' || state === 'unknown') return stateText(view);
  if (verb === 'stop' && pid === undefined) return `down, and wanted ${want}`;
  // Also one that is down at this moment, to be started again.
  if (starts > 1) return `it was started ${starts} times in ${time} and does not stay up${why}`;
  const isNew = verb !== 'stop' && pid !== undefined && pid !== oldPid;
  return isNew ? `${stateText(view)} for less than a second` : `still ${stateText(view)} after ${time}${why}`;
}

/** Whether the service goes on as another process, without a start. Files do not tell. */
function isMoved({ view: last, hasEnded }: Progress, { pid, by }: ServiceView): boolean {
  const isTold = last.by === 'kernel' && by === 'kernel' && hasEnded !== true;
  return isTold && last.pid !== undefined && pid !== undefined;
}
