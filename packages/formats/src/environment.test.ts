import { expect, test } from 'vitest';
import { changeEnvironment, environmentEntry, environmentValue } from './environment.ts';

const bytes = (...entries: readonly string[]): readonly Buffer[] =>
  entries.map((entry) => Buffer.from(entry, 'latin1'));
const text = (entries: readonly Buffer[]): readonly string[] => entries.map((entry) => entry.toString('latin1'));
const after = (environment: readonly string[], entry: string): readonly string[] =>
  text(changeEnvironment(bytes(...environment), Buffer.from(entry, 'latin1')));

test('the value of a variable is that of its first entry, whatever bytes it has', () => {
  const environment = bytes('PATH', 'PATHS=1', 'PATH=\xff=\n', 'PATH=2');
  expect(environmentValue(environment, 'PATH')?.toString('latin1')).toBe('\xff=\n');
  expect(environmentValue(environment, 'PAT')).toBeUndefined();
  expect(environmentValue(bytes('A='), 'A')?.length).toBe(0);
});

test('a variable is replaced or added', () => {
  expect(after(['A=1', 'B=2'], 'A=3')).toEqual(['B=2', 'A=3']);
  expect(after(['B=2'], 'A=3')).toEqual(['B=2', 'A=3']);
  expect(after(['AA=1', 'A'], 'A=')).toEqual(['AA=1', 'A', 'A=']);
});

test('an entry without = removes its variable', () => {
  expect(after(['A=1', 'B=2'], 'A')).toEqual(['B=2']);
  expect(after(['AB=1'], 'A')).toEqual(['AB=1']);
});

test('of a variable that is there twice the first goes', () => {
  expect(after(['A=1', 'B=2', 'A=3'], 'A')).toEqual(['B=2', 'A=3']);
  expect(after(['A=1', 'B=2', 'A=3'], 'A=4')).toEqual(['B=2', 'A=3', 'A=4']);
});

test('a name ends at the first =', () => {
  expect(after(['X=1', 'X=Y=2'], 'X=Y=y')).toEqual(['X=Y=2', 'X=Y=y']);
  expect(after(['=1'], '=2')).toEqual(['=2']);
});

test.each([
  ['', 'NAME'],
  ['value\nsecond line\n', 'NAME=value'],
  ['value', 'NAME=value'],
  [' a b \t \n', 'NAME= a b'],
  ['\n', 'NAME='],
  [' \t', 'NAME='],
  ['one\0two \0\n', 'NAME=one\ntwo \n'],
  ['\xff=\r\n', 'NAME=\xff=\r'],
])('a file of envdir with %j is the entry %j', (content, entry) => {
  const file = { name: Buffer.from('NAME'), content: Buffer.from(content, 'latin1') };
  expect(environmentEntry(file).toString('latin1')).toBe(entry);
  expect(file.content.toString('latin1')).toBe(content);
});
