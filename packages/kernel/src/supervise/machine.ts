/**
 * The supervise machine: what a service is, what was asked of it, and what to do next. It decides and never acts:
 * no clock, no input or output, no import. Every rule of daemontools' supervise is a cell of the table below.
 */

/** What was asked for: `up` is restarted when it ends, `once` is not, `down` is not started. */
export type Want = 'up' | 'down' | 'once';

/**
 * What a service is. Times are monotonic nanoseconds.
 *
 * - `settling`: its directory may still be filled; the first start waits.
 * - `down`: no process. `startAtNs` is `undefined` when no start is due.
 * - `preparing`: plugins were asked how to start it.
 * - `starting`: told to start, not yet confirmed.
 * - `up`: a process runs.
 * - `gone`: supervision has ended. Nothing follows.
 *
 * `leaving`: `x` was asked; supervision ends with the process, or with the start that was `asked` for before. A start
 * that nobody asked for, the next one after an end, is not waited for.
 */
export type State =
  | { readonly phase: 'settling'; readonly want: Want }
  | {
      readonly phase: 'down';
      readonly want: Want;
      /** One start a second, `svc -u` too. */
      readonly notBeforeNs: bigint;
      readonly startAtNs: bigint | undefined;
      readonly asked: boolean;
      readonly leaving: boolean;
    }
  | { readonly phase: 'preparing'; readonly want: Want; readonly asked: boolean; readonly leaving: boolean }
  | { readonly phase: 'starting'; readonly want: Want; readonly leaving: boolean }
  | {
      readonly phase: 'up';
      readonly want: Want;
      readonly pid: number;
      readonly startedAtNs: bigint;
      readonly paused: boolean;
      readonly leaving: boolean;
    }
  | { readonly phase: 'gone'; readonly want: Want };

/** Everything that can happen to a service. `atNs`: when, on the monotonic clock. */
export type Event =
  | { readonly type: 'want'; readonly want: Want; readonly atNs: bigint }
  | { readonly type: 'signal'; readonly signal: 'SIGTERM' | 'SIGHUP' | 'SIGALRM' | 'SIGINT' | 'SIGKILL' }
  | { readonly type: 'pause' }
  | { readonly type: 'continue' }
  | { readonly type: 'leave' }
  /** The directory has been quiet; `want` says whether a `down` file lies in it. */
  | { readonly type: 'settled'; readonly want: 'up' | 'down'; readonly atNs: bigint }
  | { readonly type: 'due'; readonly atNs: bigint }
  | { readonly type: 'prepared'; readonly atNs: bigint }
  | { readonly type: 'started'; readonly pid: number; readonly atNs: bigint }
  /** `passing`: the system was out of something, so even a service wanted `once` tries again. */
  | { readonly type: 'startFailed'; readonly passing: boolean; readonly atNs: bigint }
  | { readonly type: 'ended'; readonly atNs: bigint }
  /** The process has ended, and the service goes on as another one. */
  | { readonly type: 'moved'; readonly pid: number; readonly paused: boolean };

/** What to do, as data. `wake` replaces the wake before it; `announce` publishes the new state. */
export type Effect =
  | { readonly type: 'announce' }
  | { readonly type: 'prepare' }
  | { readonly type: 'spawn' }
  | { readonly type: 'signal'; readonly pid: number; readonly signal: Signal }
  | { readonly type: 'wake'; readonly atNs: bigint }
  | { readonly type: 'release' };

type Signal = Extract<Event, { type: 'signal' }>['signal'] | 'SIGSTOP' | 'SIGCONT';

/** The next state, and what to do in this order. */
export type Step = readonly [next: State, ...effects: readonly Effect[]];

type Phase<P extends State['phase']> = Extract<State, { phase: P }>;
type Table = {
  readonly [P in State['phase']]: {
    readonly [T in Event['type']]: (state: Phase<P>, event: Extract<Event, { type: T }>) => Step;
  };
};

/** Between two starts, as daemontools paces them. */
const SECOND_NS = 1_000_000_000n;

const announce: Effect = { type: 'announce' };
const prepare: Effect = { type: 'prepare' };
const spawn: Effect = { type: 'spawn' };
const release: Effect = { type: 'release' };
const wake = (atNs: bigint): Effect => ({ type: 'wake', atNs });
const signal = (pid: number, name: Signal): Effect => ({ type: 'signal', pid, signal: name });
const stop = (pid: number): readonly Effect[] => [signal(pid, 'SIGTERM'), signal(pid, 'SIGCONT')];

const stay = (state: State): Step => [state];
const republish = (state: State): Step => [state, announce];
const gone = ({ want }: State): Step => [{ phase: 'gone', want }, announce, release];

interface Rest {
  readonly want: Want;
  /** Whether to start again. */
  readonly again: boolean;
  /** Whether that was asked for by a command. */
  readonly asked: boolean;
  readonly leaving: boolean;
  readonly notBeforeNs: bigint;
  readonly atNs: bigint;
}

/** No process: start again at the earliest moment, now if that is past, or rest, or leave. */
function rest({ want, again, asked, leaving, notBeforeNs, atNs }: Rest): Step {
  if (leaving && !(again && asked)) return gone({ phase: 'gone', want });
  if (!again) return [{ phase: 'down', want, notBeforeNs, startAtNs: undefined, asked, leaving }, announce];
  if (atNs >= notBeforeNs) return [{ phase: 'preparing', want, asked, leaving }, announce, prepare];
  return [{ phase: 'down', want, notBeforeNs, startAtNs: notBeforeNs, asked, leaving }, announce, wake(notBeforeNs)];
}

const table: Table = {
  settling: {
    want: (_s, { want, atNs }) =>
      rest({ want, again: want !== 'down', asked: true, leaving: false, notBeforeNs: atNs, atNs }),
    settled: (_s, { want, atNs }) =>
      rest({ want, again: want === 'up', asked: false, leaving: false, notBeforeNs: atNs, atNs }),
    leave: gone,
    pause: republish,
    continue: republish,
    signal: stay,
    due: stay,
    prepared: stay,
    started: stay,
    startFailed: stay,
    ended: stay,
    moved: stay,
  },
  down: {
    want: (s, { want, atNs }) => rest({ ...s, want, again: want !== 'down', asked: true, atNs }),
    due: (s, { atNs }) =>
      s.startAtNs !== undefined && atNs >= s.startAtNs
        ? [{ phase: 'preparing', want: s.want, asked: s.asked, leaving: s.leaving }, prepare]
        : [s],
    // `svc -ox` on a service that rests: run once, then leave.
    leave: (s) => (s.startAtNs !== undefined && s.asked ? [{ ...s, leaving: true }, announce] : gone(s)),
    pause: republish,
    continue: republish,
    signal: stay,
    settled: stay,
    prepared: stay,
    started: stay,
    startFailed: stay,
    ended: stay,
    moved: stay,
  },
  preparing: {
    // A `d` in time is never followed by one more start.
    prepared: (s, { atNs }) =>
      s.want === 'down' || (s.leaving && !s.asked)
        ? rest({ ...s, again: false, notBeforeNs: atNs, atNs })
        : [{ phase: 'starting', want: s.want, leaving: s.leaving }, spawn],
    startFailed: failed,
    want: (s, { want }) =>
      s.leaving && want === 'down' ? gone({ ...s, want }) : [{ ...s, want, asked: true }, announce],
    // Where no start is to follow there is no reason to wait for plugins.
    leave: (s) => (s.want === 'down' || !s.asked ? gone(s) : [{ ...s, leaving: true }, announce]),
    pause: republish,
    continue: republish,
    signal: stay,
    settled: stay,
    due: stay,
    started: stay,
    ended: stay,
    moved: stay,
  },
  starting: {
    started: ({ want, leaving }, { pid, atNs }) => [
      { phase: 'up', want, pid, startedAtNs: atNs, paused: false, leaving },
      announce,
      ...(want === 'down' ? stop(pid) : []),
    ],
    startFailed: failed,
    want: (s, { want }) => [{ ...s, want }, announce],
    leave: (s) => [{ ...s, leaving: true }, announce],
    pause: republish,
    continue: republish,
    signal: stay,
    settled: stay,
    due: stay,
    prepared: stay,
    ended: stay,
    moved: stay,
  },
  up: {
    want: (s, { want }) =>
      want === 'down' ? [{ ...s, want, paused: false }, ...stop(s.pid), announce] : [{ ...s, want }, announce],
    signal: (s, event) => [s, signal(s.pid, event.signal)],
    pause: (s) => [{ ...s, paused: true }, announce, signal(s.pid, 'SIGSTOP')],
    continue: (s) => [{ ...s, paused: false }, announce, signal(s.pid, 'SIGCONT')],
    leave: (s) => [{ ...s, leaving: true }, announce],
    // `once` has had its run. A service that lived for a second is started again at once.
    ended: ({ want, leaving, startedAtNs }, { atNs }) =>
      rest({ want, again: want === 'up', asked: false, leaving, notBeforeNs: startedAtNs + SECOND_NS, atNs }),
    // It was started when the first one was. One that is to stop has not been told.
    moved: (s, { pid, paused }) =>
      s.want === 'down' ? [{ ...s, pid, paused: false }, announce, ...stop(pid)] : [{ ...s, pid, paused }, announce],
    settled: stay,
    due: stay,
    prepared: stay,
    started: stay,
    startFailed: stay,
  },
  gone: {
    want: stay,
    signal: stay,
    pause: stay,
    continue: stay,
    leave: stay,
    settled: stay,
    due: stay,
    prepared: stay,
    started: stay,
    startFailed: stay,
    ended: stay,
    moved: stay,
  },
};

function failed(
  s: Phase<'preparing'> | Phase<'starting'>,
  { passing, atNs }: { readonly passing: boolean; readonly atNs: bigint },
): Step {
  const { want, leaving } = s;
  const again = want === 'up' || (want === 'once' && passing);
  return rest({ want, again, asked: false, leaving, notBeforeNs: atNs + SECOND_NS, atNs });
}

/** Decides what follows from an event. */
export function transition(state: State, event: Event): Step {
  // One lookup: the table's type pairs each phase with its state and each type with its event.
  const cell = table[state.phase][event.type] as (state: State, event: Event) => Step;
  return cell(state, event);
}
