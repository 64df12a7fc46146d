/** Words for what is wrong. */
import { expect, test } from 'vitest';
import { ConfigurationError, enumerate, keyText, problemsOf, suggestion } from './problem.ts';

test.each([
  ['intervall', ' (did you mean interval?)'],
  ['Interval', ' (did you mean interval?)'],
  ['timeout', ' (did you mean stopTimeout?)'],
  ['jit', ''],
  ['x', ''],
  ['completely', ''],
])('the name nearest to %s%s', (word, text) => {
  expect(suggestion(word, ['interval', 'stopTimeout', 'jitter'])).toBe(text);
});

test('of no names, none is near', () => expect(suggestion('interval', [])).toBe(''));

test.each([
  [[], ''],
  [['plugins', 2, 1, 'interval'], 'plugins[2][1].interval'],
  [['services', 'a/log', 'log-pipe', 'x'], 'services["a/log"].log-pipe.x'],
  [[0], '[0]'],
])('keys %j are written %s', (path, text) => {
  expect(keyText(path)).toBe(text);
});

test('words are enumerated', () => {
  expect([enumerate([]), enumerate(['a']), enumerate(['a', 'b'], 'or'), enumerate(['a', 'b', 'c'])]).toEqual([
    '',
    'a',
    'a or b',
    'a, b and c',
  ]);
});

test('the error has a line for each problem, and other errors are passed on', () => {
  const problems = [
    { place: 'a', message: 'b' },
    { place: 'c', message: 'd' },
  ];
  const error = new ConfigurationError(problems);
  expect([error.name, error.message, problemsOf(error)]).toEqual(['ConfigurationError', 'a: b\nc: d', problems]);
  const other = new Error('else');
  expect(() => problemsOf(other)).toThrow(other);
});
