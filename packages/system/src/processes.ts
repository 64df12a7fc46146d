/** The processes of services: those started here, and those that an earlier kernel has left. */
import { readdirSync } from 'node:fs';
import type { ProcessIdentity, Processes } from '@daemontap/kernel';
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
  return {
    spawn: (request, onEnd) => children.spawn(prepared(request, preparing), onEnd),
    adopt(process: ProcessIdentity, onEnd) {
      const { pid } = process;
      const taken = adoptProcess(process, {
        readiness,
        onEnd(end) {
          adopted.delete(pid);
          onEnd(end);
        },
      });
      if (taken === undefined) return undefined;
      // Its parent has not looked yet. Told as an end it would come late: after others were begun that count on it.
      const state = readProcess(pid)?.state;
      if (state === 'Z' && isAlone(pid)) {
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
    },
    signal(pid, signal) {
      const taken = adopted.get(pid);
      if (taken === undefined) children.signal(pid, signal);
      else taken.signal(signal);
    },
    close: () => children.close(),
  };
}

/** True where no other thread is left: with one, a process goes on without its first one. */
function isAlone(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).length <= 1;
  } catch {
    return true; // reaped since
  }
}
