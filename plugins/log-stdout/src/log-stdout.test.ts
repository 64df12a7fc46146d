import { stripVTControlCharacters } from 'node:util';
import type { PluginFactory } from '@daemontap/kernel';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { logStdout } from './index.ts';
import type { LogStdoutOptions } from './index.ts';
import { showLines } from './lines.ts';

const shown = (block: string, prefix: Parameters<typeof showLines>[0] = { label: 'web', isColored: false }): string[] =>
  showLines(prefix)(Buffer.from(block)).map(String);

describe('lines', () => {
  test('get the name of their service, and are written together', () => {
    expect(shown('one\ntwo\n\n')).toEqual(['web: one\nweb: two\nweb: \n']);
  });
  test('without a prefix are as they were', () => {
    expect(showLines(undefined)(Buffer.from('one\ntwo\n')).map(String)).toEqual(['one\ntwo\n']);
  });
  test('the end of what is given ends a line', () => {
    expect(shown('one\ntw')).toEqual(['web: one\nweb: tw\n']);
  });
  test('are never divided between two pieces, and a piece has 4,096 bytes at most unless a line is longer', () => {
    const lines = Array.from({ length: 400 }, (_, index) => 'x'.repeat((index * 37) % 300));
    const pieces = shown([...lines, 'y'.repeat(10_000), 'end', ''].join('\n'));
    for (const piece of pieces) expect([piece.endsWith('\n'), piece.startsWith('web: ')]).toEqual([true, true]);
    expect(pieces.filter((piece) => piece.length > 4096).map((piece) => piece.length)).toEqual([10_006]);
    expect(pieces.join('')).toBe([...lines, 'y'.repeat(10_000), 'end'].map((line) => `web: ${line}\n`).join(''));
  });
  test('are bytes, whatever these mean', () => {
    const [piece] = showLines({ label: 'web', isColored: false })(Buffer.of(0xff, 0, 0xfe, 10));
    expect(piece).toEqual(Buffer.concat([Buffer.from('web: '), Buffer.of(0xff, 0, 0xfe, 10)]));
  });
  test('names have colours of their own, always the same', () => {
    const colored = (label: string): string => shown('x\n', { label, isColored: true }).join('');
    expect(stripVTControlCharacters(colored('web'))).toBe('web: x\n');
    expect(colored('web')).not.toBe('web: x\n');
    expect(colored('web')).toBe(colored('web'));
    expect(new Set(['a', 'b', 'c', 'd'].map((label) => colored(label).slice(0, 5))).size).toBeGreaterThan(1);
  });
});

test('the options are checked, all at once', () => {
  const wrong = { color: 'pink', prefix: 1, width: 3 } as unknown as LogStdoutOptions;
  expect(() => logStdout(wrong)).toThrow(/prefix: .*color: .*width/s);
});

test('the types say what it takes', () => {
  expectTypeOf(logStdout).toEqualTypeOf<PluginFactory<LogStdoutOptions>>();
  // @ts-expect-error: not a colour scheme
  expect(() => logStdout({ color: 'red' })).toThrow('color');
});
