/** Processes that exist only as numbers: a test says when they end. */
import type { Adopted, ProcessEnd, ProcessIdentity, Processes, ServiceSignal, SpawnPlan } from '@daemontap/kernel';
import { systemError } from './system-error.ts';
import type { SystemErrorCode } from './system-error.ts';

/** A process that was started. */
export interface FakeProcess {
  /** Unique; greater than those of all processes started before. */
  readonly pid: number;
  /** The plan it was started with, and a descriptor of the directory it was started in. */
  readonly request: SpawnPlan & { readonly directoryFd: number };
  /** What was sent to it, in order. */
  readonly signals: readonly ServiceSignal[];
  /** How it ended; `undefined`: it runs. */
  readonly end: ProcessEnd | undefined;
}

interface Entry extends FakeProcess {
  readonly signals: ServiceSignal[];
  end: ProcessEnd | undefined;
  onEnd: (end: ProcessEnd | undefined) => void;
}

const STOPS: ReadonlySet<string> = new Set(['SIGSTOP', 'SIGCONT']);

/**
 * Starts nothing and remembers everything.
 * @example
 * const processes = new FakeProcesses();
 * processes.failNext('ENOENT');
 * processes.spawn(request, onEnd); // throws
 * processes.end(processes.spawn(request, onEnd), { exitCode: 1 });
 */
export class FakeProcesses implements Processes {
  readonly #entries = new Map<number, Entry>();
  readonly #failures: SystemErrorCode[] = [];
  #lastPid = 1000;

  /** Every process that was started, in order. */
  get started(): readonly FakeProcess[] {
    return [...this.#entries.values()];
  }

  /** Those that have not ended. */
  get running(): readonly FakeProcess[] {
    return this.started.filter(({ end }) => end === undefined);
  }

  /** Lets the next starts fail with this error, `times` of them; planned failures queue up. */
  failNext(code: SystemErrorCode, times = 1): void {
    for (let count = 0; count < times; count++) this.#failures.push(code);
  }

  spawn(request: FakeProcess['request'], onEnd: Entry['onEnd']): number {
    const failure = this.#failures.shift();
    if (failure !== undefined) throw systemError(failure, 'posix_spawn');
    const pid = ++this.#lastPid;
    this.#entries.set(pid, { pid, request, signals: [], end: undefined, onEnd });
    return pid;
  }

  /** Takes over one that runs and was started with `spawn`, as by an earlier kernel. Each one's start time is its pid. */
  adopt({ pid, startTicks }: ProcessIdentity, onEnd: Entry['onEnd']): Adopted | undefined {
    const entry = this.#entries.get(pid);
    if (entry === undefined || entry.end !== undefined || startTicks !== pid) return undefined;
    entry.onEnd = onEnd;
    return { isPaused: entry.signals.findLast((each) => STOPS.has(each)) === 'SIGSTOP', close() {} };
  }

  signal(pid: number, signal: ServiceSignal): void {
    const entry = this.#entries.get(pid);
    if (entry?.end === undefined) entry?.signals.push(signal);
  }

  /**
   * Ends a process; the supervisor hears of it before this returns.
   * @param end default: exit code 0
   * @throws Error when no such process runs
   */
  end(pid: number, end: ProcessEnd = { exitCode: 0 }): void {
    const entry = this.#entries.get(pid);
    if (entry === undefined || entry.end !== undefined) throw new Error(`unable to end ${pid}: no such process runs`);
    entry.end = end;
    entry.onEnd(end);
  }
}
