/** tai64n, ours and djb's: transcript T54 and sections 1.7 and 9 of the behaviour reference. */
import { decodeTai64n } from '@daemontap/formats';
import { describe, expect, test } from 'vitest';
import { implementations } from '../e2e/support/implementations.ts';
import { run } from '../e2e/support/run.ts';
import type { Outcome } from '../e2e/support/run.ts';
import { slowPipe } from '../e2e/support/slow-pipe.ts';
import { start } from '../e2e/support/start.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import { until } from '../e2e/support/until.ts';

const silent = { code: 0, signal: undefined, stdout: '', stderr: '' };
const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte);

describe.each(implementations)('tai64n ($name)', (implementation) => {
  const path = implementation.path('tai64n');
  const tai64n = (input: string | Uint8Array, words: readonly string[] = []): Promise<Outcome> =>
    run([path, ...words], { input });

  test('each line gets a label, an empty and an unfinished one, too', async () => {
    const { stdout, ...rest } = await tai64n('one\n\ntwo');
    expect({ ...rest, stdout: masked(stdout) }).toEqual({ ...silent, stdout: '@STAMP one\n@STAMP \n@STAMP two' });
  });

  test('nothing in, nothing out', async () => {
    expect(await tai64n('')).toEqual(silent);
  });

  test('arguments do not matter', async () => {
    for (const words of [['-x'], ['--help'], ['--', 'a', 'b'], ['']]) {
      const { stdout, ...rest } = await tai64n('x\n', words);
      expect({ ...rest, stdout: masked(stdout) }).toEqual({ ...silent, stdout: '@STAMP x\n' });
    }
  });

  test('a label is the moment when its line came, in the middle of a microsecond', async () => {
    const before = BigInt(Date.now()) * 1_000_000n;
    const { stdout } = await tai64n('one\ntwo\nthree');
    const after = BigInt(Date.now() + 1) * 1_000_000n;
    const moments = stdout.split('\n').map(momentOf);
    expect(moments).toHaveLength(3);
    for (const moment of moments) {
      expect(moment).toBeGreaterThanOrEqual(before);
      expect(moment).toBeLessThanOrEqual(after);
      expect(moment % 1000n).toBe(500n);
    }
    expect(moments).toEqual(moments.toSorted((a, b) => Number(a - b)));
  });

  test.each([
    ['every byte', Buffer.from(everyByte)],
    ['every byte, many times', Buffer.concat(Array.from({ length: 2000 }, () => everyByte))],
    ['a line that is longer than anything', Buffer.from(`${'x'.repeat(300_000)}\n${'y'.repeat(300_000)}`)],
    ['many short lines', Buffer.from('\n'.repeat(200_000))],
    ['what looks like a label', Buffer.from('@4000000037c219bf2ef02e94 x\n@')],
    ['what means something to a replacement', Buffer.from("$& $1 $$ $` $'\n$<x>\n")],
  ])('%s comes out as it is, behind the labels', async (_, input) => {
    const { stdout, ...rest } = await tai64n(input);
    expect(rest).toEqual({ code: 0, signal: undefined, stderr: '' });
    expect(withoutLabels(stdout) === input.toString('latin1')).toBe(true);
  });

  test('what has come is passed on at once, and a label is taken with the first byte of a line', async () => {
    await using here = temporaryDirectory();
    using pipe = slowPipe(here);
    await using program = start([path], { cwd: here.path, stdin: pipe.reader });
    const says = (text: string): Promise<unknown> =>
      until(() => masked(program.stdout()) === text, { describe: `it says ${text}`, state: program.stdout });
    pipe.write('par');
    await says('@STAMP par');
    pipe.write('tial\n');
    await says('@STAMP partial\n');
    const between = BigInt(Date.now()) * 1_000_000n;
    pipe.write('n');
    await says('@STAMP partial\n@STAMP n');
    pipe.write('ext\n\nx');
    await says('@STAMP partial\n@STAMP next\n@STAMP \n@STAMP x');
    const [first, second] = program.stdout().split('\n').map(momentOf);
    expect(first).toBeLessThan(between + 1_000_000n);
    expect(second).toBeGreaterThanOrEqual(between);
    pipe[Symbol.dispose]();
    expect(await program.exit).toEqual({ code: 0, signal: undefined });
    expect(program.stderr()).toBe('');
  });
});

function masked(text: string): string {
  return text.replaceAll(/@[0-9a-f]{24}/g, '@STAMP');
}

function withoutLabels(text: string): string {
  return text.replaceAll(/^@[0-9a-f]{24} /gm, '');
}

function momentOf(line: string): bigint {
  return decodeTai64n(Buffer.from(line.slice(1, 25), 'hex')) ?? 0n;
}
