import { describe, expect, test } from 'vitest';
import { conditionOf, planCommand } from './commands.ts';
import type { Observed } from './commands.ts';
import { commandWords, waitedStates } from './schema.ts';
import type { CommandWord, WaitedState } from './schema.ts';

interface Sketch {
  readonly pid?: number;
  readonly paused?: boolean;
  readonly want?: 'up' | 'down' | 'once';
  readonly startDue?: boolean;
  readonly starts?: number;
  readonly isReleased?: boolean;
}
const seen = ({
  pid,
  paused = false,
  want = 'up',
  startDue = false,
  starts = 1,
  isReleased = false,
}: Sketch): Observed => ({
  status: { pid, paused, want, startDue },
  starts,
  isReleased,
});
const up = seen({ pid: 7 });
const once = seen({ pid: 7, want: 'once' });
const paused = seen({ pid: 7, paused: true });
const stopping = seen({ pid: 7, want: 'down' });
const down = seen({ want: 'down' });
const due = seen({ startDue: true });
const next = seen({ pid: 8, starts: 2 });
const nextEnded = seen({ startDue: true, starts: 2 });
const released = seen({ want: 'down', isReleased: true });

describe('a command', () => {
  test('is one letter, and restart is what makes another process run', () => {
    for (const [word, letter] of Object.entries(commandWords) as readonly [CommandWord, string | undefined][]) {
      if (letter !== undefined) expect(planCommand(word, up).letters).toEqual([letter]);
    }
    expect(
      [up, paused, once, stopping, down, due].map((before) => planCommand('restart', before).letters.join('')),
    ).toEqual(['tc', 'tc', 'utc', 'u', 'u', 'u']);
  });

  test.each<[CommandWord, Observed, string, Observed, boolean]>([
    ['up', up, 'with a process', up, true],
    ['up', down, 'while a start is due', due, false],
    ['up', down, 'with a process', next, true],
    ['up', down, 'where the process has ended at once', nextEnded, true],
    ['up', stopping, 'with the process that was told to stop', up, false],
    ['up', stopping, 'with another process', next, true],
    ['once', up, 'with a process', once, true],
    ['once', down, 'while a start is due', due, false],
    ['once', down, 'where it has run', seen({ want: 'once', starts: 2 }), true],
    ['restart', up, 'with the same process', up, false],
    ['restart', up, 'without a process', due, false],
    ['restart', up, 'with another process', next, true],
    ['restart', up, 'where that has ended at once', nextEnded, true],
    ['down', up, 'with a process', stopping, false],
    ['down', up, 'while a start is due', due, false],
    ['down', up, 'without a process', down, true],
    ['down', up, 'when it is released', released, true],
    ['pause', up, 'while it goes on', up, false],
    ['pause', up, 'once it is paused', paused, true],
    ['pause', down, 'without a process', down, true],
    ['continue', paused, 'while it is paused', paused, false],
    ['continue', paused, 'once it goes on', up, true],
    ['exit', up, 'with a process', up, false],
    ['exit', up, 'without one', down, false],
    ['exit', up, 'when it is released', released, true],
    ['kill', up, 'at once', up, true],
    ['hangup', down, 'at once', down, true],
  ])('%s, told to %o, %s is %o done: %s', (word, before, _when, now, isDone) => {
    expect(planCommand(word, before).isDone(now)).toBe(isDone);
  });
});

test('what is waited for, by what a service is', () => {
  const states: Readonly<Record<string, Observed>> = {
    up,
    once,
    paused,
    stopping,
    down,
    due,
    next,
    nextEnded,
    released,
  };
  const met = (state: WaitedState, before: Observed): readonly string[] =>
    Object.keys(states).filter((name) => conditionOf(state, before)(states[name] ?? up));
  expect(Object.fromEntries(waitedStates.map((state) => [state, met(state, up)]))).toEqual({
    up: ['up', 'once', 'paused', 'stopping', 'next'],
    running: ['up', 'once', 'stopping', 'next'],
    paused: ['paused'],
    down: ['down', 'released'],
    exited: ['down', 'due', 'next', 'nextEnded', 'released'],
    released: ['released'],
  });
  expect(met('exited', down)).toEqual(Object.keys(states));
});
