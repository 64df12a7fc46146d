/** What tai64n and tai64nlocal, ours and djb's, have in common: transcripts T55 and T56 of the behaviour reference. */
import { spawn } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { makeFifo } from '../e2e/support/fifo.ts';
import { implementations } from '../e2e/support/implementations.ts';
import { run } from '../e2e/support/run.ts';
import { slowPipe } from '../e2e/support/slow-pipe.ts';
import { start } from '../e2e/support/start.ts';
import { processState } from '../e2e/support/supervised.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import { until } from '../e2e/support/until.ts';

const silent = { code: 0, signal: undefined, stdout: '', stderr: '' };
const filters = implementations.flatMap((implementation) =>
  (['tai64n', 'tai64nlocal'] as const).map((name) => ({ name, implementation, path: implementation.path(name) })),
);

describe.each(filters)('$name ($implementation.name)', ({ name, implementation, path }) => {
  const isOurs = implementation.name === 'daemontap';

  test('nothing in, nothing out', async () => {
    expect(await run([path])).toEqual(silent);
  });

  test('arguments do not matter', async () => {
    const { stdout } = await run([path], { input: 'x\n' });
    for (const words of [['-x'], ['--help'], ['--', 'a', 'b'], ['']]) {
      const outcome = await run([path, ...words], { input: 'x\n' });
      expect(outcome).toEqual({ ...silent, stdout: expect.stringMatching(/x\n$/) as string });
      expect(outcome.stdout).toHaveLength(stdout.length);
    }
  });

  test.each([
    ['a closed input', '<&-', 111],
    ['a directory as input', '</', 111],
    ['an input that is for writing', '0>/dev/null', 111],
    ['a full device', '>/dev/full', 111],
    ['a closed output', '>&-', 111],
    ['an output that is for reading', '1</dev/null', 111],
    ['everything closed', '<&- >&- 2>&-', 111],
    ['a closed output, but nothing to write', '</dev/null >&-', 0],
    ['a full device, but nothing to write', '</dev/null >/dev/full', 0],
    ['nobody to tell', '2>&- </dev/null', 0],
  ])('%s (%s) ends it with %i, in silence', async (_, redirections, code) => {
    const argv = ['/bin/sh', '-c', `exec "$0" ${redirections}`, path];
    expect(await run(argv, { input: 'x\n' })).toEqual({ ...silent, code });
  });

  test('SIGPIPE kills it when its reader is gone; where the caller ignores that, it exits with 111', async () => {
    const endOf = (argv: readonly [string, ...string[]]): Promise<unknown> => {
      const [file, ...words] = argv;
      const child = spawn(file, words, { stdio: ['pipe', 'pipe', 'inherit'] });
      child.stdin.on('error', () => {});
      child.stdout.destroy();
      child.stdin.end('x\n'.repeat(100_000));
      return new Promise((resolve) => child.on('exit', (code, signal) => resolve(code ?? signal)));
    };
    expect(await endOf([path])).toBe('SIGPIPE');
    expect(await endOf(['/bin/sh', '-c', 'trap "" PIPE; exec "$0"', path])).toBe(111);
  });

  test('it runs under its name, and leaves the flags of its descriptors as they are', async () => {
    await using here = temporaryDirectory();
    using pipe = slowPipe(here);
    const before = flagsOf(pipe.reader);
    await using program = start([path, 'word'], { cwd: here.path, stdin: pipe.reader });
    pipe.write('x\n');
    await until(() => program.stdout() !== '', { describe: 'it writes' });
    expect(readFileSync(`/proc/${program.pid}/comm`, 'latin1')).toBe(`${name}\n`);
    const commandLine = readFileSync(`/proc/${program.pid}/cmdline`, 'latin1').split(/[ \0]/);
    expect([commandLine[0]?.split('/').at(-1), commandLine[1]]).toEqual([name, 'word']);
    expect(flagsOf(pipe.reader)).toBe(before);
    pipe[Symbol.dispose]();
    expect(await program.exit).toEqual({ code: 0, signal: undefined });
  });

  test('a non-blocking input is waited for; C ends with 111', async () => {
    await using here = temporaryDirectory();
    using pipe = slowPipe(here);
    await using program = start([...withNonBlocking('STDIN'), path], { cwd: here.path, stdin: pipe.reader });
    if (!isOurs) {
      expect(await program.exit).toEqual({ code: 111, signal: undefined });
      return;
    }
    const isWaiting = (): boolean =>
      readFileSync(`/proc/${program.pid}/comm`, 'latin1') === `${name}\n` && processState(program.pid) === 'S';
    for (const line of ['one\n', 'two\n']) {
      await until(isWaiting, { describe: 'it waits for input' });
      pipe.write(line);
      await until(() => program.stdout().endsWith(line), { describe: `it writes ${line}`, state: program.stdout });
    }
    pipe[Symbol.dispose]();
    expect(await program.exit).toEqual({ code: 0, signal: undefined });
  });

  test('a non-blocking output is waited for; C ends with 111', async () => {
    await using here = temporaryDirectory();
    makeFifo(here.join('output'));
    const reader = openSync(here.join('output'), constants.O_RDONLY | constants.O_NONBLOCK);
    const script = 'head -c 200000 /dev/zero | tr "\\0" x | "$@" >output';
    const ended = run(['/bin/bash', '-o', 'pipefail', '-c', script, 'bash', ...withNonBlocking('STDOUT'), path], {
      cwd: here.path,
    });
    let output = '';
    const takeSome = (): boolean => {
      const block = Buffer.alloc(10_000);
      try {
        output += block.toString('latin1', 0, readSync(reader, block));
      } catch {
        // Nothing there at the moment.
      }
      return output.endsWith('x'.repeat(200_000));
    };
    if (isOurs) await until(takeSome, { describe: 'all has come', state: () => output.length, everyMs: 1 });
    expect(await ended).toEqual({ ...silent, code: isOurs ? 0 : 111 });
    closeSync(reader);
  });
});

/** The start of a command line whose program finds this open file non-blocking: Node's spawn would make it blocking. */
function withNonBlocking(name: 'STDIN' | 'STDOUT'): readonly string[] {
  const code = `use Fcntl; fcntl(${name}, F_SETFL, fcntl(${name}, F_GETFL, 0) | O_NONBLOCK) or die; exec @ARGV or die`;
  return ['/usr/bin/perl', '-e', code];
}

/** Of an open file that is shared with the program. */
function flagsOf(fd: number): string | undefined {
  return /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
}
