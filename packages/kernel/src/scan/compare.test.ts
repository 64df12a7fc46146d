import { expect, test } from 'vitest';
import type { ScanEntry } from '../ports.ts';
import { compareScan } from './compare.ts';
import type { KnownService } from './compare.ts';

const directory = (name: string, identity: string, changedAtNs = 5n): ScanEntry => ({
  name: Buffer.from(name),
  found: { type: 'directory', identity, changedAtNs },
});
const known = (name: string, identity: string, present = true): KnownService => ({
  name: Buffer.from(name),
  identity,
  present,
});
const begin = (name: string, identity: string, instead: readonly string[] = []) => ({
  type: 'begin',
  name: Buffer.from(name),
  identity,
  instead,
});
const revisit = (name: string, identity: string, changedAtNs = 5n) => ({
  type: 'revisit',
  name: Buffer.from(name),
  identity,
  changedAtNs,
});

test('new directories are begun in the order of their names', () => {
  const entries = [directory('b', '1-2'), directory('a', '1-3'), directory('\u00e9', '1-4')];
  expect(compareScan(entries, [])).toEqual([begin('a', '1-3'), begin('b', '1-2'), begin('\u00e9', '1-4')]);
});

test('a file is nothing, and a look that failed is complained of', () => {
  const cause = new Error('dangling');
  const entries: ScanEntry[] = [
    { name: Buffer.from('file'), found: { type: 'other' } },
    { name: Buffer.from('link'), found: { type: 'failed', cause } },
  ];
  expect(compareScan(entries, [])).toEqual([{ type: 'complain', name: Buffer.from('link'), cause }]);
});

test('a known directory is visited again, with what was seen of it', () => {
  expect(compareScan([directory('a', '1-2', 9n)], [known('a', '1-2')])).toEqual([revisit('a', '1-2', 9n)]);
});

test('a renamed directory is the same service under its new name', () => {
  expect(compareScan([directory('b', '1-2')], [known('a', '1-2')])).toEqual([revisit('b', '1-2')]);
});

test('two directories that have exchanged their names are both the same services', () => {
  const entries = [directory('a', '1-2'), directory('b', '1-1')];
  expect(compareScan(entries, [known('a', '1-1'), known('b', '1-2')])).toEqual([
    revisit('a', '1-2'),
    revisit('b', '1-1'),
  ]);
});

test('a directory that is missing has vanished, once', () => {
  expect(compareScan([], [known('a', '1-2')])).toEqual([{ type: 'vanish', identity: '1-2' }]);
  expect(compareScan([], [known('a', '1-2', false)])).toEqual([]);
});

test('one that reappears is visited again', () => {
  expect(compareScan([directory('a', '1-2')], [known('a', '1-2', false)])).toEqual([revisit('a', '1-2')]);
});

test('a known directory that cannot be looked at has vanished for now', () => {
  const cause = new Error('stale');
  const entries: ScanEntry[] = [{ name: Buffer.from('a'), found: { type: 'failed', cause } }];
  expect(compareScan(entries, [known('a', '1-2')])).toEqual([
    { type: 'complain', name: Buffer.from('a'), cause },
    { type: 'vanish', identity: '1-2' },
  ]);
});

test('another directory under a known name is begun instead of the one that had it', () => {
  expect(compareScan([directory('a', '1-9')], [known('a', '1-2')])).toEqual([
    { type: 'vanish', identity: '1-2' },
    begin('a', '1-9', ['1-2']),
  ]);
});

test('another directory under the name of one that was renamed takes nothing away from it', () => {
  expect(compareScan([directory('a', '1-9'), directory('b', '1-2')], [known('a', '1-2')])).toEqual([
    begin('a', '1-9'),
    revisit('b', '1-2'),
  ]);
});

test('two names for one new directory are one service, called by the first', () => {
  expect(compareScan([directory('b', '1-2'), directory('a', '1-2')], [])).toEqual([begin('a', '1-2')]);
});

test('a second name for a known directory does not change what it is called', () => {
  expect(compareScan([directory('a', '1-2'), directory('b', '1-2')], [known('b', '1-2')])).toEqual([
    revisit('b', '1-2'),
  ]);
});
