/**
 * setlock, ours and C's, and each against the other's locks: transcripts T82 to T88 and section 18 of the behaviour
 * reference.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect, test } from 'vitest';
import { describeExecSearch, fatal, silent, withDescriptors } from '../e2e/support/chain-loading.ts';
import { makeFifo } from '../e2e/support/fifo.ts';
import { implementations } from '../e2e/support/implementations.ts';
import { asNobody, canBeNobody } from '../e2e/support/nobody.ts';
import { joinBytes, oddNames, shownBytes } from '../e2e/support/odd-names.ts';
import { run } from '../e2e/support/run.ts';
import type { Argument } from '../e2e/support/run.ts';
import { start } from '../e2e/support/start.ts';
import type { StartedProgram } from '../e2e/support/start.ts';
import { processState } from '../e2e/support/supervised.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import type { TemporaryDirectory } from '../e2e/support/temporary-directory.ts';
import { until } from '../e2e/support/until.ts';

const USAGE = 'setlock: usage: setlock [ -nNxX ] file program [ arg ... ]\n';
const FLOCK = '/usr/bin/flock';
const held = (file: string) => fatal('setlock', `unable to lock ${file}: temporary failure`);

/** The words of a program that says that it has the lock, and ends once somebody writes to the FIFO `end`. */
const HOLD = ['sh', '-c', 'echo locked; read line <end; echo over'];

interface Holder extends AsyncDisposable {
  readonly here: TemporaryDirectory;
  readonly program: StartedProgram;
  /** Lets it go, and waits until it has ended. */
  end(): Promise<void>;
}

/** A program that holds the lock `lk` in a directory of its own. */
async function holder(argv: readonly Argument[]): Promise<Holder> {
  const here = temporaryDirectory();
  makeFifo(here.join('end'));
  const program = start(argv, { cwd: here.path });
  await until(() => program.stdout().includes('locked\n'), { describe: 'the lock is held', state: program.stderr });
  return {
    here,
    program,
    async end() {
      writeFileSync(here.join('end'), 'now\n');
      await until(() => program.stdout().includes('over\n'), { describe: 'the holder ends' });
      await program.exit;
    },
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
      await here[Symbol.asyncDispose]();
    },
  };
}

/** Waits until a process waits for a lock. */
async function waitsForLock(program: StartedProgram): Promise<void> {
  const waits = (): boolean =>
    new RegExp(`-> FLOCK +ADVISORY +WRITE +${program.pid} `).test(readFileSync('/proc/locks', 'latin1'));
  await until(waits, { describe: 'it waits for the lock', state: () => readFileSync('/proc/locks', 'latin1') });
}

describe.each(implementations)('setlock ($name)', (implementation) => {
  const setlock = implementation.path('setlock');
  describeExecSearch(implementation, 'setlock');

  describe.concurrent('its words', () => {
    test.each([
      ['no word', []],
      ['a file alone', ['f']],
      ['options alone', ['-n', '-x']],
      ['options and a file', ['-nx', 'f']],
      ['-- and a file', ['--', 'f']],
      ['a lone - alone', ['-']],
    ])('%s: says how to use it, exits 100 and makes no file', async (_, words) => {
      await using here = temporaryDirectory();
      expect(await run([setlock, ...words], { cwd: here.path })).toEqual({ ...silent, code: 100, stderr: USAGE });
      expect(readdirSync(here.path)).toEqual([]);
    });

    test.each([
      ['a letter that is none', ['-q'], 'q'],
      ['a letter behind good ones', ['-nxq'], 'q'],
      ['a letter in a later word', ['-n', '-x', '-Q'], 'Q'],
      ['a dash in a cluster', ['-n-'], '-'],
      ['a colon', ['-:'], ':'],
      ['a question mark', ['-?'], '?'],
      ['a byte that is no character', [Uint8Array.of(0x2d, 0xff)], '\xff'],
    ])('%s is an illegal option: exits 100 and makes no file', async (_, words: readonly Argument[], letter) => {
      await using here = temporaryDirectory();
      expect(await run([setlock, ...words, 'lk', 'true'], { cwd: here.path })).toEqual({
        ...silent,
        code: 100,
        stderr: `setlock: illegal option -- ${letter}\n${USAGE}`,
      });
      expect(readdirSync(here.path)).toEqual([]);
    });

    test('the complaint names the program as it was called', async () => {
      await using here = temporaryDirectory();
      symlinkSync(setlock, here.join('lock-it'));
      expect(await run(['./lock-it', '-q'], { cwd: here.path })).toEqual({
        ...silent,
        code: 100,
        stderr: `lock-it: illegal option -- q\n${USAGE}`,
      });
    });

    test.each([
      ['--', ['--', '-f'], '-f'],
      ['any word that begins with --', ['-n', '--nonsense', 'f'], 'f'],
      ['a lone -, which is the file', ['-'], '-'],
      ['a word without a dash', ['f', '-q'], 'f'],
      ['an option of the program', ['-n', 'f', '-n'], 'f'],
    ])('options end at %s', async (_, words, file) => {
      await using here = temporaryDirectory();
      const isProgram = words.at(-1) !== file;
      const outcome = await run([setlock, ...words, ...(isProgram ? [] : ['true'])], { cwd: here.path });
      expect(outcome).toEqual(
        isProgram ? fatal('setlock', `unable to run ${words.at(-1)}: file does not exist`) : silent,
      );
      expect(readdirSync(here.path)).toEqual([file]);
    });

    test.each(oddNames)('a file whose name has %s is made and named byte for byte', async (_, name) => {
      await using here = temporaryDirectory();
      expect(await run([setlock, name, 'true'], { cwd: here.path })).toEqual(silent);
      expect(existsSync(joinBytes(here.path, '/', name))).toBe(true);
      expect(await run([setlock, joinBytes(name, '/x'), 'true'], { cwd: here.path })).toEqual(
        fatal('setlock', `unable to open ${shownBytes(name)}/x: not a directory`),
      );
    });
  });

  describe.concurrent('its file', () => {
    test.each([
      ['022', '600'],
      ['0', '600'],
      ['077', '600'],
      ['0277', '400'],
      ['0777', '0'],
    ])('is made with a mask of %s as mode %s, empty', async (mask, mode) => {
      await using here = temporaryDirectory();
      const argv = ['/bin/sh', '-c', `umask ${mask}; exec "$0" lk true`, setlock];
      expect(await run(argv, { cwd: here.path })).toEqual(silent);
      const { mode: made, size } = statSync(here.join('lk'));
      expect([(made & 0o7777).toString(8), size]).toEqual([mode, 0]);
    });

    test('that is there keeps its bytes, its mode and its time', async () => {
      await using here = temporaryDirectory();
      writeFileSync(here.join('lk'), 'keep\n');
      chmodSync(here.join('lk'), 0o4640);
      utimesSync(here.join('lk'), 1_000_000, 2_000_000);
      const { atimeMs: _, ...before } = statSync(here.join('lk'));
      expect(await run([setlock, 'lk', 'true'], { cwd: here.path })).toEqual(silent);
      expect(statSync(here.join('lk'))).toMatchObject(before);
      expect(await run([setlock, 'lk', 'cat', 'lk'], { cwd: here.path })).toEqual({ ...silent, stdout: 'keep\n' });
    });

    test('is made through a link that leads nowhere yet', async () => {
      await using here = temporaryDirectory();
      symlinkSync('target', here.join('lk'));
      expect(await run([setlock, 'lk', 'true'], { cwd: here.path })).toEqual(silent);
      expect(statSync(here.join('target')).size).toBe(0);
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
    ])('cannot be "%s": exits 111; with -x says nothing and exits 0, and the program is not run', async (name, why) => {
      await using here = temporaryDirectory();
      mkdirSync(here.join('directory'));
      writeFileSync(here.join('file'), '');
      symlinkSync('loop', here.join('loop'));
      makeFifo(here.join('fifo'));
      const outcome = (...options: readonly string[]) =>
        run([setlock, ...options, name, 'echo', 'ran'], { cwd: here.path });
      const complaint = fatal('setlock', `unable to open ${name}: ${why}`);
      expect(await outcome()).toEqual(complaint);
      expect(await outcome('-x')).toEqual(silent);
      expect(await outcome('-xnX')).toEqual(complaint);
    });

    test.runIf(canBeNobody)('is refused to an ordinary account that may not write it, or make it', async () => {
      await using here = temporaryDirectory();
      writeFileSync(here.join('readable'), '', { mode: 0o644 });
      writeFileSync(here.join('writable'), '');
      chmodSync(here.join('writable'), 0o222);
      mkdirSync(here.join('open'));
      chmodSync(here.join('open'), 0o777);
      const outcome = (...words: readonly string[]) =>
        run(asNobody([setlock, ...words, 'echo', 'ran']), { cwd: here.path });
      expect(await outcome('readable')).toEqual(fatal('setlock', 'unable to open readable: access denied'));
      expect(await outcome('-x', 'readable')).toEqual(silent);
      expect(await outcome('new')).toEqual(fatal('setlock', 'unable to open new: access denied'));
      expect(await outcome('writable')).toEqual({ ...silent, stdout: 'ran\n' });
      expect(await outcome('open/new')).toEqual({ ...silent, stdout: 'ran\n' });
      const { mode, uid, gid } = statSync(here.join('open/new'));
      expect([mode & 0o7777, uid, gid]).toEqual([0o600, 65_534, 65_534]);
    });

    test('reaches the program as the lowest free descriptor, open for appending, not closed by exec', async () => {
      await using here = temporaryDirectory();
      const told = async (free: number, ...taken: readonly number[]): Promise<readonly string[]> => {
        const words = ['sh', '-c', `readlink /proc/self/fd/${free}; cat /proc/self/fdinfo/${free}`];
        const { stdout } = await run(withDescriptors(taken, [setlock, 'lk', ...words]), { cwd: here.path });
        return stdout.split('\n').slice(0, 3);
      };
      const expected = [here.join('lk'), 'pos:\t0', 'flags:\t0106001'];
      expect(await told(3)).toEqual(expected);
      expect(await told(5, 3, 4, 6, 10)).toEqual(expected);
    });
  });

  describe.concurrent('its lock', () => {
    test('held by another: -n says so and exits 111, -nx says nothing and exits 0', async () => {
      await using here = temporaryDirectory();
      const second = (options: string) =>
        run([setlock, 'lk', setlock, options, 'lk', 'echo', 'ran'], { cwd: here.path });
      expect(await second('-n')).toEqual(held('lk'));
      expect(await second('-Nn')).toEqual(held('lk'));
      expect(await second('-nxX')).toEqual(held('lk'));
      expect(await second('-nx')).toEqual(silent);
      expect(await second('-xNn')).toEqual(silent);
    });

    test.each([
      ['without options', []],
      ['with -N', ['-N']],
      ['with -N after -n', ['-n', '-N']],
      ['with -N in a cluster after -n', ['-nxN']],
      ['with -x', ['-x']],
    ])('%s it waits, and runs the program once the lock is released', async (_, options) => {
      await using first = await holder([setlock, 'lk', ...HOLD]);
      await using second = start([setlock, ...options, 'lk', 'echo', 'ran'], { cwd: first.here.path });
      await waitsForLock(second);
      expect(second.stdout()).toBe('');
      await first.end();
      expect(await second.exit).toEqual({ code: 0, signal: undefined });
      expect([second.stdout(), second.stderr()]).toEqual(['ran\n', '']);
    });

    test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGALRM', 'SIGUSR1'] as const)(
      '%s ends it while it waits',
      async (signal) => {
        await using first = await holder([setlock, 'lk', ...HOLD]);
        await using second = start([setlock, 'lk', 'echo', 'ran'], { cwd: first.here.path });
        await waitsForLock(second);
        process.kill(second.pid, signal);
        // Not only awaited: what does not end must be ended with the test.
        const isGone = (): boolean => processState(second.pid) === undefined;
        await until(isGone, { describe: 'it ends', timeoutMs: 10_000 });
        expect(await second.exit).toEqual({ code: undefined, signal });
        expect([second.stdout(), second.stderr()]).toEqual(['', '']);
      },
    );

    test.each([
      ['ignores', "$SIG{$_} = 'IGNORE' for qw(HUP TERM USR2)"],
      ['blocks', 'sigprocmask(SIG_SETMASK, POSIX::SigSet->new(SIGHUP, SIGTERM, SIGUSR2))'],
    ])(
      'it goes on waiting after signals that its caller %s, after others that mean nothing, and a stop',
      async (_, deaf) => {
        await using first = await holder([setlock, 'lk', ...HOLD]);
        const argv = ['/usr/bin/perl', '-MPOSIX', '-e', `${deaf}; exec @ARGV`, setlock, 'lk', 'echo', 'ran'];
        await using second = start(argv, { cwd: first.here.path });
        await waitsForLock(second);
        for (const signal of ['SIGHUP', 'SIGTERM', 'SIGUSR2', 'SIGWINCH', 'SIGCHLD']) process.kill(second.pid, signal);
        process.kill(second.pid, 'SIGSTOP');
        const isStopped = (): boolean => {
          if (processState(second.pid) === undefined) throw new Error('it has ended');
          return processState(second.pid) === 'T';
        };
        await until(isStopped, { describe: 'it has stopped' });
        process.kill(second.pid, 'SIGCONT');
        await waitsForLock(second);
        await first.end();
        expect(await second.exit).toEqual({ code: 0, signal: undefined });
        expect([second.stdout(), second.stderr()]).toEqual(['ran\n', '']);
      },
    );

    test('a program that could not be run is told even with -x, and the lock is free again', async () => {
      await using here = temporaryDirectory();
      expect(await run([setlock, '-nx', 'lk', './nonexist'], { cwd: here.path })).toEqual(
        fatal('setlock', 'unable to run ./nonexist: file does not exist'),
      );
      expect(await run([setlock, '-n', 'lk', 'true'], { cwd: here.path })).toEqual(silent);
    });

    test('is free again once the program has ended, in any way', async () => {
      await using here = temporaryDirectory();
      expect(await run([setlock, 'lk', 'sh', '-c', 'exit 3'], { cwd: here.path })).toEqual({ ...silent, code: 3 });
      expect(await run([setlock, '-n', 'lk', 'sh', '-c', 'kill -9 $$'], { cwd: here.path })).toEqual({
        ...silent,
        code: undefined,
        signal: 'SIGKILL',
      });
      expect(await run([setlock, '-n', 'lk', 'true'], { cwd: here.path })).toEqual(silent);
    });

    test('is kept by a process in the background that has inherited it', async () => {
      const script = "sh -c 'echo locked; read line <end; echo over' & exit 5";
      await using first = await holder([setlock, 'lk', 'sh', '-c', script]);
      expect(await first.program.exit).toEqual({ code: 5, signal: undefined });
      expect(await run([setlock, '-n', 'lk', 'true'], { cwd: first.here.path })).toEqual(held('lk'));
      await using second = start([setlock, 'lk', 'echo', 'ran'], { cwd: first.here.path });
      await waitsForLock(second);
      await first.end();
      expect(await second.exit).toEqual({ code: 0, signal: undefined });
      expect(second.stdout()).toBe('ran\n');
    });

    test('is let go by a program that closes it', async () => {
      const script = 'exec 3>&-; echo locked; read line <end; echo over';
      await using first = await holder(withDescriptors([], [setlock, 'lk', 'sh', '-c', script]));
      expect(await run([setlock, '-n', 'lk', 'true'], { cwd: first.here.path })).toEqual(silent);
      await first.end();
    });

    test('of one file is not the lock of another, and a link to the file is the file', async () => {
      await using here = temporaryDirectory();
      symlinkSync('lk', here.join('link'));
      const both = (name: string) => run([setlock, 'lk', setlock, '-n', name, 'echo', 'ran'], { cwd: here.path });
      expect(await both('other')).toEqual({ ...silent, stdout: 'ran\n' });
      expect(await both('link')).toEqual(held('link'));
    });
  });
});

const possible = existsSync(FLOCK);
if (!possible) console.log('skipped: locks of flock(1)');

/** Programs that lock a file: both setlocks, and util-linux's flock. */
const lockers = [
  ...implementations.map((each) => ({
    name: each.name,
    lock: [each.path('setlock'), 'lk'],
    tries: [each.path('setlock'), '-n', 'lk'],
    complaint: held('lk'),
  })),
  ...(possible
    ? [{ name: 'flock(1)', lock: [FLOCK, 'lk'], tries: [FLOCK, '-n', 'lk'], complaint: { ...silent, code: 1 } }]
    : []),
];
const pairs = lockers.flatMap((first) =>
  lockers.map((second) => ({ first, second, title: `${first.name} and ${second.name}` })),
);

describe.concurrent('the same lock for all', () => {
  test.each(pairs)(
    '$title: what the first has locked the second cannot, until it has ended',
    async ({ first, second }) => {
      await using one = await holder([...first.lock, ...HOLD]);
      expect(await run([...second.tries, 'echo', 'ran'], { cwd: one.here.path })).toEqual(second.complaint);
      await using other = start([...second.lock, 'echo', 'ran'], { cwd: one.here.path });
      await waitsForLock(other);
      await one.end();
      expect(await other.exit).toEqual({ code: 0, signal: undefined });
      expect([other.stdout(), other.stderr()]).toEqual(['ran\n', '']);
      expect(await run([...second.tries, 'echo', 'ran'], { cwd: one.here.path })).toEqual({
        ...silent,
        stdout: 'ran\n',
      });
    },
  );
});
