/** The files of multilog, ours and C's: T39, T48, T49 and sections 8.1 and 8.4 to 8.7 of the behaviour reference. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { fatal, silent } from '../e2e/support/chain-loading.ts';
import {
  fedMultilog,
  finishedFiles,
  listing,
  logFiles,
  logged,
  maskStamps,
  modeOf,
  momentOf,
  multilogs,
  textOf,
} from '../e2e/support/multilog.ts';
import { joinBytes, oddNames } from '../e2e/support/odd-names.ts';
import { run } from '../e2e/support/run.ts';
import type { Argument, Outcome } from '../e2e/support/run.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import type { TemporaryDirectory } from '../e2e/support/temporary-directory.ts';
import { until } from '../e2e/support/until.ts';

const canTrace = tryTrace();
if (!canTrace) console.log('skipped: the order of what multilog does to its files; it needs strace');

const SLACK = 2000;
const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

/** Lines of 50 bytes with their newline, with their numbers. */
const numbered = (count: number, from = 0): string =>
  Array.from({ length: count }, (_, index) => `${String(from + index).padStart(49, '0')}\n`).join('');

/** The words for a size each with the size of the first file, when no newline shows up. */
const sizes: readonly (readonly [word: string, size: number])[] = [
  ['s', 4096],
  ['s0', 4096],
  ['s1', 4096],
  ['s4095', 4096],
  ['s4096', 4096],
  ['s4097', 4097],
  ['s5000x9', 5000],
  ['s0005000', 5000],
  ['sx5000', 4096],
  ['s-5000', 4096],
  ['s+5000', 4096],
  ['s 5000', 4096],
  ['s99999', 99_999],
  ['s18446744073709551616', 4096],
  ['s18446744073709556616', 5000],
  ['s184467440737095566160', 50_000],
];

/** The words for a number each with how many finished files there may be. */
const numbers: readonly (readonly [word: string, old: number])[] = [
  ['n', 1],
  ['n0', 1],
  ['n1', 1],
  ['n2', 1],
  ['n3', 2],
  ['n03x', 2],
  ['nx3', 1],
  ['n-3', 1],
  ['n10', 9],
  ['n18446744073709551616', 1],
  ['n18446744073709551620', 3],
  ['n4294967299', Infinity],
];

/** Asserts what holds for every log directory: section 8.5. */
function expectBounds(directory: string, size: number, hasLongLines = false): void {
  for (const { name, text } of finishedFiles(directory)) {
    expect(text.length, name).toBeLessThanOrEqual(size);
    expect(text.length, name).toBeGreaterThanOrEqual(size - SLACK);
    if (!hasLongLines) expect(text.endsWith('\n'), name).toBe(true);
    // Nothing but the last lines may lie in the slack.
    if (!text.endsWith('\n')) expect(text.slice(size - SLACK), name).not.toContain('\n');
  }
  const current = textOf(`${directory}/current`) ?? '';
  expect(current.length).toBeLessThan(size);
}

describe.concurrent.each(multilogs)('the files of multilog ($name)', (implementation) => {
  const multilog = implementation.path('multilog');
  const log = (here: TemporaryDirectory, words: readonly Argument[], input: string | Uint8Array): Promise<Outcome> =>
    run([multilog, ...words], {
      cwd: here.path,
      input: typeof input === 'string' ? Buffer.from(input, 'latin1') : input,
    });

  describe('sizes', () => {
    test('each word for a size', async () => {
      await using here = temporaryDirectory();
      const words = sizes.flatMap(([word], index) => [word, `./${index}`]);
      expect(await log(here, ['n1000', './default', ...words], 'x'.repeat(120_000))).toEqual(silent);
      const sizeIn = (name: string): number | undefined => finishedFiles(here.join(name))[0]?.text.length;
      expect(sizeIn('default')).toBe(99_999);
      for (const [index, [word, size]] of sizes.entries()) expect(sizeIn(String(index)), word).toBe(size);
    });

    test('more than 16,777,215 is that', async () => {
      await using here = temporaryDirectory();
      const input = 'x'.repeat(16_778_000);
      for (const word of ['s16777215', 's99999999999']) {
        expect(await log(here, [word, `./${word}`], input)).toEqual(silent);
        expect(finishedFiles(here.join(word)).map(({ text }) => text.length)).toEqual([16_777_215]);
        expect(textOf(here.join(word, 'current'))).toHaveLength(16_778_001 - 16_777_215);
      }
    });

    test('each word for a number, and what is kept is the newest', async () => {
      await using here = temporaryDirectory();
      const words = numbers.flatMap(([word], index) => [word, `./${index}`]);
      const input = numbered(1200);
      expect(await log(here, ['s4096', './default', ...words], input)).toEqual(silent);
      for (const [name, old, word] of [
        ['default', 9, 'none'] as const,
        ...numbers.map(([word, count], index) => [String(index), count, word] as const),
      ]) {
        const files = finishedFiles(here.join(name));
        if (old === Infinity) expect(files.length, word).toBeGreaterThan(14);
        else expect(files, word).toHaveLength(old);
        expect(input.endsWith(logged(here.join(name))), word).toBe(true);
        if (old === Infinity) expect(logged(here.join(name))).toBe(input);
      }
    });

    test('hold for the directories behind them, until the next', async () => {
      await using here = temporaryDirectory();
      const words = ['./a', 's4096', 'n3', './b', 's8192', './c', 'n5', './d', 's', 'n', './e'];
      expect(await log(here, words, numbered(3000))).toEqual(silent);
      const seen = ['a', 'b', 'c', 'd', 'e'].map((name) => {
        const files = finishedFiles(here.join(name));
        return [files.length, Math.max(...files.map(({ text }) => Math.ceil(text.length / 4096)))];
      });
      expect(seen).toEqual([
        [1, 24],
        [2, 1],
        [2, 2],
        [4, 2],
        [1, 1],
      ]);
    });
  });

  describe('rotation', () => {
    test.each([
      ['lines of 50 bytes', numbered(2000)],
      ['empty lines', '\n'.repeat(30_000)],
      ['lines of 1000 bytes', `${'x'.repeat(999)}\n`.repeat(100)],
      ['lines of 1999 bytes', `${'x'.repeat(1998)}\n`.repeat(50)],
      ['lines of many lengths', Array.from({ length: 400 }, (_, n) => `${'y'.repeat((n * 37) % 600)}\n`).join('')],
    ])('%s: files end in the last 2000 bytes, with a newline', async (_, input) => {
      await using here = temporaryDirectory();
      expect(await log(here, ['n1000', 's4096', './a', 's5001', './b', 's20000', './c'], input)).toEqual(silent);
      for (const [name, size] of [
        ['a', 4096],
        ['b', 5001],
        ['c', 20_000],
      ] as const) {
        expectBounds(here.join(name), size);
        expect(finishedFiles(here.join(name)).length).toBeGreaterThanOrEqual(Math.floor(input.length / size));
        expect(logged(here.join(name))).toBe(input);
      }
    });

    test.each([
      ['lines of 2001 bytes', `${'x'.repeat(2000)}\n`.repeat(50)],
      ['lines of 3000 bytes', `${'x'.repeat(2999)}\n`.repeat(50)],
      ['lines as long as a file', `${'x'.repeat(4095)}\n`.repeat(30)],
      ['lines longer than a file', `${'x'.repeat(4096)}\n`.repeat(30)],
      ['lines of any length', `${'x'.repeat(10_000)}\n\n${'y'.repeat(3)}\n`.repeat(10)],
    ])('%s are cut only where no newline shows up', async (_, input) => {
      await using here = temporaryDirectory();
      expect(await log(here, ['n1000', 's4096', './a', 's8192', './b'], input)).toEqual(silent);
      expectBounds(here.join('a'), 4096, true);
      expectBounds(here.join('b'), 8192, true);
      expect(logged(here.join('a'))).toBe(input);
      expect(logged(here.join('b'))).toBe(input);
    });

    test('20,000 bytes without a newline are cut at the size, and get one at their end', async () => {
      await using here = temporaryDirectory();
      expect(await log(here, ['s4096', './d'], 'Q'.repeat(20_000))).toEqual(silent);
      expect(logFiles(here.join('d')).map(({ mode, text }) => `${mode} ${text.length}`)).toEqual([
        ...Array.from({ length: 4 }, () => '744 4096'),
        '744 3617',
        '744 0',
        '600 0',
        '644 0',
      ]);
      expect(logged(here.join('d'))).toBe(`${'Q'.repeat(20_000)}\n`);
    });

    test('the bounds hold however the input arrives', async () => {
      await using fed = fedMultilog(implementation, ['n1000', 's4096', './d']);
      const input = numbered(300);
      for (let at = 0; at < input.length;) {
        const count = (at * 7919) % 700;
        fed.pipe.write(input.slice(at, at + count + 1));
        at += count + 1;
        if (at % 3 === 0) await fed.idle();
      }
      fed.pipe.end();
      expect(await fed.ended()).toEqual({ code: 0, signal: undefined });
      expectBounds(fed.here.join('d'), 4096);
      expect(logged(fed.here.join('d'))).toBe(input);
    });

    test('a directory that goes on counts what is in current', async () => {
      await using here = temporaryDirectory();
      for (let round = 0; round < 5; round++)
        expect(await log(here, ['s4096', './d'], numbered(30, 30 * round))).toEqual(silent);
      expect(finishedFiles(here.join('d')).length).toBeGreaterThanOrEqual(1);
      expectBounds(here.join('d'), 4096);
      expect(logged(here.join('d'))).toBe(numbered(150));
    });

    test('current that is full already goes before the first line', async () => {
      await using here = temporaryDirectory();
      here.makeDirectory('d');
      writeFileSync(here.join('d/current'), numbered(100), { mode: 0o744 });
      expect(await log(here, ['s4096', './d'], '')).toEqual(silent);
      expect(listing(here.join('d'))).toEqual(['744 current', '600 lock']);
      expect(await log(here, ['s4096', './d'], 'new\n')).toEqual(silent);
      expect(listing(here.join('d'))).toEqual(['744 @STAMP.s', '744 current', '600 lock']);
      expect(finishedFiles(here.join('d'))[0]?.text).toBe(numbered(100));
      expect(textOf(here.join('d/current'))).toBe('new\n');
    });

    test('the names of finished files are moments in order', async () => {
      await using here = temporaryDirectory();
      const before = BigInt(Date.now()) * 1_000_000n;
      expect(await log(here, ['n100', 's4096', './d'], numbered(2000))).toEqual(silent);
      const after = BigInt(Date.now() + 1) * 1_000_000n;
      const moments = finishedFiles(here.join('d')).map(({ name }) => momentOf(name));
      expect(moments.length).toBeGreaterThan(20);
      for (const moment of moments) {
        expect(moment >= before && moment <= after).toBe(true);
        expect(moment % 1000n).toBe(500n);
      }
      expect(new Set(moments).size).toBe(moments.length);
    });
  });

  describe.skipIf(!canTrace)('what a power cut finds', () => {
    /** The steps of a rotation, and then those of the end, which has nothing to do but for current. */
    const end = ['fsync current', 'chmod current'];
    test.each([
      [
        'a file',
        './d',
        [
          'fsync current',
          'rename current previous',
          'chmod current',
          'chmod previous',
          'link previous @STAMP.s',
          'unlink previous',
        ],
      ],
      [
        'the output of a processor',
        '!cat ./d',
        [
          'fsync current',
          'rename current previous',
          'chmod current',
          'chmod previous',
          'fsync processed',
          'chmod processed',
          'fsync newstate',
          'unlink previous',
          'rename newstate state',
          'link processed @STAMP.s',
          'unlink processed',
        ],
      ],
    ])('%s is on the disk before it has another name', async (_, words, steps) => {
      await using here = temporaryDirectory();
      // Not every machine and strace has all of these.
      const names =
        'fsync fdatasync rename renameat renameat2 link linkat unlink unlinkat chmod fchmod fchmodat fchmodat2';
      const calls = names
        .split(' ')
        .map((name) => `?${name}`)
        .join(',');
      const strace = ['/usr/bin/strace', '-f', '-qq', '-y', '-s', '4096', '-o', 'trace', '-e', `trace=${calls}`];
      const argv = [...strace, '-e', 'signal=none', multilog, 's4096', ...words.split(' ')];
      expect(await run(argv, { cwd: here.path, input: numbered(60) })).toEqual(silent);
      const seen = stepsIn(textOf(here.join('trace')) ?? '');
      expect(seen).toEqual(['chmod current', ...steps, ...end]);
    });
  });

  describe('what is removed', () => {
    const foreign = {
      old: `@${'0'.repeat(24)}`,
      oldToo: `@${'0'.repeat(24)}.s`,
      text: `@${'4'.repeat(24)}-my-notes.txt`,
      noHex: `@${' '.repeat(24)}`,
      young: `@${'z'.repeat(24)}`,
      short: `@${'0'.repeat(23)}`,
      other: `x${'0'.repeat(24)}`,
      dotted: `.@${'0'.repeat(24)}`,
    } as const;

    test('files whose names look like stamps count and go, the smallest first', async () => {
      await using here = temporaryDirectory();
      here.makeDirectory('d');
      const fill = (): void => {
        for (const name of Object.values(foreign)) writeFileSync(here.join('d', name), 'mine');
      };
      fill();
      expect(await log(here, ['s4096', 'n4', './d'], '')).toEqual(silent);
      const names = (): readonly string[] => readdirSync(here.join('d')).filter((name) => !/^@4\w+\.[su]$/.test(name));
      const kept = [foreign.short, foreign.other, foreign.dotted, 'current', 'lock', 'state'];
      expect(names().toSorted()).toEqual([...Object.values(foreign), 'current', 'lock', 'state'].toSorted());
      expect(await log(here, ['s4096', 'n4', './d'], numbered(60))).toEqual(silent);
      // Three are left with the new one; 4000… is before 4444….
      expect(names().toSorted()).toEqual([...kept, foreign.text, foreign.young].toSorted());
      expect(finishedFiles(here.join('d'))).toHaveLength(1);
      expect(await log(here, ['s4096', 'n3', './d'], numbered(60))).toEqual(silent);
      expect(names().toSorted()).toEqual([...kept, foreign.text, foreign.young].toSorted());
      expect(finishedFiles(here.join('d'))).toEqual([]);
    });

    test('a crash removes, too, and a clean start does not', async () => {
      await using here = temporaryDirectory();
      const old = Array.from({ length: 6 }, (_, n) => `@40000000${n}`.padEnd(25, '0') + '.s');
      for (const [name, mode] of [
        ['clean', 0o744],
        ['crashed', 0o644],
      ] as const) {
        here.makeDirectory(name);
        for (const each of old) writeFileSync(here.join(name, each), '');
        writeFileSync(here.join(name, 'current'), 'old\n', { mode });
      }
      expect(await log(here, ['n3', './clean', './crashed'], 'new\n')).toEqual(silent);
      expect(finishedFiles(here.join('clean')).map(({ name }) => name)).toEqual(old);
      expect(finishedFiles(here.join('crashed')).map(({ name }) => maskStamps(name))).toEqual(['@STAMP.s', '@STAMP.u']);
      expect(finishedFiles(here.join('crashed'))[0]?.name).toBe(old.at(-1));
    });

    test('a directory whose name looks like a stamp is waited for', async () => {
      const name = `@${'0'.repeat(24)}`;
      await using fed = fedMultilog(implementation, ['s4096', 'n2', './d'], {
        prepare: (here) => here.makeDirectory(`d/${name}`),
      });
      fed.pipe.write(numbered(60));
      await fed.says('multilog: warning: unable to read ./d, pausing: is a directory\n');
    });
  });

  describe('what is in them', () => {
    test.each([
      ['nothing', '', ''],
      ['an empty line', '\n', '\n'],
      ['a line', 'one\n', 'one\n'],
      ['a partial line', 'one', 'one\n'],
      ['a partial last line', 'one\ntwo', 'one\ntwo\n'],
      ['a partial line of 1000 bytes', 'x'.repeat(1000), `${'x'.repeat(1000)}\n`],
      ['a partial line of 1001 bytes', 'x'.repeat(1001), `${'x'.repeat(1001)}\n`],
      ['a NUL', '\0', '\0\n'],
      ['NULs and bytes that are not UTF-8', '\0\0\xff\xfe\x80\n\xc3(\r\n\0', '\0\0\xff\xfe\x80\n\xc3(\r\n\0\n'],
      ['what looks like a stamp', '@4000000037c219bf2ef02e94 x\n@', '@4000000037c219bf2ef02e94 x\n@\n'],
    ])('%s', async (_, input, text) => {
      await using here = temporaryDirectory();
      expect(await log(here, ['./d'], input)).toEqual(silent);
      expect(listing(here.join('d'))).toEqual(['744 current', '600 lock', '644 state']);
      expect(textOf(here.join('d/current'))).toBe(text);
    });

    test('every byte, in lines of every length, selected or not', async () => {
      await using here = temporaryDirectory();
      const bytes = Buffer.concat(Array.from({ length: 500 }, (_, n) => everyByte.subarray(n % 256)));
      const long = Buffer.concat([Buffer.alloc(100_000), Buffer.from('\n'), Buffer.alloc(100_000, 0xff)]);
      const input = Buffer.concat([bytes, long]).toString('latin1');
      expect(await log(here, ['s16777215', './all', '-*', './none', '+\u0001*', './some'], input)).toEqual(silent);
      expect(textOf(here.join('all/current')) === `${input}\n`).toBe(true);
      expect(textOf(here.join('none/current'))).toBe('');
      const selected = input.split('\n').filter((line) => line.startsWith('\u0001'));
      expect(textOf(here.join('some/current')) === selected.map((line) => `${line}\n`).join('')).toBe(true);
    });

    test('many lines come through in order, from a file and from a pipe', async () => {
      await using here = temporaryDirectory();
      writeFileSync(here.join('input'), numbered(40_000));
      const script = '"$0" s16777215 ./file <input; cat input | "$0" s16777215 ./pipe';
      expect(await run(['/bin/sh', '-c', script, multilog], { cwd: here.path })).toEqual(silent);
      expect(textOf(here.join('file/current')) === numbered(40_000)).toBe(true);
      expect(textOf(here.join('pipe/current')) === numbered(40_000)).toBe(true);
    });

    test('a line is there as soon as it was written', async () => {
      await using fed = fedMultilog(implementation, ['./d', '-*', './none']);
      let text = '';
      for (let n = 0; n < 30; n++) {
        fed.pipe.write(`${n}\n`);
        text += `${n}\n`;
        await until(() => textOf(fed.here.join('d/current')) === text, { describe: `line ${n} is there`, everyMs: 1 });
      }
      expect(textOf(fed.here.join('none/current'))).toBe('');
    });

    test('of a line of more than 1000 bytes the beginning is there before its end', async () => {
      await using fed = fedMultilog(implementation, ['./d']);
      fed.pipe.write('x'.repeat(1500));
      await fed.holds('d/current', 'x'.repeat(1500));
      fed.pipe.write('y');
      await fed.holds('d/current', `${'x'.repeat(1500)}y`);
      fed.pipe.write('\nz\n');
      await fed.holds('d/current', `${'x'.repeat(1500)}y\nz\n`);
    });
  });

  describe('stamps', () => {
    test('each line gets one, of its moment, in the middle of a microsecond', async () => {
      await using here = temporaryDirectory();
      const before = BigInt(Date.now()) * 1_000_000n;
      expect(await log(here, ['t', './d'], 'one\n\ntwo\0\n@x\nlast')).toEqual(silent);
      const after = BigInt(Date.now() + 1) * 1_000_000n;
      const text = textOf(here.join('d/current')) ?? '';
      expect(maskStamps(text)).toBe('@STAMP one\n@STAMP \n@STAMP two\0\n@STAMP @x\n@STAMP last\n');
      const moments = text.split('\n').slice(0, -1).map(momentOf);
      for (const moment of moments) {
        expect(moment >= before && moment <= after).toBe(true);
        expect(moment % 1000n).toBe(500n);
      }
      expect(moments).toEqual(moments.toSorted((a, b) => Number(a - b)));
    });

    test('never go back in many lines, and are the same in each place of a line', async () => {
      await using here = temporaryDirectory();
      const words = ['t', 's16777215', './a', './b', '-*', '+* 0*99', '=st', 'e'];
      const { stderr, ...rest } = await log(here, words, numbered(50_000));
      expect(rest).toEqual({ code: 0, signal: undefined, stdout: '' });
      const lines = (textOf(here.join('a/current')) ?? '').split('\n').slice(0, -1);
      expect(lines.map((line) => `${line.slice(26)}\n`).join('') === numbered(50_000)).toBe(true);
      expect(
        lines.every((line, index) => index === 0 || line.slice(0, 25) >= (lines[index - 1] ?? '').slice(0, 25)),
      ).toBe(true);
      expect(textOf(here.join('b/current')) === textOf(here.join('a/current'))).toBe(true);
      expect(
        stderr
          .split('\n')
          .slice(0, -1)
          .every((line) => lines.includes(line)),
      ).toBe(true);
      expect(textOf(here.join('st'))?.trimEnd()).toBe(stderr.split('\n').at(-2));
    });

    test('lines that come more than a millisecond apart have different ones, no input has none', async () => {
      await using fed = fedMultilog(implementation, ['t', './d']);
      let text = '';
      const between: bigint[] = [];
      for (const line of ['one', '', 'three', '']) {
        await sleep(2);
        between.push(BigInt(Date.now()) * 1_000_000n);
        fed.pipe.write(`${line}\n`);
        text += `@STAMP ${line}\n`;
        await fed.holds('d/current', text);
      }
      fed.pipe.end();
      expect(await fed.ended()).toEqual({ code: 0, signal: undefined });
      const moments = (textOf(fed.here.join('d/current')) ?? '').split('\n').slice(0, -1).map(momentOf);
      expect(moments).toHaveLength(4);
      for (const [index, moment] of moments.entries()) {
        expect(moment >= (between[index] ?? 0n)).toBe(true);
        expect(moment < (between[index + 1] ?? moment + 1n)).toBe(true);
      }
    });

    test('are taken with the first byte of a line', async () => {
      await using fed = fedMultilog(implementation, ['t', './d']);
      fed.pipe.write('one\npar');
      await fed.holds('d/current', '@STAMP one\n');
      await sleep(2);
      const between = BigInt(Date.now()) * 1_000_000n;
      fed.pipe.write('tial\n');
      await fed.holds('d/current', '@STAMP one\n@STAMP partial\n');
      const [first = 0n, second = 0n] = (textOf(fed.here.join('d/current')) ?? '').split('\n').map(momentOf);
      expect(first <= second && second < between).toBe(true);
    });

    test('one is enough for a line of any length', async () => {
      await using here = temporaryDirectory();
      expect(await log(here, ['t', 's1000000', './d'], `${'x'.repeat(5000)}\n${'y'.repeat(973)}\n`)).toEqual(silent);
      expect(maskStamps(textOf(here.join('d/current')) ?? '')).toBe(
        `@STAMP ${'x'.repeat(5000)}\n@STAMP ${'y'.repeat(973)}\n`,
      );
    });
  });

  describe('their names and modes', () => {
    test.each(['0', '022', '077', '0777'])('are the same with a mask of %s', async (mask) => {
      await using here = temporaryDirectory();
      const argv = ['/bin/sh', '-c', `umask ${mask}; exec "$0" s4096 =st ./d '!cat' ./p`, multilog];
      expect(await run(argv, { cwd: here.path, input: numbered(60) })).toEqual(silent);
      expect([modeOf(here.join('d')), modeOf(here.join('p')), modeOf(here.join('st'))]).toEqual(['700', '700', '600']);
      const expected = ['744 @STAMP.s', '744 current', '600 lock', '644 state'];
      expect([listing(here.join('d')), listing(here.join('p'))]).toEqual([expected, expected]);
    });

    test('current is 644 while it runs and 744 afterwards, and a directory that is there keeps its mode', async () => {
      await using fed = fedMultilog(implementation, ['./d'], {
        prepare: (here) => chmodSync(here.makeDirectory('d'), 0o2755),
      });
      fed.pipe.write('one\n');
      await fed.holds('d/current', 'one\n');
      expect(listing(fed.here.join('d'))).toEqual(['644 current', '600 lock', '644 state']);
      fed.pipe.end();
      expect(await fed.ended()).toEqual({ code: 0, signal: undefined });
      expect(listing(fed.here.join('d'))).toEqual(['744 current', '600 lock', '644 state']);
      expect(modeOf(fed.here.join('d'))).toBe('2755');
    });

    test.each(oddNames)('a directory may have a name with %s', async (_, name) => {
      await using here = temporaryDirectory();
      const outcome = await log(here, [joinBytes('./', name), joinBytes(here.path, '/', name, '2')], 'x\n');
      expect(outcome).toEqual(silent);
      expect(readFileSync(joinBytes(here.path, '/', name, '/current'), 'latin1')).toBe('x\n');
      expect(readFileSync(joinBytes(here.path, '/', name, '2/current'), 'latin1')).toBe('x\n');
      const { stderr, ...rest } = await log(here, [joinBytes('./', name, '/no/such')], 'x\n');
      expect(rest).toEqual({ code: 111, signal: undefined, stdout: '' });
      expect(stderr).toBe(
        `multilog: fatal: unable to open directory ./${Buffer.from(name).toString('latin1')}/no/such: file does not exist\n`,
      );
    });

    test('a directory may be any path that begins with a dot or a slash', async () => {
      await using here = temporaryDirectory();
      here.makeDirectory('sub/here');
      symlinkSync('sub', here.join('link'));
      const words = ['.', '..', './a/', '.hidden', './link/b', '../up', './/c//', `${here.path}/sub/../d`];
      expect(await run([multilog, ...words], { cwd: here.join('sub/here'), input: 'x' })).toEqual(
        fatal('multilog', 'unable to open directory ./link/b: file does not exist'),
      );
      const fine = words.filter((word) => word !== './link/b');
      expect(await run([multilog, ...fine], { cwd: here.join('sub/here'), input: 'x' })).toEqual(silent);
      for (const name of ['sub/here', 'sub', 'sub/here/a', 'sub/here/.hidden', 'sub/up', 'sub/here/c', 'd']) {
        expect(textOf(here.join(name, 'current')), name).toBe('x\n');
      }
      expect(await log(here, ['./link/b'], 'x')).toEqual(silent);
      expect(textOf(here.join('sub/b/current'))).toBe('x\n');
    });

    test('relative names are followed from the start directory, whatever its name is by then', async () => {
      await using fed = fedMultilog(implementation, ['=st', 's4096', '!cat', './d', '../e'], {
        through: ['/bin/sh', '-c', 'cd start && exec "$0" "$@"'],
        prepare: (here) => here.makeDirectory('start'),
      });
      fed.pipe.write('one\n');
      await fed.holds('start/d/current', 'one\n');
      renameSync(fed.here.join('start'), fed.here.join('renamed'));
      await fed.idle();
      await fed.signal('SIGALRM');
      await fed.holds('renamed/d/current', '');
      fed.pipe.write('two\n');
      await fed.holds('renamed/d/current', 'two\n');
      await fed.holds('e/current', 'two\n');
      for (const name of ['renamed/d', 'e']) {
        expect(finishedFiles(fed.here.join(name)).map(({ text }) => text)).toEqual(['one\n']);
      }
      expect(existsSync(fed.here.join('start'))).toBe(false);
      expect(textOf(fed.here.join('renamed/st'))?.trimEnd()).toBe('two');
    });

    test('a log directory may be renamed', async () => {
      await using fed = fedMultilog(implementation, ['./d']);
      fed.pipe.write('one\n');
      await fed.holds('d/current', 'one\n');
      renameSync(fed.here.join('d'), fed.here.join('renamed'));
      mkdirSync(fed.here.join('d'));
      await fed.idle();
      await fed.signal('SIGALRM');
      await fed.holds('renamed/current', '');
      fed.pipe.write('two\n');
      await fed.holds('renamed/current', 'two\n');
      expect(readdirSync(fed.here.join('d'))).toEqual([]);
    });

    test('a log directory that was removed is noticed at the next rotation, and waited for', async () => {
      await using fed = fedMultilog(implementation, ['./d', './other']);
      fed.pipe.write('one\n');
      await fed.holds('d/current', 'one\n');
      rmSync(fed.here.join('d'), { recursive: true });
      fed.pipe.write('two\n');
      await fed.holds('other/current', 'one\ntwo\n');
      expect(fed.program.stderr()).toBe('');
      await fed.idle();
      await fed.signal('SIGALRM');
      await fed.says(
        'multilog: warning: unable to rename current to previous in directory ./d, pausing: file does not exist\n',
      );
    });
  });
});

/** The successful calls of a trace that concern the files of a log directory, with their names. */
function stepsIn(trace: string): readonly string[] {
  const begun = new Map<string, string>();
  return trace.split('\n').flatMap((line) => {
    const [, pid = '', text = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (text.endsWith(' <unfinished ...>')) {
      begun.set(pid, text.slice(0, -' <unfinished ...>'.length));
      return [];
    }
    const whole = text.replace(/^<\.\.\. \w+ resumed>/, () => begun.get(pid) ?? '');
    const [, call = '', words = ''] = /^f?(\w+?)(?:at2?|2)?\((.*)\) += 0$/.exec(whole) ?? [];
    const names = [...words.matchAll(/"([^"]*)"|<([^>]*)>/g)]
      .map(([, path, open]) => maskStamps(basename(path ?? open ?? '')))
      .filter((name) => /^(?:current|previous|processed|newstate|state|@STAMP\.[su])$/.test(name));
    const name = call === 'sync' || call === 'datasync' ? 'fsync' : call;
    return names.length === 0 ? [] : [[name, ...names].join(' ')];
  });
}

/** True where system calls can be watched. */
function tryTrace(): boolean {
  return spawnSync('/usr/bin/strace', ['-f', '-o', '/dev/null', 'true']).status === 0;
}
