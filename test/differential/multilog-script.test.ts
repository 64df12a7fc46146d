/** The script of multilog, ours and C's: T33 to T42, T45 and sections 8.1, 8.2 and 8.4 of the behaviour reference. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fatal, silent } from '../e2e/support/chain-loading.ts';
import { heldFifo, makeFifo } from '../e2e/support/fifo.ts';
import { fedMultilog, listing, maskStamps, modeOf, multilogs } from '../e2e/support/multilog.ts';
import { asNobody, canBeNobody } from '../e2e/support/nobody.ts';
import { joinBytes, oddNames, shownBytes } from '../e2e/support/odd-names.ts';
import { run } from '../e2e/support/run.ts';
import type { Argument, Outcome } from '../e2e/support/run.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';

const a = (count: number): string => 'a'.repeat(count);

/** What a status file holds after a line. */
const record = (line: string): string => line.slice(0, 1000).padEnd(1001, '\n');

/** Each pattern with lines that it matches, and others. */
const patterns: readonly (readonly [pattern: Argument, matches: readonly string[], others: readonly string[]])[] = [
  ['', [''], ['x', ' ', '\0', 'x\0']],
  ['hello', ['hello'], ['hello world', 'Hello', 'hell', ' hello', 'hello ', '', 'hello\0', 'hello\r']],
  ['*', ['', 'x', '*', '\0', 'x\0y', '\xff'], []],
  ['x*', ['x', 'xy', 'x*', 'x\0', 'x\0y', 'xx'], ['', 'yx', '\0x']],
  ['*x', ['x', 'yx', '\0x', '*x'], ['', 'xy', 'xx', 'yxx']],
  ['*ab', ['ab', 'xab', '\0ab'], ['aab', 'abab', 'a', '', 'abx']],
  ['*ab*', ['ab', 'xab', 'xaby', 'ab\0', 'abab'], ['aab', 'xa', 'acab']],
  ['**', ['*', 'x*', 'x**', '**', '*x', 'x*y'], ['', 'x']],
  ['***', ['*', '**', 'x**', 'x*y*', '*x'], ['', 'x']],
  ['a**b', ['a*b', 'a**b', 'axx*b', 'a*xb'], ['axb', 'ab']],
  ['a*b', ['ab', 'axb', 'axxb', 'a\0b', 'a*b'], ['a', 'b', 'abb', 'abxb', 'axbx']],
  ['a*b*c', ['abc', 'axbyc', 'abbc', 'axbbc'], ['abcc', 'acb', 'abxcc', 'ac']],
  ['foo[*]: *', ['foo[1]: x', 'foo[]: y', 'foo[12]: '], ['foo: x', 'foo[1] x', 'foo[]]: x', 'foo[1]:x']],
  ['* fatal: *', ['@1 fatal: oom', ' fatal: ', 'x fatal: y fatal: z'], ['fatal: oom', 'a b fatal: x', 'x fatal:']],
  ['[a-c]?', ['[a-c]?'], ['a', 'ax', '[a-c]x']],
  ['\\*', ['\\', '\\x', '\\*'], ['*', 'x']],
  ['^x$', ['^x$'], ['x']],
  ['.', ['.'], ['x', '']],
  [' x', [' x'], ['x']],
  ['+x', ['+x'], ['x']],
  ['-', ['-'], ['']],
  ['a\tb', ['a\tb'], ['a b']],
  ['*a*a*a', ['aaa', 'xaxaxa', 'xayaza'], ['aa', 'aaaa', 'aaxaa', 'a']],
  [Uint8Array.of(0xff), ['\xff'], ['\xfe', 'x', '\xff\xff', '\xc3\xbf']],
  [Uint8Array.of(0x2a, 0xc3, 0xbc, 0x2a), ['\xc3\xbc', 'x\xc3\xbcx', 'x\xc3\xbc'], ['\xc3x\xc3\xbc', '\xfc', 'u']],
  ['\u00fc', ['\xc3\xbc'], ['\xfc', '\xc3', 'u\xcc\x88']],
  [Uint8Array.of(0x80, 0x2a, 0x80), ['\x80\x80', '\x80\xff\x80'], ['\x80', '\x80\x80\x80']],
];

describe.concurrent.each(multilogs)('the script of multilog ($name)', (implementation) => {
  const multilog = implementation.path('multilog');
  const says = (words: readonly Argument[], input: string | Uint8Array): Promise<Outcome> =>
    run([multilog, ...words], { input: Buffer.from(input as string, 'latin1') });
  /** What is on standard error, after an end without complaint. */
  const printed = async (words: readonly Argument[], input: string): Promise<string> => {
    const { stderr, ...rest } = await says(words, input);
    expect(rest).toEqual({ code: 0, signal: undefined, stdout: '' });
    return stderr;
  };

  describe('its words', () => {
    test('none: reads all, does nothing, exits 0', async () => {
      await using here = temporaryDirectory();
      writeFileSync(here.join('input'), 'one\n'.repeat(100_000));
      const script = '"$0" <input; echo $?; { "$0"; wc -c; } <input';
      expect(await run(['/bin/sh', '-c', script, multilog], { cwd: here.path })).toEqual({
        ...silent,
        stdout: '0\n0\n',
      });
      expect(readdirSync(here.path)).toEqual(['input']);
    });

    test('words that begin with anything else are ignored, and make nothing', async () => {
      await using here = temporaryDirectory();
      const ascii = Array.from({ length: 127 }, (_, index) => String.fromCharCode(index + 1));
      const known = [...'+-te=sn!./'];
      const odd = [Uint8Array.of(0xff), Uint8Array.of(0xff, 0x2e, 0x2f), 'main', ' ./d', '\n./d', 'd/./d', '~/d', ''];
      const words = [...ascii.filter((each) => !known.includes(each)).map((each) => `${each}./d`), ...odd];
      const outcome = await run([multilog, ...words, 'e', ...words], { cwd: here.path, input: 'one\n' });
      expect(outcome).toEqual({ ...silent, stderr: 'one\n' });
      expect(readdirSync(here.path)).toEqual([]);
    });

    test('a dash is a pattern, and -- and --help are, too', async () => {
      expect(await printed(['-', 'e'], 'one\n\n-\n')).toBe('one\n-\n');
      expect(await printed(['--', 'e'], 'one\n\n-\n')).toBe('one\n\n');
      expect(await printed(['--help', 'e'], 'one\n-help\n--help\n')).toBe('one\n--help\n');
    });

    test('t stamps every line, when it is the first, whatever follows the letter', async () => {
      for (const word of ['t', 'tx', 'text', 't./d', 't*', 'tai64n']) {
        expect(maskStamps(await printed([word, 'e'], 'one\n\ntwo'))).toBe('@STAMP one\n@STAMP \n@STAMP two\n');
      }
    });

    test('t anywhere else is ignored', async () => {
      for (const words of [
        ['e', 't'],
        ['', 't', 'e'],
        ['+*', 't', 'e'],
        ['T', 't', 'e'],
        ['s4096', 't', 'e'],
      ]) {
        expect(await printed(words, 'one\n')).toBe('one\n');
      }
      expect(maskStamps(await printed(['t', 't', 'e', 't'], 'one\n'))).toBe('@STAMP one\n');
    });

    test('e prints, whatever follows the letter, and as often as it is there', async () => {
      expect(await printed(['error'], 'one\n\ntwo')).toBe('one\n\ntwo\n');
      expect(await printed(['e', '-two', 'e./d', '-*', 'e', '+one', 'e+'], 'one\ntwo\n')).toBe('one\none\none\ntwo\n');
    });
  });

  describe('its selection', () => {
    test.each(patterns.map((each) => ({ pattern: each[0], matches: each[1], others: each[2] })))(
      'the pattern $pattern',
      async ({ pattern, matches, others }) => {
        const input = [...others, ...matches, ...others].map((line) => `${line}\n`).join('');
        expect(await printed(['-*', joinBytes('+', pattern), 'e'], input)).toBe(
          matches.map((line) => `${line}\n`).join(''),
        );
        expect(await printed([joinBytes('-', pattern), 'e'], input)).toBe(
          [...others, ...others].map((line) => `${line}\n`).join(''),
        );
      },
    );

    test('every line starts selected; + and - change what is not so already, from left to right', async () => {
      const input = 'a\nab\nabc\nb\n\n';
      expect(await printed(['+x', 'e'], input)).toBe(input);
      expect(await printed(['-*', 'e'], input)).toBe('');
      expect(await printed(['-*', '+*', 'e'], input)).toBe(input);
      expect(await printed(['-*', '+a*', '-ab*', '+abc', 'e'], input)).toBe('a\nabc\n');
      expect(await printed(['+a*', '-*', 'e'], input)).toBe('');
      expect(await printed(['-', '-a', '+a', '-b', 'e'], input)).toBe('a\nab\nabc\n');
    });

    test('each action has that of its place in the script', async () => {
      await using here = temporaryDirectory();
      const words = ['./0', '-a*', './1', '=first', '+ab*', './2', '=second', '-*', './3', '=third', 'e', '+b', './4'];
      expect(await run([multilog, ...words], { cwd: here.path, input: 'a\nb\nab\nc' })).toEqual(silent);
      const text = (name: string): string => readFileSync(here.join(name), 'latin1');
      expect([0, 1, 2, 3, 4].map((each) => text(`${each}/current`))).toEqual([
        'a\nb\nab\nc\n',
        'b\nc\n',
        'b\nab\nc\n',
        '',
        'b\n',
      ]);
      expect(['first', 'second', 'third'].map(text)).toEqual([record('c'), record('c'), '']);
    });

    test('a stamp belongs to the line, for patterns, too', async () => {
      const lines = async (...words: readonly string[]): Promise<string> =>
        maskStamps(await printed(['t', '-*', ...words, 'e'], 'fatal: oom\nok\n\n'));
      expect(await lines('+* fatal: *')).toBe('@STAMP fatal: oom\n');
      expect(await lines('+ok')).toBe('');
      expect(await lines('+@4*')).toBe('@STAMP fatal: oom\n@STAMP ok\n@STAMP \n');
      expect(await lines('+* ')).toBe('@STAMP \n');
      expect(await lines('+')).toBe('');
      expect(await lines('+@* ok')).toBe('@STAMP ok\n');
    });

    test('a partial last line is a line', async () => {
      expect(await printed(['-*', '+two', 'e'], 'one\ntwo')).toBe('two\n');
      expect(await printed(['-two', 'e'], 'one\ntwo')).toBe('one\n');
      expect(await printed(['-*', '+', 'e'], 'one\n')).toBe('');
      expect(await printed(['e'], '\0')).toBe('\0\n');
    });

    test.each([
      [998, 1],
      [999, 1],
      [1000, 0],
      [1001, 0],
      [5000, 0],
    ])('sees the first 1000 bytes alone: %i and then a letter', async (count, seen) => {
      const input = `${a(count)}b\nshort\n`;
      expect(await printed(['-*', '+a*b', 'e'], input)).toBe(seen ? `${a(200)}...\n` : '');
      expect(await printed(['-a*b', 'e'], input)).toBe(seen ? 'short\n' : `${a(200)}...\nshort\n`);
    });

    test('a pattern of 1000 bytes matches a longer line, one of 1001 none', async () => {
      await using here = temporaryDirectory();
      const input = `${a(999)}\n${a(1000)}\n${a(1001)}\n${a(1000)}b\n${a(3000)}\nb${a(1000)}\n`;
      const words = ['-*', `+${a(1000)}`, './d', '-*', `+${a(1001)}`, './none', `+b${a(999)}`, './b'];
      expect(await run([multilog, ...words], { cwd: here.path, input })).toEqual(silent);
      const text = (name: string): string => readFileSync(here.join(name, 'current'), 'latin1');
      expect(text('d')).toBe(`${a(1000)}\n${a(1001)}\n${a(1000)}b\n${a(3000)}\n`);
      expect([text('none'), text('b')]).toEqual(['', `b${a(1000)}\n`]);
    });

    test('of the 1000 bytes a stamp is 26', async () => {
      const words = ['t', '-*', '+@* a*b', 'e'];
      expect(await printed(words, `${a(974)}b\n`)).toBe('');
      expect(maskStamps(await printed(words, `${a(973)}b\n`))).toBe(`@STAMP ${a(174)}...\n`);
    });
  });

  describe('e', () => {
    test.each([199, 200, 201, 999, 1000, 1001, 1025, 100_000])('shows of %i bytes at most 200', async (count) => {
      const shown = count > 200 ? `${a(200)}...\n` : `${a(count)}\n`;
      expect(await printed(['e'], `${a(count)}\nnext\n${a(count)}`)).toBe(`${shown}next\n${shown}`);
    });

    test('counts the stamp', async () => {
      expect(maskStamps(await printed(['t', 'e'], `${a(174)}\n${a(175)}`))).toBe(
        `@STAMP ${a(174)}\n@STAMP ${a(174)}...\n`,
      );
    });

    test('prints every byte as it is', async () => {
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString('latin1');
      expect(await printed(['e'], bytes)).toBe(`${bytes.slice(0, 11)}${bytes.slice(11, 211)}...\n`);
    });

    test('is one write for each line', async () => {
      // A socket of datagrams keeps the writes apart.
      const script = `socketpair(my $in, my $out, AF_UNIX, SOCK_DGRAM, 0) or die; my $pid = fork;
        if (!$pid) { open STDERR, '>&', $out; exec @ARGV } close $out; waitpid $pid, 0;
        $in->blocking(0); while (defined recv $in, my $text, 9999, 0) { last if !length $text; print "[$text]" }`;
      const argv = ['/usr/bin/perl', '-MSocket', '-MIO::Handle', '-e', script, multilog, 'e', './d', 'e'];
      await using here = temporaryDirectory();
      expect(await run(argv, { cwd: here.path, input: `one\n\n${a(3000)}\ntwo` })).toEqual({
        ...silent,
        stdout: ['one', '', `${a(200)}...`, 'two'].map((line) => `[${line}\n][${line}\n]`).join(''),
      });
    });

    test('that cannot print loses the line there, and nothing else', async () => {
      await using here = temporaryDirectory();
      for (const [to, name] of [
        ['2>/dev/full', 'full'],
        ['2</dev/null', 'unwritable'],
      ]) {
        const argv = ['/bin/sh', '-c', `"$0" e ./${name} e ${to}`, multilog];
        expect(await run(argv, { cwd: here.path, input: 'one\ntwo\n' })).toEqual(silent);
        expect(readFileSync(here.join(name ?? '', 'current'), 'latin1')).toBe('one\ntwo\n');
      }
    });
  });

  describe('a status file', () => {
    test('has the last line that was selected, padded to 1001 bytes', async () => {
      await using here = temporaryDirectory();
      const words = ['=all', '-two', '=one', '-*', '+', '=empty'];
      expect(await run([multilog, ...words], { cwd: here.path, input: 'one\n\none\ntwo\n' })).toEqual(silent);
      expect(readFileSync(here.join('all'), 'latin1')).toBe(record('two'));
      expect(readFileSync(here.join('one'), 'latin1')).toBe(record('one'));
      expect(readFileSync(here.join('empty'), 'latin1')).toBe(record(''));
      expect(['all', 'one', 'empty'].map((name) => modeOf(here.join(name)))).toEqual(['600', '600', '600']);
    });

    test.each([0, 1, 999, 1000, 1001, 1002, 5000])('has at most 1000 bytes of a line of %i', async (count) => {
      await using here = temporaryDirectory();
      const input = `before\n${a(count)}`;
      expect(await run([multilog, '=st', '=also'], { cwd: here.path, input: `${input}\n` })).toEqual(silent);
      expect(readFileSync(here.join('st'), 'latin1')).toBe(record(a(count)));
      expect(readFileSync(here.join('also'), 'latin1')).toBe(record(a(count)));
      expect(await run([multilog, '=last'], { cwd: here.path, input: `${a(2000)}\n${input}` })).toEqual(silent);
      expect(readFileSync(here.join('last'), 'latin1')).toBe(record(count === 0 ? 'before' : a(count)));
    });

    test('has the stamp, and every byte as it is', async () => {
      await using here = temporaryDirectory();
      const input = Buffer.from('\0\xff\xfe x\0\r', 'latin1');
      expect(await run([multilog, 't', '=st'], { cwd: here.path, input })).toEqual(silent);
      const text = readFileSync(here.join('st'), 'latin1');
      expect(text).toHaveLength(1001);
      expect(maskStamps(text).trimEnd()).toBe('@STAMP \0\xff\xfe x\0');
      expect(text.slice(32)).toBe('\r'.padEnd(969, '\n'));
    });

    test('that is there is untouched until a line is selected, and keeps its tail and its mode', async () => {
      await using here = temporaryDirectory();
      const old = { short: 'old', long: 'o'.repeat(3000), empty: '' };
      for (const [name, text] of Object.entries(old)) writeFileSync(here.join(name), text, { mode: 0o644 });
      const words = Object.keys(old).map((name) => `=${name}`);
      const texts = (): readonly string[] => Object.keys(old).map((name) => readFileSync(here.join(name), 'latin1'));
      expect(await run([multilog, ...words, '=new'], { cwd: here.path })).toEqual(silent);
      expect(await run([multilog, '-*', ...words], { cwd: here.path, input: 'x\n' })).toEqual(silent);
      expect(texts()).toEqual(Object.values(old));
      expect([readFileSync(here.join('new'), 'latin1'), modeOf(here.join('new'))]).toEqual(['', '600']);
      expect(await run([multilog, ...words], { cwd: here.path, input: 'x\n' })).toEqual(silent);
      expect(texts()).toEqual([record('x'), record('x') + 'o'.repeat(1999), record('x')]);
      expect(Object.keys(old).map((name) => modeOf(here.join(name)))).toEqual(['644', '644', '644']);
    });

    test('is written when its line has come, not at the end', async () => {
      await using fed = fedMultilog(implementation, ['=st']);
      for (const line of ['one', 'two', '']) {
        fed.pipe.write(`${line}\n`);
        await fed.holds('st', record(line));
      }
    });

    test('twice in a script is one file', async () => {
      await using here = temporaryDirectory();
      expect(await run([multilog, '=st', '-two', '=st'], { cwd: here.path, input: 'one\ntwo\n' })).toEqual(silent);
      expect(readFileSync(here.join('st'), 'latin1')).toBe(record('two'));
    });

    test.each(oddNames)('may have a name with %s', async (_, name) => {
      await using here = temporaryDirectory();
      expect(await run([multilog, joinBytes('=', name)], { cwd: here.path, input: 'x' })).toEqual(silent);
      expect(readFileSync(joinBytes(here.path, '/', name), 'latin1')).toBe(record('x'));
      expect(await run([multilog, joinBytes('=', name, '/x')], { cwd: here.path, input: 'x' })).toEqual(
        fatal('multilog', `unable to create ${shownBytes(name)}/x: not a directory`),
      );
    });

    test('may be a path, absolute or not, and a link to what is not there', async () => {
      await using here = temporaryDirectory();
      here.makeDirectory('a/b');
      symlinkSync('a/target', here.join('link'));
      const words = ['=a/b/st', `=${here.join('absolute')}`, '=link', '=./a/../dots', '==equals'];
      expect(await run([multilog, ...words], { cwd: here.path, input: 'x' })).toEqual(silent);
      for (const name of ['a/b/st', 'absolute', 'a/target', 'dots', '=equals']) {
        expect(readFileSync(here.join(name), 'latin1')).toBe(record('x'));
      }
    });

    test.each([
      ['no/such', 'file does not exist'],
      ['', 'file does not exist'],
      ['directory', 'is a directory'],
      ['.', 'is a directory'],
      ['file/x', 'not a directory'],
      ['loop', 'symbolic link loop'],
      ['fifo', 'device not configured'],
      ['x'.repeat(256), 'file name too long'],
    ])('cannot be "%s": exits 111, with the ones before it made, and no directory', async (name, why) => {
      await using here = temporaryDirectory();
      mkdirSync(here.join('directory'));
      writeFileSync(here.join('file'), '');
      symlinkSync('loop', here.join('loop'));
      makeFifo(here.join('fifo'));
      const before = readdirSync(here.path);
      const argv = [multilog, './d', '=before', 'e', `=${name}`, '=after'];
      expect(await run(argv, { cwd: here.path, input: 'x\n' })).toEqual(
        fatal('multilog', `unable to create ${name}: ${why}`),
      );
      expect(readdirSync(here.path)).toEqual([...before, 'before'].toSorted());
    });

    test('is made before the directories: not in one that would be made', async () => {
      await using here = temporaryDirectory();
      expect(await run([multilog, './d', '=d/st'], { cwd: here.path })).toEqual(
        fatal('multilog', 'unable to create d/st: file does not exist'),
      );
      expect(readdirSync(here.path)).toEqual([]);
      here.makeDirectory('d');
      expect(await run([multilog, './d', '=d/st'], { cwd: here.path, input: 'x' })).toEqual(silent);
      expect(readFileSync(here.join('d/st'), 'latin1')).toBe(record('x'));
    });

    test.runIf(canBeNobody)('that an ordinary account may not write is an error', async () => {
      await using here = temporaryDirectory();
      writeFileSync(here.join('st'), 'keep', { mode: 0o644 });
      writeFileSync(here.join('writable'), '');
      chmodSync(here.join('writable'), 0o222);
      const outcome = (name: string): Promise<Outcome> =>
        run(asNobody([multilog, `=${name}`]), { cwd: here.path, input: 'x\n' });
      expect(await outcome('st')).toEqual(fatal('multilog', 'unable to create st: access denied'));
      expect(await outcome('new')).toEqual(fatal('multilog', 'unable to create new: access denied'));
      expect(await outcome('writable')).toEqual(silent);
      expect(readFileSync(here.join('writable'), 'latin1')).toBe(record('x'));
    });

    test.runIf(canAppendOnly())('that may be appended to alone is created, but not written', async () => {
      await using here = temporaryDirectory();
      writeFileSync(here.join('st'), 'keep');
      execFileSync('chattr', ['+a', here.join('st')]);
      try {
        expect(await run([multilog, '=st', './d'], { cwd: here.path, input: 'x\n' })).toEqual(
          fatal('multilog', 'unable to write st: permission denied'),
        );
        expect(readdirSync(here.path)).toEqual(['st']);
      } finally {
        execFileSync('chattr', ['-a', here.join('st')]);
      }
    });

    test('that cannot be written is waited for', async () => {
      await using fed = fedMultilog(implementation, ['=/dev/full', './d']);
      fed.pipe.write('x\n');
      await fed.says('multilog: warning: unable to write /dev/full, pausing: out of disk space\n');
    });

    test('that has no beginning is waited for', async () => {
      await using here = temporaryDirectory();
      using fifo = heldFifo(here.join('fifo'));
      await using fed = fedMultilog(implementation, [`=${here.join('fifo')}`, './d']);
      fed.pipe.write('x\n');
      await fed.says(
        `multilog: warning: unable to move to beginning of ${here.join('fifo')}, pausing: unseekable descriptor\n`,
      );
      expect(fifo.read()).toBe('');
    });
  });

  test('a script of a thousand actions does them all, in order', async () => {
    await using here = temporaryDirectory();
    const numbers = Array.from({ length: 300 }, (_, index) => index);
    const words = numbers.flatMap((each) => [`-${each}`, 'e', `=st${each}`, ...(each % 10 ? [] : [`./d${each}`])]);
    const outcome = await run([multilog, ...words], { cwd: here.path, input: '1\n' });
    expect(outcome).toEqual({ ...silent, stderr: '1\n' });
    expect(readFileSync(here.join('st0'), 'latin1')).toBe(record('1'));
    expect(readFileSync(here.join('st1'), 'latin1')).toBe('');
    expect(readFileSync(here.join('d0/current'), 'latin1')).toBe('1\n');
    expect(listing(here.join('d290'))).toEqual(['744 current', '600 lock', '644 state']);
    expect(readFileSync(here.join('d290/current'), 'latin1')).toBe('');
  });
});

/** True where a file can be made one that is only appended to. */
function canAppendOnly(): boolean {
  const here = temporaryDirectory();
  writeFileSync(here.join('probe'), '');
  const can = ['+a', '-a'].every((mode) => spawnSync('chattr', [mode, here.join('probe')]).status === 0);
  rmSync(here.path, { recursive: true });
  if (!can) console.log('skipped: a status file that may only be appended to; it needs chattr');
  return can;
}
