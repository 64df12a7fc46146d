/**
 * Starts, signals and reaps the processes of a supervisor. It reaps by itself, on SIGCHLD, because libuv would take
 * 1.8 ms to tell an exit among 4,000 children; it leaves alone the children that a plugin started by child_process.
 */
import { check, declare } from './native.ts';
import { spawn } from './spawn.ts';
import type { SpawnRequest } from './spawn.ts';

const cWaitid = declare('int waitid(int type, unsigned int id, void *info, int options)');
const cWaitpid = declare('int waitpid(int pid, void *status, int options)');
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x1000000;
const SIGINFO_PID = 4; // in 32-bit words: the union behind si_code is 8-aligned
const STRANGER_MS = 1000;

/** How a process ended. */
export type ProcessEnd = { readonly exitCode: number } | { readonly signal: number };

/** Child processes, from start to end. */
export interface Processes {
  /** Starts one and returns its pid; `onEnd` is called once it has been reaped. @throws the errno of the failed start */
  spawn(request: SpawnRequest, onEnd: (end: ProcessEnd) => void): number;
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
  let strangerTimer: NodeJS.Timeout | undefined;

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
    for (let pid = nextEnded(); pid !== 0; pid = nextEnded()) {
      if (children.has(pid) && reap(pid)) continue;
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
    signal(pid, signal) {
      // An ended child is a zombie until it is reaped here, so its pid cannot be another's.
      if (children.has(pid)) process.kill(pid, signal);
    },
    close() {
      process.off('SIGCHLD', reapAll);
      clearTimeout(strangerTimer);
    },
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
