/** multilog and signals, ours and C's: T52, T53 and section 8.9 of the behaviour reference. */
import { readSync } from 'node:fs';
import { isReady } from '@daemontap/posix';
import { describe, expect, test } from 'vitest';
import { fedMultilog, finishedFiles, listing, logged, maskStamps, multilogs, textOf } from '../e2e/support/multilog.ts';
import type { FedMultilog } from '../e2e/support/multilog.ts';
import { run } from '../e2e/support/run.ts';
import { processState } from '../e2e/support/supervised.ts';
import { until } from '../e2e/support/until.ts';

const ENDED = { code: 0, signal: undefined };
const CLEAN = ['744 current', '600 lock', '644 state'];

/** What was not read of its input; nobody writes any more. */
function unread(fed: FedMultilog): string {
  fed.pipe.end();
  const bytes = Buffer.alloc(100_000);
  let text = '';
  for (let count = 1; count > 0;) {
    count = readSync(fed.pipe.reader, bytes);
    text += bytes.toString('latin1', 0, count);
  }
  return text;
}

describe.concurrent.each(multilogs)('multilog and signals ($name)', (implementation) => {
  /** A multilog that has these bytes, and waits for more. */
  const waiting = async (
    bytes: string,
    { words = ['./d'], holds = bytes, through = [] as readonly string[] } = {},
  ): Promise<FedMultilog> => {
    const fed = fedMultilog(implementation, words, { through });
    try {
      if (bytes !== '') fed.pipe.write(bytes);
      await fed.holds('d/current', holds);
      await fed.idle();
    } catch (error) {
      await fed[Symbol.asyncDispose]();
      throw error;
    }
    return fed;
  };

  describe('TERM', () => {
    test.each([
      ['before any input', ''],
      ['after a line', 'one\n'],
      ['after a long line', `${'x'.repeat(5000)}\n`],
    ])('%s ends it as the end of input does', async (_, bytes) => {
      await using fed = await waiting(bytes);
      await fed.signal('SIGTERM');
      expect(await fed.ended()).toEqual(ENDED);
      expect(textOf(fed.here.join('d/current'))).toBe(bytes);
      expect(listing(fed.here.join('d'))).toEqual(CLEAN);
      expect(fed.program.stderr()).toBe('');
      fed.pipe.write('more\n');
      expect(unread(fed)).toBe('more\n');
    });

    test.each([
      ['', 'par', 'tial\n'],
      ['one\n', 'p', '\n'],
      ['one\n', 'x'.repeat(600), `${'y'.repeat(3000)}\n`],
    ])(
      'with a partial line (%j, then %j) it waits for the end of the line, and leaves the rest',
      async (before, part, rest) => {
        // What is before a partial line tells that this was read, too; and what goes to a status file comes at once.
        await using fed = await waiting(`begin\n${before}${part}`, { holds: `begin\n${before}` });
        await fed.signal('SIGTERM');
        fed.pipe.write(rest.slice(0, -1));
        await emptied(fed);
        expect(processState(fed.program.pid)).toBe('S');
        fed.pipe.write('\nmore\nand more');
        expect(await fed.ended()).toEqual(ENDED);
        expect(textOf(fed.here.join('d/current'))).toBe(`begin\n${before}${part}${rest}`);
        expect(listing(fed.here.join('d'))).toEqual(CLEAN);
        expect(unread(fed)).toBe('more\nand more');
      },
    );

    test('with a partial line it ends at the end of input, with a newline', async () => {
      await using fed = await waiting('one\npar', { holds: 'one\n' });
      await fed.signal('SIGTERM');
      fed.pipe.end();
      // The test itself has the pipe for reading alone.
      expect(await fed.ended()).toEqual(ENDED);
      expect(textOf(fed.here.join('d/current'))).toBe('one\npar\n');
      expect(listing(fed.here.join('d'))).toEqual(CLEAN);
    });

    test('with a line of more than 1000 bytes that goes on, it waits for its end, too', async () => {
      await using fed = await waiting('x'.repeat(3000));
      await fed.signal('SIGTERM');
      fed.pipe.write('y'.repeat(100));
      await emptied(fed);
      expect(processState(fed.program.pid)).toBe('S');
      fed.pipe.write('\nmore\n');
      expect(await fed.ended()).toEqual(ENDED);
      expect(textOf(fed.here.join('d/current'))).toBe(`${'x'.repeat(3000)}${'y'.repeat(100)}\n`);
      expect(unread(fed)).toBe('more\n');
    });

    test('more than once is once, and ALRM behind it does no harm', async () => {
      await using fed = await waiting('one\npar', { holds: 'one\n' });
      for (const signal of ['SIGTERM', 'SIGALRM', 'SIGTERM', 'SIGALRM'] as const) await fed.signal(signal);
      fed.pipe.write('tial\nmore\n');
      expect(await fed.ended()).toEqual(ENDED);
      expect(logged(fed.here.join('d'))).toBe('one\npartial\n');
      expect(unread(fed)).toBe('more\n');
    });

    test.each([
      ['ignored', "$SIG{$_} = 'IGNORE' for qw(TERM ALRM)"],
      ['blocked', 'sigprocmask(SIG_SETMASK, POSIX::SigSet->new(SIGTERM, SIGALRM))'],
    ])('and ALRM are heard even where the caller has them %s', async (_, setUp) => {
      const through = ['/usr/bin/perl', '-MPOSIX', '-e', `${setUp}; exec @ARGV`];
      await using fed = await waiting('one\n', { through });
      await fed.signal('SIGALRM');
      await fed.holds('d/current', '');
      await fed.idle();
      await fed.signal('SIGTERM');
      expect(await fed.ended()).toEqual(ENDED);
      expect(listing(fed.here.join('d'))).toEqual(['744 @STAMP.s', ...CLEAN]);
    });

    test('with a stamp and without a directory, a partial line goes to standard error', async () => {
      await using fed = fedMultilog(implementation, ['t', 'e']);
      fed.pipe.write('one\npar');
      await until(() => maskStamps(fed.program.stderr()) === '@STAMP one\n', { describe: 'it has read it' });
      await fed.idle();
      await fed.signal('SIGTERM');
      fed.pipe.write('tial\nmore\n');
      expect(await fed.ended()).toEqual(ENDED);
      expect(maskStamps(fed.program.stderr())).toBe('@STAMP one\n@STAMP partial\n');
      expect(unread(fed)).toBe('more\n');
    });
  });

  describe('ALRM', () => {
    test('rotates each directory that has something in current', async () => {
      await using fed = await waiting('one\n', { words: ['./d', '!tr a-z A-Z', './up', '-*', './none'] });
      await fed.signal('SIGALRM');
      await until(() => logged(fed.here.join('up')) === 'ONE\n', { describe: 'it has rotated' });
      await fed.holds('d/current', '');
      expect(listing(fed.here.join('d'))).toEqual(['744 @STAMP.s', '644 current', '600 lock', '644 state']);
      expect(finishedFiles(fed.here.join('d')).map(({ text }) => text)).toEqual(['one\n']);
      await fed.idle();
      await fed.signal('SIGALRM');
      fed.pipe.write('two\n');
      await fed.holds('d/current', 'two\n');
      expect(finishedFiles(fed.here.join('d'))).toHaveLength(1);
      expect(listing(fed.here.join('none'))).toEqual(['644 current', '600 lock', '644 state']);
      fed.pipe.end();
      expect(await fed.ended()).toEqual(ENDED);
    });

    test('before any input, and without a directory, does nothing', async () => {
      await using fed = await waiting('');
      await fed.signal('SIGALRM');
      fed.pipe.write('one\n');
      await fed.holds('d/current', 'one\n');
      fed.pipe.end();
      expect(await fed.ended()).toEqual(ENDED);
      expect(listing(fed.here.join('d'))).toEqual(CLEAN);
      await using bare = fedMultilog(implementation, ['e']);
      bare.pipe.write('one\n');
      await bare.says('one\n');
      await bare.idle();
      await bare.signal('SIGALRM');
      bare.pipe.write('two\n');
      await bare.says('one\ntwo\n');
    });

    test('does not split a partial line of up to 1000 bytes', async () => {
      await using fed = await waiting(`one\n${'x'.repeat(900)}`, { holds: 'one\n' });
      await fed.signal('SIGALRM');
      await fed.holds('d/current', '');
      fed.pipe.write('y\n');
      await fed.holds('d/current', `${'x'.repeat(900)}y\n`);
      expect(finishedFiles(fed.here.join('d')).map(({ text }) => text)).toEqual(['one\n']);
    });

    test('splits a line that has more than 1000 bytes already', async () => {
      await using fed = await waiting('x'.repeat(1500));
      await fed.signal('SIGALRM');
      await fed.holds('d/current', '');
      fed.pipe.write('y\n');
      await fed.holds('d/current', 'y\n');
      expect(finishedFiles(fed.here.join('d')).map(({ text }) => text)).toEqual(['x'.repeat(1500)]);
    });

    test('counts for the number of files', async () => {
      await using fed = await waiting('0\n', { words: ['n3', './d'] });
      for (let n = 1; n < 6; n++) {
        await fed.signal('SIGALRM');
        await fed.holds('d/current', '');
        fed.pipe.write(`${n}\n`);
        await fed.holds('d/current', `${n}\n`);
        await fed.idle();
      }
      expect(finishedFiles(fed.here.join('d')).map(({ text }) => text)).toEqual(['3\n', '4\n']);
      expect(logged(fed.here.join('d'))).toBe('3\n4\n5\n');
    });
  });

  describe('other signals', () => {
    test.each(['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGPIPE', 'SIGKILL'] as const)(
      '%s ends it where it is',
      async (signal) => {
        const through = ['/bin/sh', '-c', 'ulimit -c 0; exec "$0" "$@"'];
        await using fed = await waiting('one\npar', { holds: 'one\n', through });
        await fed.signal(signal);
        expect(await fed.ended()).toEqual({ code: undefined, signal });
        expect(listing(fed.here.join('d'))).toEqual(['644 current', '600 lock', '644 state']);
        expect(textOf(fed.here.join('d/current'))).toBe('one\n');
        expect(fed.program.stderr()).toBe('');
        const path = implementation.path('multilog');
        await run([path, './d'], { cwd: fed.here.path, input: 'next\n' });
        expect(listing(fed.here.join('d'))).toEqual(['644 @STAMP.u', ...CLEAN]);
        expect(logged(fed.here.join('d'))).toBe('one\nnext\n');
      },
    );

    test('those that its caller ignores, and those that mean nothing, and a stop, change nothing', async () => {
      const setUp = "$SIG{$_} = 'IGNORE' for qw(HUP INT QUIT USR1 USR2)";
      await using fed = await waiting('one\n', { through: ['/usr/bin/perl', '-e', `${setUp}; exec @ARGV`] });
      for (const signal of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const) await fed.signal(signal);
      for (const signal of ['SIGWINCH', 'SIGCHLD', 'SIGCONT', 'SIGURG', 'SIGSTOP'] as const) await fed.signal(signal);
      await until(() => processState(fed.program.pid) === 'T', { describe: 'it has stopped' });
      fed.pipe.write('two\n');
      await fed.signal('SIGCONT');
      await fed.holds('d/current', 'one\ntwo\n');
      fed.pipe.end();
      expect(await fed.ended()).toEqual(ENDED);
      expect(listing(fed.here.join('d'))).toEqual(CLEAN);
      expect(fed.program.stderr()).toBe('');
    });
  });
});

/** Waits until a multilog has read all that is in its pipe. */
async function emptied(fed: FedMultilog): Promise<void> {
  await until(() => !isReady('readable', fed.pipe.reader), { describe: 'it has read all' });
  await fed.idle();
}
