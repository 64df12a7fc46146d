import { userInfo } from 'node:os';
import type { PluginFactory } from '@daemontap/kernel';
import { applyAlone } from '@daemontap/testkit';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { logMultilog } from './index.ts';
import type { LogMultilogOptions } from './index.ts';
import { faultOfWord } from './script-fault.ts';

const account = userInfo().username;

describe('a word of a script', () => {
  test.each(['t', 'e', 's4096', 'n2', '!gzip -9', '+*', '-* x', '+', '-', '=status', './main', '/var/log/x'])(
    '%s is one of multilog`s',
    (word) => {
      expect(faultOfWord(word)).toBeUndefined();
    },
  );
  test.each([
    ['', 'no word'],
    ['main', 'no word'],
    ['tt', 'stands alone'],
    ['e2', 'stands alone'],
    ['s', 'a number must follow s'],
    ['s1k', 'a number must follow s'],
    ['n-1', 'a number must follow n'],
    ['=', 'a file name'],
    ['!', 'a command'],
    ['./a\0b', 'zero byte'],
  ])('%j would be passed over by multilog, and is refused', (word, fault) => {
    expect(faultOfWord(word)).toContain(fault);
  });
});

test('a script that writes nothing to a directory is refused', () => {
  expect(() => logMultilog({ account, script: ['t', '=status'] })).toThrow('it names no directory');
});

test('an account that does not exist is told before anything is started', () => {
  expect(() => applyAlone(logMultilog({ account: 'no-such-account' }))).toThrow(
    'unable to write logs as no-such-account',
  );
});

test.runIf(process.geteuid?.() === 0)('root writes no logs by accident', () => {
  expect(() => applyAlone(logMultilog())).toThrow('unable to write logs as root');
});

test('the types say what it takes', () => {
  expectTypeOf(logMultilog).toEqualTypeOf<PluginFactory<LogMultilogOptions>>();
  // @ts-expect-error: one word an item
  expect(() => logMultilog({ script: 't ./main' })).toThrow('script');
});
