/** The processes of services: those started here, and those that others have left, as an earlier kernel. */
import { readdirSync } from 'node:fs';
import type { Processes } from '@daemontap/kernel';
import { adoptProcess, openProcesses, readProcess } from '@daemontap/posix';
import type { AdoptedProcess, Readiness } from '@daemontap/posix';
import { prepared } from './prepared.ts';
import type { PreparingProgram } from './prepared.ts';

/** Processes of either kind by their pids. */
export interface SystemProcesses extends Processes {
  /** Stops waiting for children. */
  close(): void;
}

/** What they need. */
export interface SystemProcessesOptions {
  readonly readiness: Readiness;
  /** Told of what a callback throws. */
  readonly onError: (error: unknown) => void;
  /** For starts that take one; without it they are refused. */
  readonly preparing: PreparingProgram | undefined;
}

/** Opens them, once in a process and before its first child. */
export function systemProcesses({ readiness, onError, preparing }: SystemProcessesOptions): SystemProcesses {
  const children = openProcesses(onError);
  const adopted = new Map<number, AdoptedProcess>();
  /** One that was left to this process: it is reaped as those that were started here. */
  const adoptChild: Processes['adopt'] = (process, onEnd) => {
    const { pid } = process;
    let isOver = false;
    const end = (): void => {
      if (!isOver) children.forget(pid);
      isOver = true;
    };
    const isTaken = children.adopt(process, (itsEnd) => {
      isOver = true;
      onEnd(itsEnd);
    });
    if (!isTaken) return undefined;
    const state = readProcess(pid)?.state;
    if (!isGone(pid, state)) return { isPaused: state === 'T', close: end };
    end();
    return undefined;
  };
  const adoptOther: Processes['adopt'] = (process, onEnd) => {
    const { pid } = process;
    const taken = adoptProcess(process, {
      readiness,
      onEnd(end) {
        adopted.delete(pid);
        onEnd(end);
      },
    });
    if (taken === undefined) return undefined;
    const state = readProcess(pid)?.state;
    if (isGone(pid, state)) {
      taken.close();
      return undefined;
    }
    adopted.set(pid, taken);
    return {
      isPaused: state === 'T',
      close() {
        if (adopted.get(pid) === taken) adopted.delete(pid);
        taken.close();
      },
    };
  };
  return {
    spawn: (request, onEnd) => children.spawn(prepared(request, preparing), onEnd),
    adopt: (process, onEnd) => adoptChild(process, onEnd) ?? adoptOther(process, onEnd),
    signal(pid, signal) {
      const taken = adopted.get(pid);
      if (taken === undefined) children.signal(pid, signal);
      else taken.signal(signal);
    },
    close: () => children.close(),
  };
}

/**
 * True where it has ended and its parent has not looked yet: told as an end it would come late, after others were begun
 * that count on it. With another thread a process goes on without its first one.
 */
function isGone(pid: number, state: string | undefined): boolean {
  if (state !== 'Z') return false;
  try {
    return readdirSync(`/proc/${pid}/task`).length <= 1;
  } catch {
    return true; // reaped since
  }
}
