import { commandLetters } from '@daemontap/formats';
import { expect, expectTypeOf, test } from 'vitest';
import type { Command as LetterOnTheWire } from '@daemontap/formats';
import { commandEvent } from './commands.ts';
import type { Command } from './commands.ts';
import type { Event } from './machine.ts';

const events: Readonly<Record<Command, Event>> = {
  u: { type: 'want', want: 'up', atNs: 5n },
  d: { type: 'want', want: 'down', atNs: 5n },
  o: { type: 'want', want: 'once', atNs: 5n },
  p: { type: 'pause' },
  c: { type: 'continue' },
  h: { type: 'signal', signal: 'SIGHUP' },
  a: { type: 'signal', signal: 'SIGALRM' },
  i: { type: 'signal', signal: 'SIGINT' },
  t: { type: 'signal', signal: 'SIGTERM' },
  k: { type: 'signal', signal: 'SIGKILL' },
  x: { type: 'leave' },
};

test.each(Object.entries(events))('the command %s is the event that daemontools means by it', (command, event) => {
  expect(commandEvent(command as Command, 5n)).toEqual(event);
});

test('every letter that svc sends is a command of the kernel, and no other', () => {
  expect([...commandLetters].toSorted()).toEqual(Object.keys(events).toSorted());
  expectTypeOf<Command>().toEqualTypeOf<LetterOnTheWire>();
});
