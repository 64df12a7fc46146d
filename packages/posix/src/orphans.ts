/**
 * Finds the process that a killed supervisor has started and had no time to record. Nothing in such a process bears a
 * mark of its own, a service gets what C would give it; so it is told by when it began, by whose child it is now, and
 * by where it works.
 */
import { fileIdentity } from './file-identity.ts';
import { readProcess, readProcesses } from './process-table.ts';
import type { ProcessEntry } from './process-table.ts';
import type { ProcessIdentity } from './adopt.ts';

/** What is known of the process that is looked for. */
export interface OrphanSearch {
  /** When it began, in clock ticks after boot: not before the one, not after the other. */
  readonly startTicks: { readonly from: number; readonly to: number };
  /** Who has started it, and is dead. */
  readonly parentPid: number;
  /** The dead one's session, and the processes above it: one of them is the parent now. */
  readonly sessionId: number;
  readonly ancestorPids: readonly number[];
  /** Device and inode of the directory that it was started in, as `DEV-INO`. */
  readonly directory: string;
  /** Device and inode of a file that it was given as its standard input or output, a pipe of its own. */
  readonly pipe?: string | undefined;
  /** Processes that are known to be others. */
  readonly except: ReadonlySet<number>;
}

/** The pids of the processes above this one, nearest first; the system's first process is the last. */
export function ancestorPids(pid: number): readonly number[] {
  const pids: number[] = [];
  for (let entry = readProcess(pid); entry !== undefined && entry.parentPid > 0; entry = readProcess(entry.parentPid)) {
    pids.push(entry.parentPid);
  }
  return pids;
}

/**
 * Looks for a process that lives. Where several may be the one, it is the one with the pipe or in the directory, of
 * several such the oldest, as the others are its descendants; where none can be told so, it is the only one.
 */
export function findOrphan(search: OrphanSearch): ProcessIdentity | undefined {
  const candidates = readProcesses()
    .filter((entry) => isCandidate(entry, search))
    .toSorted((one, other) => one.startTicks - other.startTicks || one.pid - other.pid);
  const [first, ...others] = candidates;
  const found = candidates.find((entry) => bears(entry, search)) ?? (others.length === 0 ? first : undefined);
  return found === undefined ? undefined : { pid: found.pid, startTicks: found.startTicks };
}

function isCandidate(entry: ProcessEntry, search: OrphanSearch): boolean {
  const { pid, state, startTicks, parentPid, sessionId } = entry;
  if (state === 'Z' || state === 'X' || search.except.has(pid)) return false;
  if (startTicks < search.startTicks.from || startTicks > search.startTicks.to) return false;
  // Files are closed before children are handed on: the dead one may be the parent still.
  const isOrphan = parentPid === search.parentPid || search.ancestorPids.includes(parentPid) || parentPid === 1;
  // As pgrphack does it: a session of its own.
  return isOrphan && (sessionId === search.sessionId || sessionId === pid);
}

function bears({ pid }: ProcessEntry, { directory, pipe }: OrphanSearch): boolean {
  const isAt = (link: string, file: string): boolean => identityOf(`/proc/${pid}/${link}`) === file;
  return isAt('cwd', directory) || (pipe !== undefined && (isAt('fd/0', pipe) || isAt('fd/1', pipe)));
}

function identityOf(path: string): string | undefined {
  try {
    return fileIdentity(path);
  } catch {
    return undefined; // somebody else's, or ended meanwhile
  }
}
