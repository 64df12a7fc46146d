/** fghack, ours and C's: transcripts T89 to T93 and section 11 of the behaviour reference. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { describeExecSearch, fatal, silent, withDescriptors } from '../e2e/support/chain-loading.ts';
import { makeFifo } from '../e2e/support/fifo.ts';
import { implementations } from '../e2e/support/implementations.ts';
import { asNobody, canBeNobody } from '../e2e/support/nobody.ts';
import { run } from '../e2e/support/run.ts';
import { start } from '../e2e/support/start.ts';
import type { StartedProgram } from '../e2e/support/start.ts';
import { linesOf, processState } from '../e2e/support/supervised.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import { until } from '../e2e/support/until.ts';

/** A daemon that has put itself into the background: it writes its pid and ends when somebody opens `end`. */
const DAEMON = `sh -c 'echo $$ >pid.new; mv pid.new pid; read line <end; echo over >over'`;
/** The same, with no descriptor of its caller but the first three. */
const ESCAPED = `exec perl -MPOSIX -e 'POSIX::close($_) for 3 .. 255; exec @ARGV' ${DAEMON}`;

/** Prints the open descriptors, each with what it is and its flags. */
const DESCRIPTORS = `opendir my $dir, '/proc/self/fd'; my $own = fileno $dir;
  for my $fd (sort { $a <=> $b } grep { /\\d/ && $_ != $own } readdir $dir) {
    my ($flags) = do { local $/; open my $in, '<', "/proc/self/fdinfo/$fd"; <$in> } =~ /flags:\\s*(\\d+)/;
    print "$fd ", -p "/proc/self/fd/$fd" ? 'pipe' : 'other', " $flags\\n" if $fd > 2;
  }`;

describe.each(implementations)('fghack ($name)', (implementation) => {
  const fghack = implementation.path('fghack');
  const sh = (script: string): readonly string[] => [fghack, 'sh', '-c', script];
  describeExecSearch(implementation, 'fghack');

  /** Fails if it ends while another fghack is started and has ended. */
  async function runsOn(program: StartedProgram): Promise<void> {
    const others = async (): Promise<'runs'> => {
      await run([fghack, 'true']);
      return 'runs';
    };
    expect(await Promise.race([program.exit, others()])).toBe('runs');
  }

  /** A running fghack whose daemon has gone into the background. */
  async function withDaemon(script: string) {
    const here = temporaryDirectory();
    makeFifo(here.join('end'));
    const program = start(sh(script), { cwd: here.path });
    await until(() => existsSync(here.join('pid')), { describe: 'the daemon runs', state: program.stderr });
    const pid = Number(readFileSync(here.join('pid'), 'latin1'));
    return {
      program,
      exit: program.exit.then((exit) => ({ ...exit, daemon: existsSync(here.join('over')) ? 'over' : 'runs' })),
      pid,
      here,
      /** Tells the daemon to end, and waits until it has. */
      async end(): Promise<void> {
        writeFileSync(here.join('end'), 'now\n');
        await until(() => existsSync(here.join('over')), { describe: 'the daemon ends' });
      },
      async [Symbol.asyncDispose]() {
        await program[Symbol.asyncDispose]();
        await here[Symbol.asyncDispose]();
      },
    };
  }

  describe.concurrent('in the foreground', () => {
    test('without a program it says how to use it and exits 100', async () => {
      expect(await run([fghack])).toEqual({ ...silent, code: 100, stderr: 'fghack: usage: fghack child\n' });
    });

    test.each(['-x', '--', '-'])('takes %s for the program: it knows no options', async (word) => {
      expect(await run([fghack, word, 'true'])).toEqual(fatal('fghack', `unable to run ${word}: file does not exist`));
    });

    test.each([0, 1, 5, 100, 111, 127, 128, 255])('exits %i as its program did', async (code) => {
      expect(await run(sh(`echo hi; echo ho >&2; exit ${code}`))).toEqual({
        ...silent,
        code,
        stdout: 'hi\n',
        stderr: 'ho\n',
      });
    });

    test.each(['KILL', 'TERM', 'HUP', 'SEGV', 'PIPE', 'ALRM'])(
      'a program that dies by %s has crashed',
      async (signal) => {
        expect(await run(sh(`ulimit -c 0; echo hi; kill -${signal} $$`))).toEqual({
          ...fatal('fghack', 'child crashed'),
          stdout: 'hi\n',
        });
      },
    );

    test('the program is a child of it, with the group and session that fghack has', async () => {
      const told = `printf '%s ' $(cut -d ' ' -f 4-6 /proc/$$/stat)`;
      const { stdout, ...rest } = await run(['/bin/sh', '-c', `echo $$; ${told}; exec "$0" sh -c "$1"`, fghack, told]);
      const [pid, group, ofProgram] = stdout.trim().split(/\n| (?=\d+ \d+ \d+$)/);
      expect(rest).toEqual({ code: 0, signal: undefined, stderr: '' });
      const [, ...groupAndSession] = group?.trim().split(' ') ?? [];
      expect(ofProgram?.split(' ')).toEqual([pid, ...groupAndSession]);
    });

    test('standard input, output and error are the ones of the caller', async () => {
      const input = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index % 256));
      expect(await run([fghack, 'cat'], { input })).toEqual({ ...silent, stdout: input.toString('latin1') });
      expect(await run(['/bin/sh', '-c', 'read line; "$0" cat; cat', fghack], { input: 'one\ntwo\n' })).toEqual({
        ...silent,
        stdout: 'two\n',
      });
    });

    test('leaves to the next program what its own has not read', async () => {
      await using here = temporaryDirectory();
      writeFileSync(here.join('input'), 'one\ntwo\nthree\n');
      const script = '{ "$0" sh -c "read line; echo got \\$line"; cat; } <input';
      const { stdout } = await run(['/bin/sh', '-c', script, fghack], { cwd: here.path });
      expect(stdout).toBe('got one\ntwo\nthree\n');
    });

    test('the program has 31 more descriptors, the lowest that are free, all for writing to one pipe', async () => {
      const { stdout } = await run(withDescriptors([], [fghack, 'perl', '-e', DESCRIPTORS]));
      expect(stdout).toBe(Array.from({ length: 31 }, (_, index) => `${index + 3} pipe 01\n`).join(''));
      const { stdout: among } = await run(withDescriptors([4, 9, 30], [fghack, 'perl', '-e', DESCRIPTORS]));
      const expected = Array.from({ length: 34 }, (_, index) => index + 3).map(
        (fd) => `${fd} ${[4, 9, 30].includes(fd) ? 'other 0100002' : 'pipe 01'}\n`,
      );
      expect(among).toBe(expected.join(''));
    });

    test('has as many of them as the limit allows', async () => {
      const { stdout } = await run(['/usr/bin/prlimit', '--nofile=20:', fghack, 'perl', '-e', DESCRIPTORS]);
      // No room for libraries is left then.
      expect(stdout).toBe('');
      expect(await run(['/usr/bin/prlimit', '--nofile=25:', ...sh('exit 5')])).toMatchObject({
        code: 127,
        stderr: expect.stringMatching(/^sh: error while loading shared libraries: .*Error 24\n$/) as string,
      });
      expect(await run(['/usr/bin/prlimit', '--nofile=40:', ...sh('exit 5')])).toEqual({ ...silent, code: 5 });
    });

    test('what is written to them is thrown away', async () => {
      const much = 'head -c 300000 /dev/zero >&3; echo x >&9; echo done; exit 3';
      expect(await run(sh(much))).toEqual({ ...silent, code: 3, stdout: 'done\n' });
    });

    test('a child that it had before does not count', async () => {
      const argv = ['/bin/sh', '-c', '(exit 7) & exec "$0" sh -c "exit 5"', fghack];
      expect(await run(argv)).toEqual({ ...silent, code: 5 });
    });

    test('with CHLD ignored C cannot learn how its program ended, ours can (docs/compatibility.md)', async () => {
      const ignores = ['/usr/bin/perl', '-e', '$SIG{CHLD} = "IGNORE"; exec @ARGV'];
      const inC = fatal('fghack', 'wait failed: no child processes');
      expect(await run([...ignores, ...sh('exit 5')])).toEqual(
        implementation.name === 'daemontools' ? inC : { ...silent, code: 5 },
      );
    });

    test('of itself it is transparent: fghack fghack exits as the program', async () => {
      expect(await run([fghack, ...sh('exit 9')])).toEqual({ ...silent, code: 9 });
      expect(await run([fghack, ...sh('kill -9 $$')])).toEqual(fatal('fghack', 'child crashed'));
    });

    test.runIf(canBeNobody)('an ordinary account may use it, too', async () => {
      expect(await run(asNobody(sh('id -u; exit 5')))).toEqual({ ...silent, code: 5, stdout: '65534\n' });
    });
  });

  describe.concurrent('with a daemon in the background', () => {
    test('waits for a daemon that keeps any descriptor, then exits as the program that started it', async () => {
      await using daemon = await withDaemon(`exec 3>&- 5>&- 7>&-; ${DAEMON} & exit 3`);
      const isOrphan = (): boolean =>
        parentOf(daemon.pid) === 1 || parentOf(parentOf(daemon.pid)) !== daemon.program.pid;
      await until(isOrphan, { describe: 'the program that started it has ended' });
      await runsOn(daemon.program);
      await daemon.end();
      expect(await daemon.exit).toEqual({ code: 3, signal: undefined, daemon: 'over' });
      expect(daemon.program.stderr()).toBe('');
    });

    test('waits for the last of several', async () => {
      await using here = temporaryDirectory();
      for (const name of ['one', 'two']) makeFifo(here.join(name));
      const each = (name: string): string => `sh -c 'read line <${name}; echo ${name} >>log' &`;
      await using program = start(sh(`${each('one')} ${each('two')} exit 4`), { cwd: here.path });
      writeFileSync(here.join('two'), 'now\n');
      await until(() => linesOf(here.join('log')).length === 1, { describe: 'one of them has ended' });
      await runsOn(program);
      writeFileSync(here.join('one'), 'now\n');
      expect(await program.exit).toEqual({ code: 4, signal: undefined });
      expect(linesOf(here.join('log'))).toEqual(['two', 'one']);
    });

    test('tells of a crash of the program when its daemon has ended', async () => {
      await using daemon = await withDaemon(`${DAEMON} & until test -e pid; do sleep 0.02; done; kill -9 $$`);
      await runsOn(daemon.program);
      expect(daemon.program.stderr()).toBe('');
      await daemon.end();
      expect(await daemon.exit).toEqual({ code: 111, signal: undefined, daemon: 'over' });
      expect(daemon.program.stderr()).toBe('fghack: fatal: child crashed\n');
    });

    test('a daemon that closes all descriptors escapes', async () => {
      await using daemon = await withDaemon(`(${ESCAPED}) & until test -e pid; do sleep 0.02; done; exit 6`);
      expect(await daemon.exit).toEqual({ code: 6, signal: undefined, daemon: 'runs' });
      expect(processState(daemon.pid)).toMatch(/[SRD]/);
      await daemon.end();
    });

    test('a program that closes all descriptors is waited for itself', async () => {
      await using daemon = await withDaemon(ESCAPED);
      await runsOn(daemon.program);
      await daemon.end();
      expect(await daemon.exit).toEqual({ code: 0, signal: undefined, daemon: 'over' });
    });

    test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGALRM', 'SIGUSR1', 'SIGKILL'] as const)(
      '%s ends it alone: its daemon gets nothing and lives on',
      async (signal) => {
        await using daemon = await withDaemon(`${DAEMON} & exit 3`);
        process.kill(daemon.program.pid, signal);
        // Not only awaited: what does not end must be ended with the test.
        const isGone = (): boolean => processState(daemon.program.pid) === undefined;
        await until(isGone, { describe: 'it ends', timeoutMs: 10_000 });
        expect(await daemon.exit).toEqual({ code: undefined, signal, daemon: 'runs' });
        expect(processState(daemon.pid)).toMatch(/[SRD]/);
        await daemon.end();
        expect(daemon.program.stderr()).toBe('');
      },
    );

    test.each([
      ['ignored', "$SIG{$_} = 'IGNORE' for qw(HUP TERM USR2)"],
      ['blocked', 'sigprocmask(SIG_SETMASK, POSIX::SigSet->new(SIGHUP, SIGTERM, SIGUSR2))'],
    ])('signals that its caller %s do not end it, nor those that are nothing to anybody', async (_, deaf) => {
      await using here = temporaryDirectory();
      makeFifo(here.join('end'));
      const argv = [
        '/usr/bin/perl',
        '-MPOSIX',
        '-e',
        `${deaf}; exec @ARGV`,
        ...sh('echo >ready; read line <end; exit 3'),
      ];
      await using program = start(argv, { cwd: here.path });
      await until(() => existsSync(here.join('ready')), { describe: 'the program runs', state: program.stderr });
      for (const signal of ['SIGHUP', 'SIGTERM', 'SIGUSR2', 'SIGWINCH', 'SIGURG', 'SIGCONT', 'SIGCHLD']) {
        process.kill(program.pid, signal);
      }
      await runsOn(program);
      writeFileSync(here.join('end'), 'now\n');
      expect(await program.exit).toEqual({ code: 3, signal: undefined });
    });

    test('stopped and continued, it still knows how its program ended', async () => {
      await using daemon = await withDaemon(`${DAEMON}; exit 3`);
      process.kill(daemon.program.pid, 'SIGSTOP');
      await until(() => processState(daemon.program.pid) === 'T', { describe: 'it has stopped' });
      process.kill(daemon.program.pid, 'SIGCONT');
      await daemon.end();
      expect(await daemon.exit).toEqual({ code: 3, signal: undefined, daemon: 'over' });
    });

    test('a stopped program is not an ended one', async () => {
      await using daemon = await withDaemon(`exec ${DAEMON}`);
      process.kill(daemon.pid, 'SIGSTOP');
      await until(() => processState(daemon.pid) === 'T', { describe: 'the program has stopped' });
      await runsOn(daemon.program);
      process.kill(daemon.pid, 'SIGCONT');
      await daemon.end();
      expect(await daemon.exit).toEqual({ code: 0, signal: undefined, daemon: 'over' });
    });
  });
});

/** The parent of a process; 0 when there is no such process. */
function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]);
  } catch {
    return 0;
  }
}
