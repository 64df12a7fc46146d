/** Any history at all, driven through a small shell: what must never happen does not. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { commandEvent } from './commands.ts';
import type { Command } from './commands.ts';
import { transition } from './machine.ts';
import type { Effect, Event, State } from './machine.ts';

const SECOND_NS = 1_000_000_000n;

type Happening =
  | { readonly type: 'command'; readonly command: Command }
  | { readonly type: 'advance'; readonly ns: bigint }
  /** The process ends, when one runs. */
  | { readonly type: 'exit' }
  /** The process ends, when one runs, and another one is the service. */
  | { readonly type: 'move'; readonly paused: boolean }
  /** Plugins answer, when they were asked. */
  | { readonly type: 'answer'; readonly answer: 'prepared' | 'passing' | 'failed' }
  /** What the next start will do. */
  | { readonly type: 'plan'; readonly outcome: 'start' | 'passing' | 'failed' }
  | { readonly type: 'settle'; readonly want: 'up' | 'down' };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('command' as const),
      command: fc.constantFrom<Command[]>('u', 'd', 'o', 'p', 'c', 'h', 'a', 'i', 't', 'k', 'u', 'd', 'o'),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ type: 'command', command: 'x' } as const) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('advance' as const),
      ns: fc.oneof(
        fc.constantFrom(0n, 1n, SECOND_NS - 1n, SECOND_NS, SECOND_NS + 1n),
        fc.bigInt({ min: 0n, max: 3n * SECOND_NS }),
        fc.bigInt({ min: 0n, max: 2n ** 60n }),
      ),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ type: 'exit' } as const) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('move' as const), paused: fc.boolean() }) },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('answer' as const),
      answer: fc.constantFrom('prepared' as const, 'prepared' as const, 'prepared' as const, 'passing', 'failed'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('plan' as const),
      outcome: fc.constantFrom('start', 'passing', 'failed'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('settle' as const), want: fc.constantFrom('up', 'down') }) },
) as fc.Arbitrary<Happening>; // fast-check widens the literals

/** Does what the machine says, as the service shell does, and watches over it. */
class Shell {
  state: State;
  nowNs = 10n * SECOND_NS;
  timerAtNs: bigint | undefined;
  pid: number | undefined;
  #lastPid = 0;
  #lastStartNs: bigint | undefined;
  #asking = false;
  #told: string[] = [];
  #outcome: 'start' | 'passing' | 'failed' = 'start';
  #mayStart: boolean;
  #hasLeft = false;
  #left = false;
  /** A command has asked for a start since the last process. */
  #asked = false;

  constructor(begins: 'settling' | 'up' | 'down') {
    this.#mayStart = begins !== 'down';
    this.state =
      begins === 'settling'
        ? { phase: 'settling', want: 'up' }
        : {
            phase: 'down',
            want: begins,
            notBeforeNs: this.nowNs,
            startAtNs: begins === 'up' ? this.nowNs : undefined,
            asked: false,
            leaving: false,
          };
    if (begins !== 'settling') this.dispatch({ type: 'due', atNs: this.nowNs });
  }

  happen(what: Happening): void {
    switch (what.type) {
      case 'command':
        if (what.command === 'd') this.#mayStart = this.#asked = false;
        if (what.command === 'u' || what.command === 'o') this.#mayStart = true;
        if (this.#mayStart && this.pid === undefined && 'uo'.includes(what.command)) this.#asked = true;
        if (what.command === 'x') this.#left = true;
        this.dispatch(commandEvent(what.command, this.nowNs));
        break;
      case 'advance':
        this.#advance(what.ns);
        break;
      case 'exit':
        if (this.pid === undefined) break;
        this.pid = undefined;
        this.dispatch({ type: 'ended', atNs: this.nowNs });
        break;
      case 'move':
        if (this.pid === undefined) break;
        this.pid = ++this.#lastPid;
        this.#told = [];
        this.dispatch({ type: 'moved', pid: this.pid, paused: what.paused });
        if (this.state.want === 'down') expect(this.#told, 'who is to stop is told').toEqual(['SIGTERM', 'SIGCONT']);
        else expect(this.#told).toEqual([]);
        break;
      case 'answer':
        if (!this.#asking) break;
        this.#asking = false;
        if (what.answer !== 'prepared') this.#asked = false;
        if (what.answer === 'prepared') this.dispatch({ type: 'prepared', atNs: this.nowNs });
        else this.dispatch({ type: 'startFailed', passing: what.answer === 'passing', atNs: this.nowNs });
        break;
      case 'plan':
        this.#outcome = what.outcome;
        break;
      case 'settle':
        if (this.state.phase === 'settling' && what.want === 'down') this.#mayStart = false;
        this.dispatch({ type: 'settled', want: what.want, atNs: this.nowNs });
        break;
    }
    this.#check();
  }

  #advance(ns: bigint): void {
    const targetNs = this.nowNs + ns;
    while (this.timerAtNs !== undefined && this.timerAtNs <= targetNs) {
      this.nowNs = this.timerAtNs > this.nowNs ? this.timerAtNs : this.nowNs;
      this.timerAtNs = undefined;
      this.dispatch({ type: 'due', atNs: this.nowNs });
      this.#check();
    }
    this.nowNs = targetNs;
  }

  dispatch(event: Event): void {
    const inbox = [event];
    for (const current of inbox) {
      const [next, ...effects] = transition(this.state, current);
      if (this.#hasLeft) expect([next, effects]).toEqual([this.state, []]);
      this.state = next;
      if (next.phase !== 'down' || next.startAtNs === undefined) this.timerAtNs = undefined;
      for (const effect of effects) this.#perform(effect, inbox);
    }
  }

  #perform(effect: Effect, inbox: Event[]): void {
    switch (effect.type) {
      case 'announce':
        break;
      case 'prepare':
        expect(this.#asking, 'plugins are asked once').toBe(false);
        expect(this.pid, 'nothing is prepared while a process runs').toBeUndefined();
        this.#asking = true;
        break;
      case 'spawn': {
        expect(this.pid, 'there are never two processes').toBeUndefined();
        expect(this.#mayStart, 'nothing is started after d').toBe(true);
        expect(this.#left && !this.#asked, 'nothing is started after x that was not asked for').toBe(false);
        this.#asked = false;
        const isPaced = this.#lastStartNs === undefined || this.nowNs - this.#lastStartNs >= SECOND_NS;
        expect(isPaced, 'there are never two starts within a second').toBe(true);
        this.#lastStartNs = this.nowNs;
        if (this.#outcome === 'start') {
          this.pid = ++this.#lastPid;
          inbox.push({ type: 'started', pid: this.pid, atNs: this.nowNs });
        } else inbox.push({ type: 'startFailed', passing: this.#outcome === 'passing', atNs: this.nowNs });
        break;
      }
      case 'signal':
        expect(effect.pid, 'signals go to the process that runs').toBe(this.pid);
        this.#told.push(effect.signal);
        break;
      case 'wake':
        expect(this.state, 'a wake is for a state that has it').toMatchObject({
          phase: 'down',
          startAtNs: effect.atNs,
        });
        this.timerAtNs = effect.atNs;
        break;
      case 'release':
        expect(this.state.phase).toBe('gone');
        expect(this.pid, 'supervision ends after the process').toBeUndefined();
        expect(this.#hasLeft, 'supervision ends once').toBe(false);
        this.#hasLeft = true;
        break;
    }
  }

  #check(): void {
    const { state } = this;
    expect(state.phase === 'up' ? state.pid : undefined, 'what it says is what runs').toBe(this.pid);
    const isWaiting = state.phase === 'down' && state.startAtNs !== undefined;
    expect(this.timerAtNs, 'a timer is there for a due start, and for nothing else').toBe(
      isWaiting ? state.startAtNs : undefined,
    );
    if (state.phase === 'down' && state.want === 'down') expect(state.startAtNs).toBeUndefined();
    if (this.#left && this.pid === undefined && !this.#asking && !this.#asked) expect(state.phase).toBe('gone');
    if (state.phase === 'down' && state.want === 'up') expect(isWaiting, 'wanted up, a start is due').toBe(true);
  }
}

test('whatever happens in whatever order, no rule of supervision is broken', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('settling' as const, 'up' as const, 'down' as const),
      fc.array(happening, { maxLength: 60 }),
      (begins, happenings) => {
        const shell = new Shell(begins);
        for (const each of happenings) shell.happen(each);
      },
    ),
    { numRuns: 2000 },
  );
});

test('whatever has happened, d ends in down without a start once the process has ended', () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 40 }), (happenings) => {
      const shell = new Shell('up');
      for (const each of happenings) shell.happen(each);
      const closing = [
        { type: 'command', command: 'd' },
        { type: 'answer', answer: 'prepared' },
        { type: 'exit' },
        { type: 'advance', ns: 10n * SECOND_NS },
      ] as const;
      for (const each of closing) shell.happen(each);
      if (shell.state.phase !== 'gone') {
        expect(shell.state).toMatchObject({ phase: 'down', want: 'down', startAtNs: undefined });
      }
      expect([shell.pid, shell.timerAtNs]).toEqual([undefined, undefined]);
    }),
  );
});

test('whatever has happened, x ends supervision once the process has ended, and u does not bring it back', () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 40 }), (happenings) => {
      const shell = new Shell('up');
      for (const each of happenings) shell.happen(each);
      const closing = [
        { type: 'command', command: 'x' },
        { type: 'command', command: 'u' },
        { type: 'answer', answer: 'prepared' },
        { type: 'exit' },
        { type: 'advance', ns: 10n * SECOND_NS },
        { type: 'answer', answer: 'prepared' },
        { type: 'exit' },
      ] as const;
      for (const each of closing) shell.happen(each);
      expect([shell.state.phase, shell.pid, shell.timerAtNs]).toEqual(['gone', undefined, undefined]);
    }),
  );
});
