import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { candidates, searchAmong } from './search.ts';

const { E2BIG, EACCES, EISDIR, ENOENT, ENOEXEC, ENOTDIR, EPERM } = constants.errno;
const paths = (name: string, ...environment: readonly string[]): readonly string[] =>
  candidates(
    Buffer.from(name),
    environment.map((entry) => Buffer.from(entry)),
  ).map(String);

describe('the paths to try', () => {
  test('are the name itself when it has a slash', () => {
    expect(paths('./x', 'PATH=/bin')).toEqual(['./x']);
    expect(paths('/', 'PATH=/bin')).toEqual(['/']);
  });
  test('are one for each component of PATH, where an empty one is the current directory', () => {
    expect(paths('x', 'PATH=/a:b::/c:')).toEqual(['/a/x', 'b/x', './x', '/c/x', './x']);
    expect(paths('x', 'PATH=')).toEqual(['./x']);
    expect(paths('', 'PATH=/a')).toEqual(['/a/']);
  });
  test('are in /bin and /usr/bin without a PATH', () => {
    expect(paths('x')).toEqual(['/bin/x', '/usr/bin/x']);
  });
});

describe('the search', () => {
  const outcome = (...failures: readonly number[]): readonly [failure: number, tried: number] => {
    let tried = 0;
    const files = failures.map(() => Buffer.from('x'));
    const failure = searchAmong(files, () => failures[tried++] ?? 0);
    return [failure, tried];
  };
  test('ends at what can be run', () => {
    expect(outcome(ENOENT, 0, ENOENT)).toEqual([0, 2]);
  });
  test('goes on after what may not be run, and tells it at the end', () => {
    for (const failure of [EACCES, EPERM, EISDIR]) expect(outcome(ENOENT, failure, ENOENT)).toEqual([failure, 3]);
    expect(outcome(EACCES, EPERM)).toEqual([EPERM, 2]);
    expect(outcome(EACCES, 0)).toEqual([0, 2]);
  });
  test('ends at any other error', () => {
    for (const failure of [ENOTDIR, ENOEXEC, E2BIG]) expect(outcome(EACCES, failure, 0)).toEqual([failure, 2]);
  });
  test('finds nothing where nothing is', () => {
    expect(outcome(ENOENT, ENOENT)).toEqual([ENOENT, 2]);
    expect(outcome()).toEqual([ENOENT, 0]);
  });
});
