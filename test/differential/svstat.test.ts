/** svstat, ours and djb's: transcripts T15 and T21 to T24 and section 7 of the behaviour reference. */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeStatus } from '@daemontap/formats';
import { describe, expect, test } from 'vitest';
import { heldFifo, makeFifo } from '../e2e/support/fifo.ts';
import { implementations } from '../e2e/support/implementations.ts';
import { asNobody, canBeNobody } from '../e2e/support/nobody.ts';
import { joinBytes, oddNames, shownBytes } from '../e2e/support/odd-names.ts';
import { run } from '../e2e/support/run.ts';
import type { Argument, Outcome } from '../e2e/support/run.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';

const silent = { code: 0, signal: undefined, stdout: '', stderr: '' };
const fromHex = (text: string): Buffer => Buffer.from(text, 'hex');

describe.each(implementations)('svstat ($name)', (implementation) => {
  const svstat = (words: readonly Argument[], cwd = '/'): Promise<Outcome> =>
    run([implementation.path('svstat'), ...words], { cwd });
  /** The line about service `x` with this record. */
  const shown = async (record: Uint8Array, { down = false } = {}): Promise<string> => {
    await using here = temporaryDirectory();
    using _ = heldFifo(here.join('x/supervise/ok'));
    writeFileSync(here.join('x/supervise/status'), record);
    if (down) writeFileSync(here.join('x/down'), '');
    const { stdout, ...rest } = await svstat(['x'], here.path);
    expect(rest).toEqual({ code: 0, signal: undefined, stderr: '' });
    return stdout;
  };

  test('without directories it says nothing and exits 0', async () => {
    expect(await svstat([])).toEqual(silent);
  });

  test('has a line for each directory, in their order, and exits 0 whatever there is', async () => {
    await using here = temporaryDirectory();
    here.makeDirectory('a');
    makeFifo(here.join('b/supervise/ok'));
    writeFileSync(here.join('file'), '');
    symlinkSync('loop', here.join('loop'));
    here.makeDirectory('c/supervise/ok');
    expect(await svstat(['nonexist', '.', 'a', 'b', '', '-x', '--', 'file', 'loop', 'c', 'a/'], here.path)).toEqual({
      ...silent,
      stdout: `nonexist: unable to chdir: file does not exist
.: unable to open supervise/ok: file does not exist
a: unable to open supervise/ok: file does not exist
b: supervise not running
: unable to chdir: file does not exist
-x: unable to chdir: file does not exist
--: unable to chdir: file does not exist
file: unable to chdir: not a directory
loop: unable to chdir: symbolic link loop
c: unable to open supervise/ok: is a directory
a/: unable to open supervise/ok: file does not exist
`,
    });
  });

  test('a record that cannot be read: the C program shows the one before it, or zeros, ours says why', async () => {
    await using here = temporaryDirectory();
    const good = fromHex('400000ff02ceb202db395c0001000000' + '0075');
    using _ = heldFifo(here.join('good/supervise/ok'));
    using __ = heldFifo(here.join('bad/supervise/ok'));
    writeFileSync(here.join('good/supervise/status'), good);
    mkdirSync(here.join('bad/supervise/status'));
    for (const words of [['bad'], ['good', 'bad']]) {
      const { stdout, ...rest } = await svstat(words, here.path);
      expect(rest).toEqual({ code: 0, signal: undefined, stderr: '' });
      const line = stdout.split('\n').at(-2);
      if (implementation.name === 'daemontap')
        expect(line).toBe('bad: unable to read supervise/status: is a directory');
      else if (words.length === 2) expect(line).toBe('bad: up (pid 1) 0 seconds');
      else expect(line).toMatch(/^bad: down 461168602\d{10} seconds, normally up$/);
    }
  });

  test('a record that is missing or too short is told', async () => {
    await using here = temporaryDirectory();
    using _ = heldFifo(here.join('x/supervise/ok'));
    const line = async (): Promise<string> => (await svstat(['x'], here.path)).stdout;
    expect(await line()).toBe('x: unable to open supervise/status: file does not exist\n');
    for (const size of [0, 1, 12, 17]) {
      writeFileSync(here.join('x/supervise/status'), Buffer.alloc(size, 0x40));
      expect(await line()).toBe('x: unable to read supervise/status: bad format\n');
    }
  });

  test.each([
    ['up', 'up (pid 77) <N> seconds', { pid: 77 }],
    ['up, in its first second', 'up (pid 77) <N> seconds', { pid: 77, agoSeconds: 0 }],
    ['up, normally down', 'up (pid 77) <N> seconds, normally down', { pid: 77, down: true }],
    ['up, paused', 'up (pid 77) <N> seconds, paused', { pid: 77, paused: true }],
    ['up, want down', 'up (pid 77) <N> seconds, want down', { pid: 77, want: 'down' }],
    ['up, want once', 'up (pid 77) <N> seconds', { pid: 77, want: 'once' }],
    [
      'up with all notes',
      'up (pid 77) <N> seconds, normally down, paused, want down',
      { pid: 77, want: 'down', paused: true, down: true },
    ],
    ['up, pid of four bytes', 'up (pid 16909060) <N> seconds', { pid: 0x01020304 }],
    ['down', 'down <N> seconds, normally up', { want: 'down' }],
    ['down, normally down', 'down <N> seconds', { want: 'down', down: true }],
    ['down, want up', 'down <N> seconds, normally up, want up', { want: 'up' }],
    ['down, want up, normally down', 'down <N> seconds, want up', { want: 'up', down: true }],
    ['down, want once', 'down <N> seconds, normally up', { want: 'once' }],
  ] as const)(
    '%s: reads "%s"',
    async (_, expected, { pid, want = 'up', paused = false, agoSeconds = 86_400, down = false }: Told) => {
      const before = Date.now();
      const sinceNs = (BigInt(before) - BigInt(agoSeconds) * 1000n) * 1_000_000n;
      const line = await shown(encodeStatus({ sinceNs, pid, paused, want }), { down });
      const [, seconds = ''] = / (\d+) seconds/.exec(line) ?? [];
      expect(line.replace(` ${seconds} `, ' <N> ')).toBe(`x: ${expected}\n`);
      // time(2) lags a tick of the system behind the clock that made the record.
      expect(Number(seconds)).toBeGreaterThanOrEqual(Math.max(0, agoSeconds - 1));
      expect(Number(seconds)).toBeLessThanOrEqual(agoSeconds + (Date.now() - before) / 1000 + 1);
    },
  );

  test('records left by hand are shown as they stand', async () => {
    expect(await shown(fromHex('4000006b02ceb202db395c0000000000' + '0000'))).toMatch(
      /^x: down 0 seconds, normally up\n$/,
    );
    expect(await shown(fromHex('400000ff02ceb202db395c0000000000' + '0175'))).toBe(
      'x: down 0 seconds, normally up, want up\n',
    );
    expect(await shown(fromHex('400000ff02ceb202db395c00ffffffff' + '0164'), { down: true })).toBe(
      'x: up (pid 4294967295) 0 seconds, normally down, paused, want down\n',
    );
    expect(await shown(fromHex('ffffffffffffffffffffffff01000000' + 'ff78'))).toBe('x: up (pid 1) 0 seconds, paused\n');
    // Counted through a double: only the order of magnitude is right.
    expect(await shown(Buffer.alloc(18))).toMatch(/^x: down 461168602\d{10} seconds, normally up\n$/);
  });

  test('bytes behind the 18th do not matter', async () => {
    const record = Buffer.concat([fromHex('400000ff02ceb202db395c00ffffffff' + '0164'), Buffer.alloc(16, 0xff)]);
    for (const size of [19, 20, 34]) {
      expect(await shown(record.subarray(0, size))).toBe('x: up (pid 4294967295) 0 seconds, paused, want down\n');
    }
  });

  test('what cannot be said of "down" is told before anything else, a link to nowhere is no file', async () => {
    await using here = temporaryDirectory();
    for (const [name, target] of [
      ['loop', 'down'],
      ['nowhere', 'gone'],
      ['through', 'run/x'],
    ] as const) {
      symlinkSync(target, join(here.makeService(name), 'down'));
    }
    expect(await svstat(['loop', 'nowhere', 'through'], here.path)).toEqual({
      ...silent,
      stdout: `loop: unable to stat down: symbolic link loop
nowhere: unable to open supervise/ok: file does not exist
through: unable to stat down: not a directory
`,
    });
  });

  test.each(oddNames)('a directory whose name has %s is named byte for byte', async (_, name) => {
    await using here = temporaryDirectory();
    using __ = heldFifo(joinBytes(here.path, '/', name, '/supervise/ok'));
    expect(await svstat([name, joinBytes('./', name)], here.path)).toEqual({
      ...silent,
      stdout: ['', './']
        .map((prefix) => `${prefix}${shownBytes(name)}: unable to open supervise/status: file does not exist\n`)
        .join(''),
    });
  });

  test('more than a pipe holds is written to the end', async () => {
    const names = Array.from({ length: 3000 }, (_, index) => `nonexist-${index}`);
    const { stdout } = await svstat(names);
    expect(stdout).toBe(names.map((name) => `${name}: unable to chdir: file does not exist\n`).join(''));
  });

  test('with nobody to read it ends by SIGPIPE', async () => {
    const { stderr } = await run([
      '/bin/bash',
      '-c',
      `{ sleep 0.3; "$0" x; echo $? >&2; } | :`,
      implementation.path('svstat'),
    ]);
    expect(stderr).toBe('141\n');
  });

  test('a standard output that is closed, or full, changes nothing', async () => {
    const script = '"$0" x >&-; echo $?; "$0" x >/dev/full; echo $?';
    expect(await run(['/bin/sh', '-c', script, implementation.path('svstat')])).toEqual({
      ...silent,
      stdout: '0\n0\n',
    });
  });

  test.runIf(canBeNobody)('an ordinary account is told "access denied" where it may not look', async () => {
    await using here = temporaryDirectory();
    makeFifo(here.join('a/supervise/ok'));
    chmodSync(here.join('a/supervise'), 0o700);
    mkdirSync(here.join('b'), { mode: 0o744 });
    using _ = heldFifo(here.join('c/supervise/ok'));
    chmodSync(here.join('c/supervise/ok'), 0o622);
    writeFileSync(here.join('c/supervise/status'), Buffer.alloc(18), { mode: 0o600 });
    expect(await run(asNobody([implementation.path('svstat'), 'a', 'b', 'c']), { cwd: here.path })).toEqual({
      ...silent,
      stdout: `a: unable to open supervise/ok: access denied
b: unable to chdir: access denied
c: unable to open supervise/status: access denied
`,
    });
  });

  test.runIf(canBeNobody)('a current directory that may not be read is fatal', async () => {
    await using here = temporaryDirectory();
    const stderr = 'svstat: fatal: unable to open current directory: access denied\n';
    for (const mode of [0o711, 0o744]) {
      chmodSync(here.path, mode);
      expect(await run(asNobody([implementation.path('svstat'), '/']), { cwd: here.path })).toEqual({
        ...silent,
        code: 111,
        stderr,
      });
    }
  });

  test('a current directory that was removed does not matter', async () => {
    await using here = temporaryDirectory();
    here.makeDirectory('gone');
    const { stdout } = await run(
      ['/bin/sh', '-c', 'rmdir ../gone; exec "$0" "$@"', implementation.path('svstat'), '/', '.'],
      {
        cwd: here.join('gone'),
      },
    );
    expect(stdout).toBe(
      '/: unable to open supervise/ok: file does not exist\n.: unable to open supervise/ok: file does not exist\n',
    );
  });
});

interface Told {
  readonly pid?: number;
  readonly want?: 'up' | 'down' | 'once';
  readonly paused?: boolean;
  readonly agoSeconds?: number;
  readonly down?: boolean;
}
