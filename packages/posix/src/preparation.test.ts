import { expect, expectTypeOf, test } from 'vitest';
import { parsePreparation, preparationWords } from './preparation.ts';
import type { Preparation, ProcessAccount } from './preparation.ts';

const bytes = (...words: readonly string[]): readonly Buffer[] => words.map((word) => Buffer.from(word, 'latin1'));
const run = { file: Buffer.from('./run\xff', 'latin1'), argv: bytes('run', '', '\xff -') };

test.each<[Pick<Preparation, 'account' | 'softLimits'>, string, string]>([
  [{ account: undefined, softLimits: {} }, '-', '-'],
  [{ account: { uid: 33, gid: 34, groups: [] }, softLimits: { core: 0n } }, '33:34:', 'core=0'],
  [
    { account: { uid: 2 ** 32 - 2, gid: 0, groups: [4, 5] }, softLimits: { as: 2n ** 64n - 1n, cpu: 1n } },
    '4294967294:0:4,5',
    'as=18446744073709551615,cpu=1',
  ],
])('what is to be done is told in words, and read from them: %o', (what, account, limits) => {
  const words = preparationWords({ ...what, ...run });
  expect(words).toEqual([...bytes(account, limits), run.file, ...run.argv]);
  expect(parsePreparation(words)).toEqual({ ...what, ...run });
});

test.each([
  [],
  ['-', '-', './run'],
  ['', '-', './run', './run'],
  ['33', '-', './run', './run'],
  ['33:33', '-', './run', './run'],
  ['33:-1:', '-', './run', './run'],
  ['33:33:4,', '-', './run', './run'],
  ['33:33:\n', '-', './run', './run'],
  ['-', '', './run', './run'],
  ['-', 'core', './run', './run'],
  ['-', 'core=', './run', './run'],
  ['-', 'core=-1', './run', './run'],
  ['-', 'toString=1', './run', './run'],
])('other words are refused: %j %j %j %j', (...words) => {
  expect(() => parsePreparation(bytes(...words))).toThrow('unable to prepare a start: ');
});

test('the types say who a process is', () => {
  expectTypeOf<Preparation['account']>().toEqualTypeOf<ProcessAccount | undefined>();
  // @ts-expect-error: there is no such limit
  const wrong: Preparation['softLimits'] = { locks: 5n };
  expect(wrong).toBeDefined();
});
