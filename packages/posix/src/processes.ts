/**
 * Starts, signals and reaps the processes of a supervisor. It reaps by itself, on SIGCHLD, because libuv would take
 * 1.8 ms to tell an exit among 4,000 children; it leaves alone the children that a plugin started by child_process.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ChildProcess } from 'node:child_process';
import type { ProcessIdentity } from './adopt.ts';
import { check, declare } from './native.ts';
import { readProcess } from './process-table.ts';
import { spawn } from './spawn.ts';
import type { SpawnRequest } from './spawn.ts';
import { isSubreaper } from './subreaper.ts';

const cWaitid = declare('int waitid(int type, unsigned int id, void *info, int options)');
const cWaitpid = declare('int waitpid(int pid, void *status, int options)');
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x1000000;
const SIGINFO_PID = 4; // in 32-bit words: the union behind si_code is 8-aligned
const STRANGER_MS = 1000;
/** How many orphans are reaped before others get their turn. */
const ORPHANS_A_TURN = 200;

/** How a process ended. */
export type ProcessEnd = { readonly exitCode: number } | { readonly signal: number };

/** Child processes, from start to end. */
export interface Processes {
  /** Starts one and returns its pid; `onEnd` is called once it has been reaped. @throws the errno of the failed start */
  spawn(request: SpawnRequest, onEnd: (end: ProcessEnd) => void): number;
  /**
   * Takes a child that was not started here but left to this process, which is a subreaper.
   * @returns false when it is no child of this process, or is gone
   */
  adopt(orphan: ProcessIdentity, onEnd: (end: ProcessEnd) => void): boolean;
  /** Tells of the end of a child no more; it runs on, and is reaped all the same. */
  forget(pid: number): void;
  /** Sends a signal to one of the children; to one that has ended it does nothing. */
  signal(pid: number, signal: NodeJS.Signals): void;
  /** Stops reaping. The children run on. */
  close(): void;
}

/** The children of this process. Make one of these only, and before the first child. */
export function openProcesses(onError: (error: unknown) => void): Processes {
  const children = new Map<number, (end: ProcessEnd) => void>();
  const status = new Int32Array(1);
  const info = new Int32Array(32);
  const ofNode = childrenOfNode();
  let strangerTimer: NodeJS.Timeout | undefined;
  let nextTurn: NodeJS.Immediate | undefined;

  const reap = (pid: number): boolean => {
    if (cWaitpid(pid, status, WNOHANG) !== pid) return false;
    const onEnd = children.get(pid);
    children.delete(pid);
    try {
      onEnd?.(endOf(status[0] ?? 0));
    } catch (error) {
      onError(error);
    }
    return true;
  };
  const nextEnded = (): number => {
    info[SIGINFO_PID] = 0;
    return cWaitid(0, 0, info, WEXITED | WNOHANG | WNOWAIT) < 0 ? 0 : (info[SIGINFO_PID] ?? 0);
  };
  const reapAll = (): void => {
    let orphans = 0;
    for (let pid = nextEnded(); pid !== 0; pid = nextEnded()) {
      if (children.has(pid) && reap(pid)) continue;
      if (!ofNode.has(pid) && isSubreaper()) {
        reap(pid);
        if (++orphans < ORPHANS_A_TURN) continue;
        nextTurn ??= setImmediate(() => {
          nextTurn = undefined;
          reapAll();
        });
        return;
      }
      // Not ours: libuv's, or one that was there before us. libuv gets its chance; ours behind it are looked for by pid.
      for (const known of children.keys()) reap(known);
      // After libuv's turn: a child of child_process that ended just now is told of first.
      strangerTimer ??= setTimeout(() => setImmediate(reapStrangers), STRANGER_MS);
      strangerTimer.unref();
      return;
    }
  };

  const reapStrangers = (): void => {
    strangerTimer = undefined;
    for (let pid = nextEnded(); pid !== 0; pid = nextEnded()) reap(pid);
  };

  process.on('SIGCHLD', reapAll);
  reapAll(); // an exit before this moment sent its signal in vain
  return {
    spawn(request, onEnd) {
      const pid = spawn(request);
      children.set(pid, onEnd);
      return pid;
    },
    adopt({ pid, startTicks }, onEnd) {
      // Nobody else reaps it: the number is its own for as long as it is our child.
      const entry = readProcess(pid);
      if (entry?.startTicks !== startTicks || entry.parentPid !== process.pid || children.has(pid)) return false;
      children.set(pid, onEnd);
      return true;
    },
    forget: (pid) => void children.delete(pid),
    signal(pid, signal) {
      // An ended child is a zombie until it is reaped here, so its pid cannot be another's.
      if (children.has(pid)) process.kill(pid, signal);
    },
    close() {
      process.off('SIGCHLD', reapAll);
      clearTimeout(strangerTimer);
      clearImmediate(nextTurn);
      ofNode.close();
    },
  };
}

/** The children that child_process has started on this thread: Node is to hear of their ends itself. */
function childrenOfNode(): { has(pid: number): boolean; close(): void } {
  const known = new Set<ChildProcess>();
  const add = (message: unknown): void => {
    const { process: child } = message as { readonly process: ChildProcess }; // of Node's channel
    known.add(child);
    child.once('exit', () => known.delete(child));
  };
  subscribe('child_process', add);
  return {
    has(pid) {
      for (const child of known) {
        if (child.pid === pid) return true;
        if (child.pid === undefined) known.delete(child); // it could not be started
      }
      return false;
    },
    close: () => void unsubscribe('child_process', add),
  };
}

/**
 * Waits until a child that {@link spawn} started has ended, with the whole process.
 * @throws `ECHILD` when there is no such child, as where SIGCHLD is ignored
 */
export function waitForEnd(pid: number): ProcessEnd {
  const status = new Int32Array(1);
  check(cWaitpid(pid, status, 0), 'waitpid');
  return endOf(status[0] ?? 0);
}

/** What a status of wait(2) says. */
export function endOf(status: number): ProcessEnd {
  const signal = status & 0x7f;
  return signal === 0 ? { exitCode: (status >> 8) & 0xff } : { signal };
}
