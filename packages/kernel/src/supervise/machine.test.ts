/** The table of the machine, cell by cell: contract sections 2.4 to 2.6, and what is ours. */
import { describe, expect, test } from 'vitest';
import { transition } from './machine.ts';
import type { Effect, Event, State, Want } from './machine.ts';

const SECOND_NS = 1_000_000_000n;
const atNs = 100n * SECOND_NS;

type Phase<P extends State['phase']> = Extract<State, { phase: P }>;

const settling = (want: Want = 'up'): State => ({ phase: 'settling', want });
const down = (fields: Partial<Phase<'down'>> = {}): State => ({
  phase: 'down',
  want: 'down',
  notBeforeNs: 0n,
  startAtNs: undefined,
  asked: false,
  leaving: false,
  ...fields,
});
const preparing = (fields: Partial<Phase<'preparing'>> = {}): State => ({
  phase: 'preparing',
  want: 'up',
  asked: false,
  leaving: false,
  ...fields,
});
const starting = (fields: Partial<Phase<'starting'>> = {}): State => ({
  phase: 'starting',
  want: 'up',
  leaving: false,
  ...fields,
});
const up = (fields: Partial<Phase<'up'>> = {}): State => ({
  phase: 'up',
  want: 'up',
  pid: 7,
  startedAtNs: 90n * SECOND_NS,
  paused: false,
  leaving: false,
  ...fields,
});
const gone = (want: Want = 'up'): State => ({ phase: 'gone', want });

const announce: Effect = { type: 'announce' };
const prepare: Effect = { type: 'prepare' };
const spawn: Effect = { type: 'spawn' };
const release: Effect = { type: 'release' };
const wake = (time: bigint): Effect => ({ type: 'wake', atNs: time });
const signal = (name: Extract<Effect, { type: 'signal' }>['signal']): Effect => ({
  type: 'signal',
  pid: 7,
  signal: name,
});
const stop = [signal('SIGTERM'), signal('SIGCONT')] as const;

const want = (wanted: Want): Event => ({ type: 'want', want: wanted, atNs });
const due: Event = { type: 'due', atNs };
const prepared: Event = { type: 'prepared', atNs };
const started: Event = { type: 'started', pid: 7, atNs };
const ended: Event = { type: 'ended', atNs };
const moved = (fields: { readonly paused: boolean }): Event => ({ type: 'moved', pid: 7, ...fields });
const failed = (passing: boolean): Event => ({ type: 'startFailed', passing, atNs });
const settled = (wanted: 'up' | 'down'): Event => ({ type: 'settled', want: wanted, atNs });

describe('settling', () => {
  test('settled without a down file, the service is prepared for its first start', () => {
    expect(transition(settling(), settled('up'))).toEqual([preparing(), announce, prepare]);
  });
  test('settled with a down file that came meanwhile, it stays down', () => {
    expect(transition(settling(), settled('down'))).toEqual([down({ notBeforeNs: atNs }), announce]);
  });
  test.each(['up', 'once'] as const)('wanted %s, it does not wait for quiet', (wanted) => {
    expect(transition(settling(), want(wanted))).toEqual([preparing({ want: wanted, asked: true }), announce, prepare]);
  });
  test('wanted down, it is not started when the directory is quiet', () => {
    const [state, ...effects] = transition(settling(), want('down'));
    expect([state, ...effects]).toEqual([down({ notBeforeNs: atNs, asked: true }), announce]);
    expect(transition(state, settled('up'))).toEqual([state]);
  });
  test('x ends supervision at once', () => {
    expect(transition(settling(), { type: 'leave' })).toEqual([gone(), announce, release]);
  });
  test.each(['pause', 'continue'] as const)('%s only publishes the status anew', (type) => {
    expect(transition(settling(), { type })).toEqual([settling(), announce]);
  });
});

describe('down', () => {
  test.each(['up', 'once'] as const)('wanted %s, and the second is over: it is prepared at once', (wanted) => {
    expect(transition(down({ notBeforeNs: atNs }), want(wanted))).toEqual([
      preparing({ want: wanted, asked: true }),
      announce,
      prepare,
    ]);
  });
  test.each(['up', 'once'] as const)('wanted %s within the second: it waits, so that starts are paced', (wanted) => {
    const notBeforeNs = atNs + 1n;
    expect(transition(down({ notBeforeNs }), want(wanted))).toEqual([
      down({ want: wanted, notBeforeNs, startAtNs: notBeforeNs, asked: true }),
      announce,
      wake(notBeforeNs),
    ]);
  });
  test('wanted down while a start is due: no start follows, as daemontools would still make one', () => {
    const waiting = down({ want: 'up', notBeforeNs: atNs + 1n, startAtNs: atNs + 1n });
    const [state, ...effects] = transition(waiting, want('down'));
    expect([state, ...effects]).toEqual([down({ notBeforeNs: atNs + 1n, asked: true }), announce]);
    expect(transition(state, { type: 'due', atNs: atNs + 1n })).toEqual([state]);
  });
  test('due at its time, the service is prepared', () => {
    expect(transition(down({ want: 'up', startAtNs: atNs }), due)).toEqual([preparing(), prepare]);
  });
  test('due too early, it goes on waiting', () => {
    const waiting = down({ want: 'up', startAtNs: atNs + 1n });
    expect(transition(waiting, due)).toEqual([waiting]);
  });
  test('due while nothing is to be started, nothing happens', () => {
    expect(transition(down(), due)).toEqual([down()]);
  });
  test('x ends supervision at once, and the wish stays as it was', () => {
    expect(transition(down({ want: 'once' }), { type: 'leave' })).toEqual([gone('once'), announce, release]);
  });
  test('x does not wait for a restart that nobody asked for', () => {
    const waiting = down({ want: 'up', notBeforeNs: atNs, startAtNs: atNs });
    expect(transition(waiting, { type: 'leave' })).toEqual([gone(), announce, release]);
  });
  test('x waits for the run that o asked for, and supervision ends after it', () => {
    const waiting = down({ want: 'once', notBeforeNs: atNs, startAtNs: atNs, asked: true });
    const [leaving, ...effects] = transition(waiting, { type: 'leave' });
    expect([leaving, ...effects]).toEqual([{ ...waiting, leaving: true }, announce]);
    const [asking] = transition(leaving, due);
    expect(asking).toEqual(preparing({ want: 'once', asked: true, leaving: true }));
    const [told, ...spawning] = transition(asking, prepared);
    expect([told, ...spawning]).toEqual([starting({ want: 'once', leaving: true }), spawn]);
    expect(transition(transition(told, started)[0], ended)).toEqual([gone('once'), announce, release]);
  });
  test('d takes back the run that x waits for, and supervision ends', () => {
    const leaving = down({ want: 'once', notBeforeNs: atNs + 1n, startAtNs: atNs + 1n, asked: true, leaving: true });
    expect(transition(leaving, want('down'))).toEqual([gone('down'), announce, release]);
  });
  test.each(['pause', 'continue'] as const)('%s is invisible, and publishes the status', (type) => {
    expect(transition(down(), { type })).toEqual([down(), announce]);
  });
});

describe('preparing', () => {
  test('prepared, the service is started', () => {
    expect(transition(preparing({ want: 'once' }), prepared)).toEqual([starting({ want: 'once' }), spawn]);
  });
  test('wanted down meanwhile, it is not started when it is prepared', () => {
    const [state, ...effects] = transition(preparing(), want('down'));
    expect([state, ...effects]).toEqual([preparing({ want: 'down', asked: true }), announce]);
    expect(transition(state, prepared)).toEqual([down({ notBeforeNs: atNs, asked: true }), announce]);
  });
  test('wanted down and up again meanwhile, it is started', () => {
    expect(transition(preparing({ want: 'down' }), want('up'))).toEqual([preparing({ asked: true }), announce]);
  });
  test('x meanwhile, for a start that nobody asked for: supervision ends at once, whatever plugins answer later', () => {
    expect(transition(preparing(), { type: 'leave' })).toEqual([gone(), announce, release]);
    expect(transition(gone(), prepared)).toEqual([gone()]);
  });
  test('x meanwhile, for a start that was asked for: it leaves after it', () => {
    const asked = preparing({ want: 'once', asked: true });
    expect(transition(asked, { type: 'leave' })).toEqual([{ ...asked, leaving: true }, announce]);
  });
  test('d and x meanwhile, in either order: supervision ends at once', () => {
    expect(transition(preparing({ want: 'down', asked: true }), { type: 'leave' })).toEqual([
      gone('down'),
      announce,
      release,
    ]);
    expect(transition(preparing({ asked: true, leaving: true }), want('down'))).toEqual([
      gone('down'),
      announce,
      release,
    ]);
  });
  test.each(['pause', 'continue'] as const)('%s only publishes the status anew', (type) => {
    expect(transition(preparing(), { type })).toEqual([preparing(), announce]);
  });
});

describe('starting', () => {
  test('started, it is up since then', () => {
    expect(transition(starting(), started)).toEqual([up({ startedAtNs: atNs }), announce]);
  });
  test('started although wanted down meanwhile: it is stopped', () => {
    const [state, ...effects] = transition(starting(), want('down'));
    expect([state, ...effects]).toEqual([starting({ want: 'down' }), announce]);
    expect(transition(state, started)).toEqual([up({ want: 'down', startedAtNs: atNs }), announce, ...stop]);
  });
  test('x meanwhile is remembered', () => {
    const [state, ...effects] = transition(starting(), { type: 'leave' });
    expect([state, ...effects]).toEqual([starting({ leaving: true }), announce]);
    expect(transition(state, started)).toEqual([up({ startedAtNs: atNs, leaving: true }), announce]);
  });
  test.each(['pause', 'continue'] as const)('%s only publishes the status anew', (type) => {
    expect(transition(starting(), { type })).toEqual([starting(), announce]);
  });
});

describe.each([
  { phase: 'preparing', make: preparing },
  { phase: 'starting', make: starting },
])('a start that fails while $phase', ({ make }) => {
  const notBeforeNs = atNs + SECOND_NS;
  test.each([true, false])('of a service wanted up is tried again after a second (passing: %s)', (passing) => {
    expect(transition(make(), failed(passing))).toEqual([
      down({ want: 'up', notBeforeNs, startAtNs: notBeforeNs }),
      announce,
      wake(notBeforeNs),
    ]);
  });
  test('of a service wanted once is its run', () => {
    expect(transition(make({ want: 'once' }), failed(false))).toEqual([down({ want: 'once', notBeforeNs }), announce]);
  });
  test('of a service wanted once is tried again when the system was out of something', () => {
    expect(transition(make({ want: 'once' }), failed(true))).toEqual([
      down({ want: 'once', notBeforeNs, startAtNs: notBeforeNs }),
      announce,
      wake(notBeforeNs),
    ]);
  });
  test.each([true, false])('of a service wanted down is not tried again (passing: %s)', (passing) => {
    expect(transition(make({ want: 'down' }), failed(passing))).toEqual([down({ notBeforeNs }), announce]);
  });
  test.each([true, false])('ends supervision after x (passing: %s)', (passing) => {
    expect(transition(make({ leaving: true }), failed(passing))).toEqual([gone(), announce, release]);
  });
});

describe('up', () => {
  test('wanted down: TERM, then CONT, paused no more, then the status; it stays up until the exit', () => {
    expect(transition(up({ paused: true }), want('down'))).toEqual([up({ want: 'down' }), ...stop, announce]);
  });
  test('wanted down twice: it is sent TERM twice', () => {
    expect(transition(up({ want: 'down' }), want('down'))).toEqual([up({ want: 'down' }), ...stop, announce]);
  });
  test.each(['up', 'once'] as const)('wanted %s, it runs on and only the wish changes', (wanted) => {
    expect(transition(up({ want: 'down', paused: true }), want(wanted))).toEqual([
      up({ want: wanted, paused: true }),
      announce,
    ]);
  });
  test.each(['SIGTERM', 'SIGHUP', 'SIGALRM', 'SIGINT', 'SIGKILL'] as const)(
    '%s goes to the process, and nothing is published',
    (name) => {
      expect(transition(up({ paused: true }), { type: 'signal', signal: name })).toEqual([
        up({ paused: true }),
        signal(name),
      ]);
    },
  );
  test('pause: the status first, then STOP', () => {
    expect(transition(up(), { type: 'pause' })).toEqual([up({ paused: true }), announce, signal('SIGSTOP')]);
  });
  test('continue: the status first, then CONT', () => {
    expect(transition(up({ paused: true }), { type: 'continue' })).toEqual([up(), announce, signal('SIGCONT')]);
  });
  test('x sends no signal', () => {
    expect(transition(up(), { type: 'leave' })).toEqual([up({ leaving: true }), announce]);
  });
  test('x cannot be taken back: u afterwards still ends in the end of supervision', () => {
    const [state] = transition(up({ leaving: true, want: 'down' }), want('up'));
    expect(transition(state, ended)).toEqual([gone(), announce, release]);
  });
  test('ended after a second or more, it is prepared again at once', () => {
    expect(transition(up({ startedAtNs: atNs - SECOND_NS }), ended)).toEqual([preparing(), announce, prepare]);
  });
  test('ended sooner, it is started again a second after its last start', () => {
    const startAtNs = atNs + 1n;
    expect(transition(up({ startedAtNs: startAtNs - SECOND_NS }), ended)).toEqual([
      down({ want: 'up', notBeforeNs: startAtNs, startAtNs }),
      announce,
      wake(startAtNs),
    ]);
  });
  test.each(['down', 'once'] as const)('ended, wanted %s: it stays down', (wanted) => {
    expect(transition(up({ want: wanted }), ended)).toEqual([
      down({ want: wanted, notBeforeNs: 91n * SECOND_NS }),
      announce,
    ]);
  });
  test('what was paused is not paused after its next start', () => {
    const [state] = transition(up({ paused: true }), ended);
    const [next] = transition(transition(state, prepared)[0], started);
    expect(next).toEqual(up({ startedAtNs: atNs }));
  });
});

describe('up, and going on as another process', () => {
  const before = up({ pid: 6, want: 'up' });

  test.each(['up', 'once'] as const)(
    'wanted %s: it has the new pid, and was started when the first one was',
    (wanted) => {
      expect(transition({ ...before, want: wanted }, moved({ paused: false }))).toEqual([
        up({ want: wanted }),
        announce,
      ]);
    },
  );
  test('it is paused where that one is, and nowhere else', () => {
    expect(transition(before, moved({ paused: true }))).toEqual([up({ paused: true }), announce]);
    expect(transition(up({ pid: 6, paused: true }), moved({ paused: false }))).toEqual([up(), announce]);
  });
  test.each([true, false])('wanted down, the new one is told to stop, paused or not: %s', (paused) => {
    expect(transition(up({ pid: 6, want: 'down' }), moved({ paused }))).toEqual([
      up({ want: 'down' }),
      announce,
      ...stop,
    ]);
  });
  test('it goes on leaving', () => {
    expect(transition(up({ pid: 6, leaving: true }), moved({ paused: false }))).toEqual([
      up({ leaving: true }),
      announce,
    ]);
  });
});

describe('what changes nothing', () => {
  const events: readonly Event[] = [
    want('up'),
    want('down'),
    want('once'),
    { type: 'signal', signal: 'SIGTERM' },
    { type: 'pause' },
    { type: 'continue' },
    { type: 'leave' },
    settled('up'),
    settled('down'),
    due,
    prepared,
    started,
    failed(true),
    failed(false),
    ended,
    moved({ paused: false }),
  ];
  test.each(events)('nothing follows on $type once supervision has ended', (event) => {
    expect(transition(gone('once'), event)).toEqual([gone('once')]);
  });

  const idle: readonly (readonly [State, readonly Event['type'][]])[] = [
    [settling(), ['signal', 'due', 'prepared', 'started', 'startFailed', 'ended', 'moved']],
    [down(), ['signal', 'settled', 'prepared', 'started', 'startFailed', 'ended', 'moved']],
    [preparing(), ['signal', 'settled', 'due', 'started', 'ended', 'moved']],
    [starting(), ['signal', 'settled', 'due', 'prepared', 'ended', 'moved']],
    [up(), ['settled', 'due', 'prepared', 'started', 'startFailed']],
  ];
  test.each(idle)('$phase is deaf to what cannot happen then', (state, types) => {
    for (const event of events.filter(({ type }) => types.includes(type))) {
      expect([event.type, transition(state, event)]).toEqual([event.type, [state]]);
    }
  });
});
