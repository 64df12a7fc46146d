import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseArguments } from './getopt.ts';

const known = { flags: 'nx', valued: 'd' };
/** What `words` parse to: options as `n` or `d=value`, then the operands; or the complaint. */
function parsed(...words: readonly string[]): unknown {
  const result = parseArguments(
    words.map((word) => Buffer.from(word, 'latin1')),
    known,
  );
  if ('complaint' in result) return `${result.complaint} -- ${result.letter.toString('latin1')}`;
  const options = result.options.map(({ letter, value }) =>
    value === undefined ? letter : `${letter}=${value.toString()}`,
  );
  return [options, result.operands.map(String)];
}

test.each([
  ['nothing', [], [[], []]],
  ['operands alone', ['a', 'b'], [[], ['a', 'b']]],
  ['a cluster', ['-nx', 'a'], [['n', 'x'], ['a']]],
  ['options behind an operand', ['-n', 'a', '-x'], [['n'], ['a', '-x']]],
  ['a lone dash', ['-n', '-', '-x'], [['n'], ['-', '-x']]],
  ['two dashes', ['-n', '--', '-x'], [['n'], ['-x']]],
  ['two dashes twice', ['--', '--'], [[], ['--']]],
  ['a word that begins with two dashes', ['--nx', 'a'], [[], ['a']]],
  ['an empty word', ['', '-n'], [[], ['', '-n']]],
  ['a value in the same word', ['-d100', 'a'], [['d=100'], ['a']]],
  ['a value in the next word', ['-d', '100', 'a'], [['d=100'], ['a']]],
  ['an empty value', ['-d', '', 'a'], [['d='], ['a']]],
  ['a value at the end of a cluster', ['-nxd5'], [['n', 'x', 'd=5'], []]],
  ['a value that looks like an option', ['-d', '-n', '-x'], [['d=-n', 'x'], []]],
])('%s', (_, words, expected) => {
  expect(parsed(...words)).toEqual(expected);
});

test.each([
  ['a letter that is none', ['-n', '-q'], 'illegal option -- q'],
  ['a dash in a cluster', ['-n-'], 'illegal option -- -'],
  ['a byte that is no character', ['-\xff'], 'illegal option -- \xff'],
  ['a value that is missing', ['-nd'], 'option requires an argument -- d'],
])('%s is complained about', (_, words, expected) => {
  expect(parsed(...words)).toBe(expected);
});

test('whatever the words are, it ends, and the operands are the last of them', () => {
  const word = fc.oneof(fc.constantFrom('-', '--', '-n', '-d', '-nx', ''), fc.string({ maxLength: 4 }));
  fc.assert(
    fc.property(fc.array(word), (words) => {
      const buffers = words.map((each) => Buffer.from(each));
      const result = parseArguments(buffers, known);
      const operands = 'operands' in result ? result.operands : [];
      expect(buffers.slice(buffers.length - operands.length)).toEqual(operands);
    }),
  );
});
