/** The processors of multilog, ours and C's: T50, T51 and section 8.8 of the behaviour reference. */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { silent, withDescriptors } from '../e2e/support/chain-loading.ts';
import { fedMultilog, finishedFiles, listing, logged, multilogs, textOf } from '../e2e/support/multilog.ts';
import type { FedMultilog } from '../e2e/support/multilog.ts';
import { run } from '../e2e/support/run.ts';
import type { Argument, Outcome } from '../e2e/support/run.ts';
import { processState } from '../e2e/support/supervised.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import type { TemporaryDirectory } from '../e2e/support/temporary-directory.ts';
import { until } from '../e2e/support/until.ts';

const FAILED = 'multilog: warning: processor failed in ./d, pausing\n';
const ENDED = { code: 0, signal: undefined };

/** Lines of 50 bytes; 60 of them fill a file of 4096 once. */
const numbered = (count: number, from = 0): string =>
  Array.from({ length: count }, (_, index) => `${String(from + index).padStart(49, '0')}\n`).join('');

/** Rotates every directory of a multilog, and waits until that is done, with `count` files in `./d`. */
async function rotate(fed: FedMultilog, count: number): Promise<void> {
  await fed.idle();
  await fed.signal('SIGALRM');
  const isDone = (): boolean => {
    const names = readdirSync(fed.here.join('d'));
    return names.filter((name) => name.startsWith('@')).length === count && !names.includes('processed');
  };
  await until(isDone, { describe: `${count} files are finished`, state: () => listing(fed.here.join('d')) });
}

describe.concurrent.each(multilogs)('the processors of multilog ($name)', (implementation) => {
  const multilog = implementation.path('multilog');
  const log = (here: TemporaryDirectory, words: readonly Argument[], input = numbered(60)): Promise<Outcome> =>
    run([multilog, 's4096', ...words], { cwd: here.path, input });
  const texts = (here: TemporaryDirectory, name: string): readonly string[] =>
    finishedFiles(here.join(name)).map(({ text }) => text);

  describe('what they do', () => {
    test('the finished file is what the processor wrote, the state what it wrote to descriptor 5', async () => {
      await using here = temporaryDirectory();
      expect(await log(here, ['!wc -c; echo st >&5', './d'])).toEqual(silent);
      const [size = 0] = texts(here, 'd').map(Number);
      expect(size).toBeGreaterThanOrEqual(2096);
      expect(size).toBeLessThanOrEqual(3000);
      expect(size + (textOf(here.join('d/current')) ?? '').length).toBe(3000);
      expect(textOf(here.join('d/state'))).toBe('st\n');
      expect(listing(here.join('d'))).toEqual(['744 @STAMP.s', '744 current', '600 lock', '644 state']);
    });

    test.each([
      ['nothing', '!', ''],
      ['nothing of a command that says nothing', '!true', ''],
      ['nothing of an output that is closed', '!exec >&-', ''],
      ['less', '!echo less', 'less\n'],
      ['bytes without a newline', "!printf 'a\\0b\\377'", 'a\0b\xff'],
      ['more than its size', '!yes | head -c 100000', 'y\n'.repeat(50_000)],
      ['the rest of what the shell has read', '!read line; echo', '\n'],
      ['the words of the shell', '!echo "$0" $# "$*" "$-"', 'sh 0  \n'],
      ['many lines', '!echo 1\necho 2 # comment\n\necho 3', '1\n2\n3\n'],
    ])('a finished file may have %s', async (_, command, text) => {
      await using here = temporaryDirectory();
      expect(await log(here, [command, './d'])).toEqual(silent);
      expect(texts(here, 'd')).toEqual([text]);
      expect(listing(here.join('d'))).toEqual(['744 @STAMP.s', '744 current', '600 lock', '644 state']);
    });

    test('one holds for all directories behind it, until the next', async () => {
      await using here = temporaryDirectory();
      const words = ['./plain', '!echo first', './a', './b', '!echo second', './c', '!', './empty'];
      expect(await log(here, words)).toEqual(silent);
      expect(['a', 'b', 'c', 'empty'].map((name) => texts(here, name))).toEqual([
        ['first\n'],
        ['first\n'],
        ['second\n'],
        [''],
      ]);
      expect(logged(here.join('plain'))).toBe(numbered(60));
    });

    test('each has all lines of its file, and no other', async () => {
      await using here = temporaryDirectory();
      expect(await log(here, ['n100', '!tr 0 o; echo >&5', './d'], numbered(1000))).toEqual(silent);
      expect(texts(here, 'd').join('').replaceAll('o', '0') + textOf(here.join('d/current'))).toBe(numbered(1000));
      for (const text of texts(here, 'd')) {
        expect(text.length).toBeLessThanOrEqual(4096);
        expect(text).not.toContain('0');
      }
    });

    test('the bytes of the command are passed as they are', async () => {
      await using here = temporaryDirectory();
      const command = Buffer.from(`!printf %s '\xff\xfe\xc3(  $x "'"'"`, 'latin1');
      expect(await log(here, [command, './d'])).toEqual(silent);
      expect(texts(here, 'd')).toEqual(['\xff\xfe\xc3(  $x "\'']);
    });
  });

  describe('what they find', () => {
    test('descriptors 0, 1, 4 and 5, and those that multilog was started with', async () => {
      await using here = temporaryDirectory();
      const command = `!for n in $(seq 0 255); do
          if [ -h "/proc/$$/fd/$n" ]; then printf '%s ' "$n"; readlink "/proc/$$/fd/$n"; fi; done
        cat /proc/$$/fdinfo/0 /proc/$$/fdinfo/1 /proc/$$/fdinfo/4 /proc/$$/fdinfo/5 | sed -n 's/^flags:.0*//p' >&2`;
      const argv = withDescriptors([7, 200], [multilog, 's4096', '=st', command, './d', './other']);
      const { stderr, ...rest } = await run(argv, { cwd: here.path, input: numbered(60) });
      expect(rest).toEqual({ code: 0, signal: undefined, stdout: '' });
      for (const name of ['d', 'other']) {
        const lines = (texts(here, name)[0] ?? '').split('\n').slice(0, -1);
        const found = lines.filter((line) => !line.startsWith('2 ')).toSorted();
        expect(found).toEqual(
          [
            `0 ${here.join(name)}/previous`,
            `1 ${here.join(name)}/processed`,
            `4 ${here.join(name)}/state`,
            `5 ${here.join(name)}/newstate`,
            '7 /dev/null',
            '200 /dev/null',
          ].toSorted(),
        );
      }
      // Whether they may block makes no difference for files: 04000.
      const flags = stderr.split('\n').map((text) => Number.parseInt(text, 8) & 0o3);
      expect(flags.slice(0, 4)).toEqual([0, 1, 0, 1]);
    });

    test('the log directory as the current one, with the files of the rotation', async () => {
      await using here = temporaryDirectory();
      expect(await log(here, ['!pwd; stat -c "%a %s %n" *; wc -c <previous', './d'])).toEqual(silent);
      const size = 3000 - (textOf(here.join('d/current')) ?? '').length;
      const [pwd, ...rest] = (texts(here, 'd')[0] ?? '').split('\n');
      expect(pwd).toBe(here.join('d'));
      expect(rest.map((line) => line.replace(/^644 \d+ processed$/, '644 processed'))).toEqual([
        '644 0 current',
        '600 0 lock',
        '644 0 newstate',
        `744 ${size} previous`,
        '644 processed',
        '644 0 state',
        String(size),
        '',
      ]);
    });

    test('the environment, the mask 022, and a shell called sh', async () => {
      await using here = temporaryDirectory();
      const env = { PATH: '/usr/bin:/bin', B: '  two\nlines ', A: '', C: 'ü' };
      const command = '!cat /proc/$$/environ; umask; tr "\\0" "|" </proc/$$/cmdline; readlink /proc/$$/exe';
      const argv = [
        '/bin/sh',
        '-c',
        'umask 077; exec env -u PWD -u OLDPWD "$@"',
        'sh',
        multilog,
        's4096',
        command,
        './d',
      ];
      expect(await run(argv, { cwd: here.path, env, input: numbered(60) })).toEqual(silent);
      const text = texts(here, 'd')[0] ?? '';
      const [environment, rest] = [text.slice(0, text.lastIndexOf('\0')), text.slice(text.lastIndexOf('\0') + 1)];
      const strings = environment.split('\0').toSorted();
      expect(strings).toEqual(
        Object.entries(env)
          .map(([name, value]) => `${name}=${Buffer.from(value).toString('latin1')}`)
          .toSorted(),
      );
      const shell = await run(['/bin/readlink', '-f', '/bin/sh']);
      expect(rest).toBe(`0022\nsh|-c|${command.slice(1)}|${shell.stdout}`);
    });

    test('signals as at the start, with TERM and ALRM free and without a handler', async () => {
      await using here = temporaryDirectory();
      const status = "!sed -n '/^Sig[BI]/p' /proc/self/status";
      const outcome = (setUp: string): Promise<Outcome> =>
        run(['/usr/bin/perl', '-MPOSIX', '-e', `${setUp}; exec @ARGV`, multilog, 's4096', status, './d'], {
          cwd: here.path,
          input: numbered(60),
        });
      const sets = (): readonly bigint[] =>
        (texts(here, 'd').at(-1) ?? '')
          .split('\n')
          .slice(0, -1)
          .map((line) => BigInt(`0x${line.split('\t')[1]}`));
      expect(await outcome('')).toEqual(silent);
      expect(sets()).toEqual([0n, 0n]);
      rmSync(here.join('d'), { recursive: true });
      // 1, 14, 15 and 12 are HUP, ALRM, TERM and USR2.
      const mask = 'sigprocmask(SIG_SETMASK, POSIX::SigSet->new(SIGALRM, SIGTERM, SIGUSR2))';
      expect(await outcome(`$SIG{$_} = 'IGNORE' for qw(HUP ALRM TERM); ${mask}`)).toEqual(silent);
      // The shell itself blocks nothing.
      expect(sets()).toEqual([0n, 1n]);
    });

    test('what they say on standard error is passed on', async () => {
      await using here = temporaryDirectory();
      expect(await log(here, ['!echo heard >&2; cat', './d'])).toEqual({ ...silent, stderr: 'heard\n' });
      expect(logged(here.join('d'))).toBe(numbered(60));
    });
  });

  describe('their state', () => {
    const COUNTS = '!n=$(cat <&4); cat; echo $((n + 1)) >&5; echo "$n"';

    test('is what the one before wrote, and survives a clean end', async () => {
      await using fed = fedMultilog(implementation, [COUNTS, './d']);
      for (const count of [1, 2, 3]) {
        fed.pipe.write('x\n');
        await fed.holds('d/current', 'x\n');
        await rotate(fed, count);
      }
      fed.pipe.end();
      expect(await fed.ended()).toEqual(ENDED);
      expect(texts(fed.here, 'd')).toEqual(['x\n\n', 'x\n1\n', 'x\n2\n']);
      expect(await log(fed.here, [COUNTS, './d'])).toEqual(silent);
      expect(texts(fed.here, 'd').at(-1)?.endsWith('\n3\n')).toBe(true);
      expect(textOf(fed.here.join('d/state'))).toBe('4\n');
    });

    test('is empty again when nothing was written, and after a crash', async () => {
      await using here = temporaryDirectory();
      expect(await log(here, [COUNTS, './d'])).toEqual(silent);
      expect(textOf(here.join('d/state'))).toBe('1\n');
      expect(await log(here, ['!cat', './d'])).toEqual(silent);
      expect(textOf(here.join('d/state'))).toBe('');
      expect(await log(here, [COUNTS, './d'])).toEqual(silent);
      await run(['/bin/chmod', '644', 'd/current'], { cwd: here.path });
      expect(await log(here, [COUNTS, './d'])).toEqual(silent);
      expect(textOf(here.join('d/state'))).toBe('1\n');
      expect(finishedFiles(here.join('d')).filter(({ name }) => name.endsWith('.u'))).toHaveLength(1);
    });

    test('that is missing makes the processor fail, and is waited for', async () => {
      await using fed = fedMultilog(implementation, ['!cat', './d']);
      fed.pipe.write('x\n');
      await fed.holds('d/current', 'x\n');
      rmSync(fed.here.join('d/state'));
      await fed.idle();
      await fed.signal('SIGALRM');
      await fed.says(`multilog: fatal: unable to run cat: file does not exist\n${FAILED}`);
      expect(listing(fed.here.join('d'))).toEqual(['644 current', '600 lock', '744 previous', '644 processed']);
    });

    test('is not missed by a directory without a processor', async () => {
      await using here = temporaryDirectory();
      here.makeDirectory('d');
      writeFileSync(here.join('d/current'), '', { mode: 0o744 });
      expect(await log(here, ['./d'])).toEqual(silent);
      expect(listing(here.join('d'))).toEqual(['744 @STAMP.s', '744 current', '600 lock']);
    });
  });

  describe('how they end', () => {
    test('one that fails is run again after a pause, from the beginning', async () => {
      await using here = temporaryDirectory();
      const command = '!cat; echo partial >&5; test -f ../f || { touch ../f; echo lost; exit 3; }; echo kept >&5';
      const beganMs = performance.now();
      expect(await log(here, [command, './d'])).toEqual({ ...silent, stderr: FAILED });
      expect(performance.now() - beganMs).toBeGreaterThan(4900);
      expect(logged(here.join('d'))).toBe(numbered(60));
      expect(textOf(here.join('d/state'))).toBe('partial\nkept\n');
      expect(listing(here.join('d'))).toEqual(['744 @STAMP.s', '744 current', '600 lock', '644 state']);
    });

    test('one that a signal kills is told as crashed; C adds a reason, which is chance, and that it failed (docs/compatibility.md)', async () => {
      await using fed = fedMultilog(implementation, ['!cat; kill -TERM $$', './d']);
      fed.pipe.write('x\n');
      await fed.holds('d/current', 'x\n');
      await fed.idle();
      await fed.signal('SIGALRM');
      const crashed = 'multilog: warning: processor crashed in ./d, pausing';
      await fed.says(crashed);
      if (implementation.name === 'daemontools') {
        await until(() => new RegExp(`^${crashed}: .+\n${FAILED}`).test(fed.program.stderr()), {
          describe: 'it has failed, too',
          state: fed.program.stderr,
        });
      }
      expect(listing(fed.here.join('d'))).toContain('744 previous');
    });

    test.each([
      ['the new state', 'rm newstate'],
      ['the state', 'rm state'],
      ['its output', 'rm processed'],
    ])('one that removes %s is content, and has what is left', async (_, command) => {
      await using here = temporaryDirectory();
      expect(await log(here, [`!cat; echo st >&5; ${command}`, './d'])).toEqual(silent);
      const state = command === 'rm newstate' ? '600 state' : '644 state';
      expect(listing(here.join('d'))).toEqual(['744 @STAMP.s', '744 current', '600 lock', state]);
      expect(textOf(here.join('d/state'))).toBe(command === 'rm newstate' ? '' : 'st\n');
      if (command === 'rm processed') expect(texts(here, 'd')).toEqual(['']);
    });

    test('one that removes its input is waited for', async () => {
      await using fed = fedMultilog(implementation, ['s4096', '!cat; rm previous', './d']);
      fed.pipe.write(numbered(60));
      await fed.says('multilog: warning: unable to remove ./d/previous, pausing: file does not exist\n');
    });

    test('one that leaves a process behind is not waited for longer', async () => {
      await using here = temporaryDirectory();
      const beganMs = performance.now();
      expect(await log(here, ['!cat; { sleep 20 & } >/dev/null 2>&1; echo $! >../pid', './d'])).toEqual(silent);
      process.kill(Number(textOf(here.join('pid'))) || NaN, 'SIGKILL');
      expect(performance.now() - beganMs).toBeLessThan(10_000);
      expect(logged(here.join('d'))).toBe(numbered(60));
    });

    test('while one runs nothing is read, and TERM waits for it', async () => {
      const command = '!: >../running; while [ ! -f ../go ]; do sleep 0.02; done; cat';
      await using fed = fedMultilog(implementation, [command, './d', './other']);
      fed.pipe.write('one\n');
      await fed.holds('d/current', 'one\n');
      await fed.idle();
      await fed.signal('SIGALRM');
      await until(() => existsSync(fed.here.join('running')), { describe: 'the processor runs' });
      fed.pipe.write('two\n');
      process.kill(fed.program.pid, 'SIGTERM');
      expect(processState(fed.program.pid)).not.toBe('Z');
      expect(textOf(fed.here.join('d/current'))).toBe('');
      writeFileSync(fed.here.join('go'), '');
      expect(await fed.ended()).toEqual(ENDED);
      expect(texts(fed.here, 'd')).toEqual(['one\n']);
      expect(listing(fed.here.join('d'))).toContain('744 current');
      expect(fed.program.stderr()).toBe('');
    });
  });
});
