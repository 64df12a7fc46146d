/**
 * Finds the process that has a file open, a pipe that was given to one and inherited by others. Root without the right
 * to look at everybody's descriptors, as in a container, looks as the account of the process, which may.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { ProcessIdentity } from './adopt.ts';
import { hasCode } from './errno.ts';
import { identityOf } from './file-identity.ts';
import { declare } from './native.ts';
import { readProcess, readProcesses } from './process-table.ts';
import type { ProcessEntry } from './process-table.ts';

const cSetfsuid = declare('int setfsuid(unsigned int uid)');
const cSetfsgid = declare('int setfsgid(unsigned int gid)');

/** What is looked for. */
export interface HolderSearch {
  /** The file, as `DEV-INO`. */
  readonly file: string;
  /** `children`: among those of this process alone, which costs little; `all`: everywhere. */
  readonly among: 'children' | 'all';
  /** Processes that are known to be others; this one is not looked at either. */
  readonly except: ReadonlySet<number>;
}

/**
 * Looks for a process that has the file open. Of several children it is the one that has been this process's for longest;
 * of others one whose parent has it not, and of several such the oldest.
 */
export function findHolder({ file, among, except }: HolderSearch): ProcessIdentity | undefined {
  const isHolder = (pid: number): boolean => pid !== process.pid && !except.has(pid) && hasOpen(pid, file);
  if (among === 'children') {
    const pid = childPids().find(isHolder);
    return pid === undefined ? undefined : identityOfProcess(readProcess(pid));
  }
  const holders = oldestFirst(readProcesses().filter(({ pid }) => isHolder(pid)));
  const pids = new Set(holders.map(({ pid }) => pid));
  return identityOfProcess(holders.find(({ parentPid }) => !pids.has(parentPid)));
}

/** Those of the main thread: orphans are left to it, and services are started by it. */
function childPids(): readonly number[] {
  try {
    const text = readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1');
    return text.split(' ').flatMap((pid) => (pid === '' ? [] : Number(pid)));
  } catch {
    // The system has no such list.
    const entries = readProcesses().filter(({ parentPid }) => parentPid === process.pid);
    return oldestFirst(entries).map(({ pid }) => pid);
  }
}

function oldestFirst(entries: readonly ProcessEntry[]): readonly ProcessEntry[] {
  return entries.toSorted((one, other) => one.startTicks - other.startTicks || one.pid - other.pid);
}

function identityOfProcess(entry: ProcessEntry | undefined): ProcessIdentity | undefined {
  return entry && { pid: entry.pid, startTicks: entry.startTicks };
}

function hasOpen(pid: number, file: string): boolean {
  const look = (): boolean =>
    readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const stats = statSync(`/proc/${pid}/fd/${fd}`, { bigint: true, throwIfNoEntry: false });
      return stats !== undefined && identityOf(stats) === file;
    });
  try {
    return look();
  } catch (error) {
    if (!hasCode(error, 'EACCES') || process.geteuid?.() !== 0) return false; // or it has ended since
  }
  try {
    return asOwnerOf(pid, look);
  } catch {
    return false;
  }
}

/** For this thread and as long as this takes; what else it may do by its capabilities it may not meanwhile. */
function asOwnerOf<T>(pid: number, body: () => T): T {
  const { uid, gid } = statSync(`/proc/${pid}`);
  cSetfsgid(gid);
  cSetfsuid(uid);
  try {
    return body();
  } finally {
    cSetfsuid(0);
    cSetfsgid(process.getegid?.() ?? 0);
  }
}
