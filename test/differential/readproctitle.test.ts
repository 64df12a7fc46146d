/** readproctitle, ours and djb's: transcripts T97 to T100 and section 13 of the behaviour reference. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { daemontap, implementations } from '../e2e/support/implementations.ts';
import type { Implementation } from '../e2e/support/implementations.ts';
import { asNobody, canBeNobody } from '../e2e/support/nobody.ts';
import { cleanEnvironment, run } from '../e2e/support/run.ts';
import type { Argument } from '../e2e/support/run.ts';
import { slowPipe } from '../e2e/support/slow-pipe.ts';
import type { SlowPipe } from '../e2e/support/slow-pipe.ts';
import { start } from '../e2e/support/start.ts';
import type { StartedProgram } from '../e2e/support/start.ts';
import { childrenOf } from '../e2e/support/supervised.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import type { TemporaryDirectory } from '../e2e/support/temporary-directory.ts';
import { until } from '../e2e/support/until.ts';

const silent = { code: 0, signal: undefined, stdout: '', stderr: '' };
const canInject = spawnSync('/usr/bin/strace', ['-qq', '-o', '/dev/null', '/bin/true']).status === 0;
if (!canInject) console.log('skipped: a kernel that refuses; it needs strace, and the right to trace');

interface Started {
  readonly pipe: SlowPipe;
  readonly program: StartedProgram;
}

/** Starts one as a shell does, found in PATH; C shows the path by which it was called. */
function startIn(
  here: TemporaryDirectory,
  {
    implementation,
    words,
    as = (argv) => argv,
  }: {
    readonly implementation: Implementation;
    readonly words: readonly Argument[];
    readonly as?: (argv: readonly Argument[]) => readonly Argument[];
  },
): Started {
  const pipe = slowPipe(here);
  const env = { ...cleanEnvironment, PATH: `${implementation.programDir}:/usr/bin:/bin` };
  const argv = as(['/usr/bin/env', 'readproctitle', ...words]);
  return { pipe, program: start(argv, { cwd: here.path, env, stdin: pipe.reader }) };
}

async function shows(pid: number, bytes: string): Promise<void> {
  const commandLine = (): string => readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  await until(() => commandLine() === bytes, { describe: `it shows ${JSON.stringify(bytes)}`, state: commandLine });
}

describe.each(implementations)('readproctitle ($name)', (implementation) => {
  const path = implementation.path('readproctitle');

  test.each([
    ['no argument', []],
    ['four bytes', ['four']],
    ['four bytes behind a long word', ['..........', 'four']],
    ['an empty word behind a long one', ['..........', '']],
    ['four bytes that are two letters', ['éé']],
  ])('%s leaves no room: exits 100, in silence', async (_, words: readonly string[]) => {
    expect(await run([path, ...words])).toEqual({ ...silent, code: 100 });
    expect(await run(['/bin/sh', '-c', 'exec "$@" <&-', 'sh', path, ...words])).toEqual({ ...silent, code: 100 });
  });

  test('five bytes are room enough, whatever they are', async () => {
    for (const word of ['abcde', '.....', '-----', '--help', 'ééé']) expect(await run([path, word])).toEqual(silent);
  });

  test.each([
    ['a closed input', '<&-', 111],
    ['a directory as input', '</', 111],
    ['an input that is for writing', '0>/dev/null', 111],
    ['a closed output', '>&- </dev/null', 0],
    ['nobody to tell', '2>&- </dev/null', 0],
  ])('%s (%s) ends it with %i, in silence', async (_, redirections, code) => {
    const argv = ['/bin/sh', '-c', `exec "$0" errors: ........ ${redirections}`, path];
    expect(await run(argv)).toEqual({ ...silent, code });
  });

  test('the end of what it reads is its command line, byte for byte', async () => {
    await using here = temporaryDirectory();
    const { pipe, program } = startIn(here, { implementation, words: ['io', 'errors:', '.'.repeat(20)] });
    await using _ = program;
    await shows(program.pid, 'readproctitle\0io\0errors:\0....................\0');
    pipe.write('fatal error xyz\nwarning abc\n');
    await shows(program.pid, 'readproctitle\0io\0errors:\0... xyz\nwarning abc\n\0');
    pipe.write('\0x\0\0y');
    await shows(program.pid, 'readproctitle\0io\0errors:\0...yz\nwarning abc\nxy\0');
    pipe.write(`${'long '.repeat(10_000)}end`);
    await shows(program.pid, 'readproctitle\0io\0errors:\0...ong long long end\0');
    pipe.write(Uint8Array.of(0xff, 0xc3, 0xa9));
    await shows(program.pid, 'readproctitle\0io\0errors:\0... long long end\xff\xc3\xa9\0');
    expect(readFileSync(`/proc/${program.pid}/comm`, 'latin1')).toBe('readproctitle\n');
    const ps = execFileSync('/bin/ps', ['-o', 'args=', '-p', String(program.pid)], { encoding: 'latin1' });
    expect(ps).toMatch(/^readproctitle io errors: \.\.\. long long end/);
    pipe[Symbol.dispose]();
    expect(await program.exit).toEqual({ code: 0, signal: undefined });
    expect([program.stdout(), program.stderr()]).toEqual(['', '']);
  });

  test.each([
    ['the last word alone', ['.....'], '...yz\0'],
    [
      'words with other bytes',
      [Uint8Array.of(0xff, 0x20), 'é', '', 'a\nb', 'abcdefgh'],
      '\xff \0\xc3\xa9\0\0a\nb\0...vwxyz\0',
    ],
    ['a bar of 4000 bytes', ['x', '='.repeat(4000)], `x\0${'.'.repeat(3991)}rstuvwxyz\0`],
  ])('of the command line only %s is written over', async (_, words: readonly Argument[], shown) => {
    await using here = temporaryDirectory();
    const { pipe, program } = startIn(here, { implementation, words });
    await using _program = program;
    pipe.write('rstuvwxyz');
    await shows(program.pid, `readproctitle\0${shown}`);
    pipe[Symbol.dispose]();
    await program.exit;
  });

  test('called by its path, C shows that, ours its name', async () => {
    await using here = temporaryDirectory();
    using pipe = slowPipe(here);
    await using program = start([path, '.....'], { cwd: here.path, stdin: pipe.reader });
    pipe.write('xy');
    await shows(program.pid, `${implementation.name === 'daemontap' ? 'readproctitle' : path}\0...xy\0`);
    pipe[Symbol.dispose]();
    expect(await program.exit).toEqual({ code: 0, signal: undefined });
  });

  test.runIf(canBeNobody)('an ordinary account can do that, too', async () => {
    await using here = temporaryDirectory();
    const { pipe, program } = startIn(here, { implementation, words: ['errors:', '.'.repeat(400)], as: asNobody });
    await using _ = program;
    pipe.write('some error\n');
    await shows(program.pid, `readproctitle\0errors:\0${'.'.repeat(389)}some error\n\0`);
    expect(readFileSync(`/proc/${program.pid}/status`, 'latin1')).toMatch(/^Uid:\t65534\t/m);
    pipe[Symbol.dispose]();
    expect(await program.exit).toEqual({ code: 0, signal: undefined });
  });
});

describe('readproctitle (daemontap)', () => {
  test.runIf(canInject)('shows the same in ps where the kernel refuses to be told where to look', async () => {
    await using here = temporaryDirectory();
    const inject = ['-e', 'trace=prctl', '-e', 'inject=prctl:error=EPERM'];
    const { pipe, program } = startIn(here, {
      implementation: daemontap,
      words: ['service', 'errors:', '.'.repeat(400)],
      as: (argv) => ['/usr/bin/strace', '-f', '-qq', '-o', '/dev/null', ...inject, ...argv],
    });
    await using _ = program;
    pipe.write('to-out\nto-err\n');
    const shown = `readproctitle service errors: ${'.'.repeat(386)}to-out\nto-err\n`;
    const commandLine = (): string => {
      const [pid] = childrenOf(program.pid);
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replace(/\0+$/, '');
      } catch {
        return ''; // nobody yet, or a child by which strace tries what the system can do
      }
    };
    await until(() => commandLine() === shown, { describe: 'it shows what it reads', state: commandLine });
    pipe[Symbol.dispose]();
    expect(await program.exit).toEqual({ code: 0, signal: undefined });
  });
});
