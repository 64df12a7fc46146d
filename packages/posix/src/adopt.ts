/**
 * Processes that others started, as a supervisor before this one: found again by pid and start time, watched and
 * signalled through a descriptor. Their parent reaps them, so how they end is not always to be known.
 */
import { closeSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { hasCode } from './errno.ts';
import { exitStatusOf, openPidfd, sendSignal } from './pidfd.ts';
import { readProcess } from './process-table.ts';
import { endOf } from './processes.ts';
import type { ProcessEnd } from './processes.ts';
import type { Readiness } from './readiness.ts';

/** What names one process and no other, until the system is booted again. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after boot. */
  readonly startTicks: number;
}

/** A process that need not be a child. */
export interface AdoptedProcess extends ProcessIdentity {
  /** Sends a signal; to one that has ended it does nothing. @throws `EPERM` */
  signal(signal: NodeJS.Signals): void;
  /** Lets go of it. It runs on, and its end is no longer told. */
  close(): void;
}

/** Who is told of the end, and through what. */
export interface AdoptOptions {
  readonly readiness: Readiness;
  /** Called once, soon after the end and never within the call. `undefined`: how it ended cannot be known. */
  onEnd(end: ProcessEnd | undefined): void;
}

/**
 * Takes over a process, if it is still there. One that has ended and was not reaped is: its end is told next.
 * @returns `undefined` when it was reaped, or when its pid is another's by now
 * @throws `EMFILE`, `ENFILE`, `ENOSYS`
 */
export function adoptProcess(
  { pid, startTicks }: ProcessIdentity,
  { readiness, onEnd }: AdoptOptions,
): AdoptedProcess | undefined {
  const pidfd = openIfThere({ pid, startTicks });
  if (pidfd === undefined) return undefined;
  let isOpen = true;
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    watch.close();
    closeSync(pidfd);
  };
  const watch = watchEnd(pidfd, readiness, () => {
    const end = endOfProcess(pidfd, { pid, startTicks });
    close();
    onEnd(end);
  });
  return {
    pid,
    startTicks,
    signal(signal) {
      if (!isOpen) return;
      try {
        sendSignal(pidfd, constants.signals[signal]);
      } catch (error) {
        if (!hasCode(error, 'ESRCH')) throw error;
      }
    },
    close,
  };
}

/** First the descriptor, then the comparison: what is compared then is what the descriptor holds. */
function openIfThere({ pid, startTicks }: ProcessIdentity): number | undefined {
  let pidfd: number;
  try {
    pidfd = openPidfd(pid);
  } catch (error) {
    // The other two: a thread has the number now.
    if (['ESRCH', 'EINVAL', 'ENOENT'].some((code) => hasCode(error, code))) return undefined;
    throw error;
  }
  // Read while the process was there, or the pid would be another's: it may have been reaped since it was opened.
  const entry = readProcess(pid);
  if (entry?.startTicks === startTicks) return pidfd;
  closeSync(pidfd);
  return undefined;
}

function watchEnd(pidfd: number, readiness: Readiness, callback: () => void): { close(): void } {
  try {
    return readiness.watchReadable(pidfd, callback);
  } catch (error) {
    closeSync(pidfd);
    throw error;
  }
}

/**
 * The status of an ended process is with its parent, who may take it at any moment: before, /proc has it for root and
 * for the account of the process; afterwards the descriptor has it.
 */
function endOfProcess(pidfd: number, identity: ProcessIdentity): ProcessEnd | undefined {
  const status = exitStatusOf(pidfd) ?? statusOfZombie(identity) ?? exitStatusOf(pidfd);
  return status === undefined ? undefined : endOf(status);
}

function statusOfZombie({ pid, startTicks }: ProcessIdentity): number | undefined {
  const entry = readProcess(pid);
  if (entry === undefined || entry.startTicks !== startTicks) return undefined;
  // Who may not know it reads 0, as if all were well.
  return entry.exitStatus !== 0 || mayKnow(pid) ? entry.exitStatus : undefined;
}

/** The link of a namespace can be read with the same right, of an ended process, too. */
function mayKnow(pid: number): boolean {
  try {
    readlinkSync(`/proc/${pid}/ns/user`);
    return true;
  } catch {
    return false;
  }
}
