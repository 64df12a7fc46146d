import { expect, test } from 'vitest';
import { commandLetters, commandNames, commandSignals, parseCommand } from './commands.ts';

test('the bytes that are commands are the letters of svc and no others', () => {
  const commands = Array.from({ length: 256 }, (_, byte) => parseCommand(byte)).filter((each) => each !== undefined);
  expect(commands.toSorted()).toEqual([...'acdhikoptux']);
});

test('names and order are those of the usage line of svc', () => {
  expect(commandLetters.map((letter) => `${letter} ${commandNames[letter]}`).join(', ')).toBe(
    'u up, d down, o once, x exit, p pause, c continue, h hup, a alarm, i interrupt, t term, k kill',
  );
});

test('the commands that only send a signal name it', () => {
  expect(commandLetters.filter((letter) => commandSignals[letter] !== undefined)).toEqual([...'haitk']);
});
