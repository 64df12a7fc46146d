/** softlimit, ours and C's: transcripts T76 to T81 and section 17 of the behaviour reference. */
import { readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { describeExecSearch, fatal, isRoot, silent } from '../e2e/support/chain-loading.ts';
import { implementations } from '../e2e/support/implementations.ts';
import { asNobody, canBeNobody } from '../e2e/support/nobody.ts';
import { run } from '../e2e/support/run.ts';
import type { Argument } from '../e2e/support/run.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';

const USAGE =
  'softlimit: usage: softlimit [-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] [-l lockbytes] ' +
  '[-m membytes] [-o openfiles] [-p processes] [-r residentbytes] [-s stackbytes] [-t cpusecs] child\n';

/** The kernel's words for what a letter limits. */
const resources = {
  a: 'Max address space',
  c: 'Max core file size',
  d: 'Max data size',
  f: 'Max file size',
  l: 'Max locked memory',
  o: 'Max open files',
  p: 'Max processes',
  r: 'Max resident set',
  s: 'Max stack size',
  t: 'Max cpu time',
} as const;

/** Each letter with prlimit's name for it, a soft and a hard limit that everything can run under, and one between. */
const table = [
  ['a', 'as', 20_000_000_000, 80_000_000_000, 30_000_000_000],
  ['c', 'core', 1_000_000, 9_000_000, 2_000_001],
  ['d', 'data', 20_000_000_000, 80_000_000_000, 30_000_000_000],
  ['f', 'fsize', 10_000_000, 90_000_000, 20_000_001],
  ['l', 'memlock', 40_000, 80_000, 65_536],
  ['o', 'nofile', 100, 300, 200],
  ['p', 'nproc', 3000, 9000, 5000],
  ['r', 'rss', 1_000_000_000, 8_000_000_000, 2_000_000_001],
  ['s', 'stack', 4_000_000, 8_000_000, 6_000_000],
  ['t', 'cpu', 3000, 9000, 5000],
] as const;

/** A caller with all these soft and hard limits. */
const limited = ['/usr/bin/prlimit', ...table.map(([, name, soft, hard]) => `--${name}=${soft}:${hard}`)];

type Limits = Readonly<Record<string, readonly [soft: string, hard: string]>>;

/** What /proc says of limits, in its words. */
function parseLimits(text: string): Limits {
  const rows = [...text.matchAll(/^(Max .*?) {2,}(\S+) +(\S+)/gm)];
  return Object.fromEntries(rows.map(([, name = '', soft = '', hard = '']) => [name, [soft, hard]] as const));
}

/** Limits with some soft ones changed. */
function changed(limits: Limits, softs: Readonly<Record<string, string | number>>): Limits {
  const entries = Object.entries(softs).map(([name, soft]) => [name, [String(soft), limits[name]?.[1] ?? '']] as const);
  return { ...limits, ...Object.fromEntries(entries) };
}

const tell = ['cat', '/proc/self/limits'];

async function limitsOf(argv: readonly Argument[]): Promise<Limits> {
  const { stdout, ...rest } = await run(argv);
  expect(rest).toEqual({ code: 0, signal: undefined, stderr: '' });
  return parseLimits(stdout);
}

describe.each(implementations)('softlimit ($name)', (implementation) => {
  const softlimit = implementation.path('softlimit');
  describeExecSearch(implementation, 'softlimit');

  describe.concurrent('its words', () => {
    test.each([
      ['nothing', []],
      ['an option alone', ['-c', '5']],
      ['-- alone', ['--']],
      ['digits with a letter', ['-d', '10x', 'true']],
      ['a sign', ['-d', '-1', 'true']],
      ['a plus', ['-d', '+1', 'true']],
      ['a blank before', ['-d', ' 1', 'true']],
      ['a blank after', ['-d', '1 ', 'true']],
      ['a newline after', ['-d', '1\n', 'true']],
      ['hexadecimal digits', ['-d', '0x10', 'true']],
      ['a fraction', ['-d', '1.5', 'true']],
      ['a unit', ['-d', '1k', 'true']],
      ['unlimited', ['-c', 'unlimited', 'true']],
      ['digits of another script', ['-c', '٣', 'true']],
      ['= and digits', ['-c=5', 'true']],
      ['two =', ['-c==', 'true']],
      ['digits and =', ['-c5=', 'true']],
      ['-- as a number', ['-c', '--', 'true']],
      ['a number that is wrong behind right ones', ['-c', '5', '-o', '20', '-t', 'x', 'true']],
    ])('%s: says how to use it and exits 100', async (_, words) => {
      expect(await run([softlimit, ...words])).toEqual({ ...silent, code: 100, stderr: USAGE });
    });

    test.each([
      ['illegal option -- q', ['-q', 'true']],
      ['illegal option -- 5', ['-c', '0', '-5', 'true']],
      ['illegal option -- A', ['-A', '5', 'true']],
      ['illegal option -- :', ['-:', 'true']],
      ['illegal option -- \xff', [Uint8Array.of(0x2d, 0xff), 'true']],
      ['illegal option -- \n', ['-\n', 'true']],
      ...[...'acdflmoprst'].map((letter) => [`option requires an argument -- ${letter}`, [`-${letter}`]] as const),
      ['option requires an argument -- d', ['-c', '0', '-d']],
    ] as readonly (readonly [string, readonly Argument[]])[])('says %j and exits 100', async (complaint, words) => {
      expect(await run([softlimit, ...words])).toEqual({
        ...silent,
        code: 100,
        stderr: `softlimit: ${complaint}\n${USAGE}`,
      });
    });

    test('the complaint names the program as it was called', async () => {
      await using here = temporaryDirectory();
      symlinkSync(softlimit, here.join('limit it'));
      for (const program of ['./limit it', here.join('limit it')]) {
        expect(await run([program, '-q'], { cwd: here.path })).toEqual({
          ...silent,
          code: 100,
          stderr: `limit it: illegal option -- q\n${USAGE}`,
        });
      }
    });

    test.each([
      ['--', ['-c', '5', '--', '-c', '6'], '-c'],
      ['any word that begins with --', ['--nonsense', '-c', '6'], '-c'],
      ['a lone -', ['-', '-c', '6'], '-'],
      ['an empty word', ['', 'true'], ''],
    ])('options end at %s, and the program comes next', async (_, words, program) => {
      const why = program === '' ? 'access denied' : 'file does not exist';
      expect(await run([softlimit, ...words])).toEqual(fatal('softlimit', `unable to run ${program}: ${why}`));
    });

    test('options of the program are its own', async () => {
      expect(await run([softlimit, '-c', '5', 'echo', '-c', '6', '--', '-q'])).toEqual({
        ...silent,
        stdout: '-c 6 -- -q\n',
      });
    });

    test('-t 5 before a program that is nowhere: says so and exits 111', async () => {
      expect(await run([softlimit, '-t', '5', 'nosuchprog'])).toEqual(
        fatal('softlimit', 'unable to run nosuchprog: file does not exist'),
      );
    });
  });

  describe.concurrent('its limits', () => {
    test.each(table)('-%s sets the soft limit, and no other', async (letter, _, soft, hard, between) => {
      const before = await limitsOf([...limited, ...tell]);
      const name = resources[letter];
      expect(before[name]).toEqual([String(soft), String(hard)]);
      const after = (...words: readonly string[]) => limitsOf([...limited, softlimit, ...words, ...tell]);
      expect(await after(`-${letter}`, String(between))).toEqual(changed(before, { [name]: between }));
      expect(await after(`-${letter}${hard}`)).toEqual(changed(before, { [name]: hard }));
      expect(await after(`-${letter}${hard + 1}`), 'more than the hard limit is the hard limit').toEqual(
        changed(before, { [name]: hard }),
      );
      expect(await after(`-${letter}`, '=')).toEqual(changed(before, { [name]: hard }));
    });

    test('-m sets those of data, stack, locked memory and address space, each as its hard limit allows', async () => {
      const before = await limitsOf([...limited, ...tell]);
      const { a, d, l, s } = resources;
      const after = (...words: readonly string[]) => limitsOf([...limited, softlimit, ...words, ...tell]);
      const expected = changed(before, { [d]: 3e10, [s]: 8_000_000, [l]: 80_000, [a]: 3e10 });
      expect(await after('-m', '30000000000')).toEqual(expected);
      const most = { [d]: 8e10, [s]: 8_000_000, [l]: 80_000, [a]: 8e10 };
      expect(await after('-m', '99000000000')).toEqual(changed(before, most));
      expect(await after('-m=')).toEqual(changed(before, most));
      expect(await after('-m', '30000000000', '-l', '5000', '-s', '5000000')).toEqual(
        changed(expected, { [l]: 5000, [s]: 5_000_000 }),
      );
      expect(await after('-l', '5000', '-s', '5000000', '-m', '30000000000')).toEqual(expected);
    });

    test('all letters at once, the last of a letter counts', async () => {
      const before = await limitsOf([...limited, ...tell]);
      const words = table.flatMap(([letter, , , , between]) => [`-${letter}`, '=', `-${letter}${between}`]);
      expect(await limitsOf([...limited, softlimit, ...words, ...tell])).toEqual(
        changed(before, Object.fromEntries(table.map(([letter, , , , between]) => [resources[letter], between]))),
      );
    });

    test('without options nothing changes', async () => {
      const before = await limitsOf([...limited, ...tell]);
      expect(await limitsOf([...limited, softlimit, ...tell])).toEqual(before);
      expect(await limitsOf([...limited, softlimit, '--', ...tell])).toEqual(before);
    });

    test('of one after the other the last counts, and only what it sets', async () => {
      const before = await limitsOf([...limited, ...tell]);
      const argv = [softlimit, '-c', '5', '-o', '250', softlimit, '-o', '60', softlimit, '-t', '4000', ...tell];
      expect(await limitsOf([...limited, ...argv])).toEqual(
        changed(before, { [resources.c]: 5, [resources.o]: 60, [resources.t]: 4000 }),
      );
    });

    test.each([
      ['0', '0'],
      ['', '0'],
      ['007', '7'],
      ['18446744073709551614', '18446744073709551614'],
      ['18446744073709551615', 'unlimited'],
      ['18446744073709551616', '0'],
      ['18446744073709551716', '100'],
      ['340282366920938463463374607431768211456', '0'],
      ['340282366920938463463374607431768211461', '5'],
      ['9007199254740993', '9007199254740993'],
      [`${'0'.repeat(300)}9`, '9'],
    ])('the number "%s" is %s, counted modulo 2^64', async (number, soft) => {
      const under = ['/usr/bin/prlimit', '--core=77:unlimited'];
      const limits = await limitsOf([...under, softlimit, '-c', number, ...tell]);
      expect(limits[resources.c]).toEqual([soft, 'unlimited']);
    });

    test('they hold: descriptors, and the size of files', async () => {
      const outcome = (...words: readonly string[]) => run([softlimit, ...words]);
      expect(await outcome('-o20', '-c', '0', 'sh', '-c', 'ulimit -n; ulimit -c')).toEqual({
        ...silent,
        stdout: '20\n0\n',
      });
      const opens = 'my $last; while (defined(my $fd = POSIX::open("/dev/null"))) { $last = $fd } print "$last, $!\n"';
      expect(await outcome('-o', '20', 'perl', '-MPOSIX', '-e', opens.replaceAll('\\\\', '\\'))).toEqual({
        ...silent,
        stdout: '19, Too many open files\n',
      });
      await using here = temporaryDirectory();
      const file = await run([softlimit, '-f', '3000', 'sh', '-c', 'head -c 5000 /dev/zero >file; exit $?'], {
        cwd: here.path,
      });
      expect(file.code).toBe(153);
      expect(statSync(here.join('file')).size).toBe(3000);
    });

    test('a limit that the program cannot live with kills that, and softlimit does not know', async () => {
      const outcome = await run([softlimit, '-c', '0', '-a', '100000', '/bin/true']);
      expect(outcome).toEqual({ ...silent, code: undefined, signal: 'SIGSEGV' });
    });

    test('limits that are too low for anything but the program', async () => {
      expect(await run([softlimit, '-m', '3000000', '/bin/true'])).toEqual(silent);
      expect(await run([softlimit, '-a', '5000000', '-d', '300000', '-s', '100000', '-o', '5', 'echo', 'ran'])).toEqual(
        {
          ...silent,
          stdout: 'ran\n',
        },
      );
    });

    test('a caller with 30 descriptors has its program raised to the hard limit by -o =', async () => {
      const script = 'ulimit -Sn 30; "$0" -o = sh -c "[ \\$(ulimit -n) = \\$(ulimit -Hn) ] && echo same"';
      expect(await run(['/bin/sh', '-c', script, softlimit])).toEqual({ ...silent, stdout: 'same\n' });
      const plain = 'ulimit -Sn 30; "$0" -c 0 sh -c "ulimit -n"';
      expect(await run(['/bin/sh', '-c', plain, softlimit])).toEqual({ ...silent, stdout: '30\n' });
    });

    test.each([
      ['a wrong number', ['-f', '0', '-d', '10x', 'true'], 100, 'softlimit: usage: '],
      ['an option that there is not', ['-f', '0', '-q', 'true'], 100, 'illegal option -- q'],
      ['a program that is nowhere', ['-f', '0', './nonexist'], 111, 'unable to run ./nonexist'],
    ])('-f 0 before %s keeps the message from a file in C, not in ours (docs/compatibility.md)', async (...each) => {
      const [, words, exitCode, message] = each;
      await using here = temporaryDirectory();
      const script = 'ulimit -c 0; exec 2>message; exec "$0" "$@"';
      const { code, signal } = await run(['/bin/sh', '-c', script, softlimit, ...words], { cwd: here.path });
      const written = readFileSync(here.join('message'), 'latin1');
      if (implementation.name === 'daemontools') expect([code, signal, written]).toEqual([undefined, 'SIGXFSZ', '']);
      else expect([code, signal, written]).toEqual([exitCode, undefined, expect.stringContaining(message)]);
      expect(readdirSync(here.path)).toEqual(['message']);
    });

    test.runIf(canBeNobody)('an ordinary account sets its soft limits as far as the hard ones go', async () => {
      const before = await limitsOf([...limited, ...asNobody(tell)]);
      const after = (...words: readonly string[]) =>
        limitsOf([...limited, ...asNobody([softlimit, ...words, ...tell])]);
      const words = table.flatMap(([letter, , , , between]) => [`-${letter}`, String(between)]);
      expect(await after(...words)).toEqual(
        changed(before, Object.fromEntries(table.map(([letter, , , , between]) => [resources[letter], between]))),
      );
      const most = Object.fromEntries(table.map(([letter, , , hard]) => [resources[letter], hard]));
      expect(await after(...table.map(([letter]) => `-${letter}=`))).toEqual(changed(before, most));
      expect(await after(...table.map(([letter]) => `-${letter}99000000000`))).toEqual(changed(before, most));
    });

    test.runIf(isRoot)('root does not raise a hard limit either', async () => {
      const limits = await limitsOf(['/usr/bin/prlimit', '--nofile=100:200', softlimit, '-o', '1000', ...tell]);
      expect(limits[resources.o]).toEqual(['200', '200']);
    });
  });
});
