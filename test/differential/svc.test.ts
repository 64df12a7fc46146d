/** svc, ours and djb's: transcripts T25 to T28 and sections 1.4 and 5 of the behaviour reference. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { heldFifo, makeFifo } from '../e2e/support/fifo.ts';
import { implementations } from '../e2e/support/implementations.ts';
import { asNobody, canBeNobody } from '../e2e/support/nobody.ts';
import { joinBytes, oddNames, shownBytes } from '../e2e/support/odd-names.ts';
import { run } from '../e2e/support/run.ts';
import type { Argument, Outcome } from '../e2e/support/run.ts';
import { start } from '../e2e/support/start.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import { until } from '../e2e/support/until.ts';

const USAGE =
  'svc options: u up, d down, o once, x exit, p pause, c continue, h hup, a alarm, i interrupt, t term, k kill\n';
const silent = { code: 0, signal: undefined, stdout: '', stderr: '' };

const canTrace = spawnSync('/usr/bin/strace', ['-qq', '/bin/true']).status === 0;
if (!canTrace) console.log('skipped: how many writes a message is; it needs strace, and the right to trace');

describe.each(implementations)('svc ($name)', (implementation) => {
  const svc = (words: readonly Argument[], cwd = '/'): Promise<Outcome> =>
    run([implementation.path('svc'), ...words], { cwd });

  test('without arguments, or with options alone, it says nothing and exits 0', async () => {
    expect(await svc([])).toEqual(silent);
    expect(await svc(['-u'])).toEqual(silent);
    expect(await svc(['--'])).toEqual(silent);
  });

  test.each([
    ['a letter that is none', ['-Z'], 'Z'],
    ['a dash in a cluster', ['-u-'], '-'],
    ['a letter behind good ones', ['-udZ', '-x'], 'Z'],
    ['a letter in a later word', ['-u', '-d', '-1'], '1'],
    ['a byte that is no character', [Uint8Array.of(0x2d, 0xff)], '\xff'],
    ['half of a character', ['-é'], '\xc3'],
    ['a newline', ['-\n'], '\n'],
  ])('%s is an illegal option: exits 100, and nothing was sent', async (_, words: readonly Argument[], letter) => {
    await using here = temporaryDirectory();
    using control = heldFifo(here.join('a/supervise/control'));
    expect(await svc([...words, 'a'], here.path)).toEqual({
      ...silent,
      code: 100,
      stderr: `svc: illegal option -- ${letter}\n${USAGE}`,
    });
    expect(control.read()).toBe('');
  });

  test.runIf(canTrace)('a message of more than 256 bytes is several writes in C, and one in ours', async () => {
    await using here = temporaryDirectory();
    const name = `${'./'.repeat(300)}nonexist`;
    const trace = here.join('trace');
    const strace = ['/usr/bin/strace', '-f', '-qq', '-e', 'trace=write', '-s', '2000', '-o', trace];
    const { stderr, code } = await run([...strace, implementation.path('svc'), '-u', name]);
    expect([code, stderr]).toEqual([0, `svc: warning: unable to chdir to ${name}: file does not exist\n`]);
    const writes = [...readFileSync(trace, 'latin1').matchAll(/\bwrite\(2, .*\) += (\d+)$/gm)].map(([, size]) =>
      Number(size),
    );
    expect(writes.reduce((sum, size) => sum + size, 0)).toBe(stderr.length);
    if (implementation.name === 'daemontap') expect(writes).toHaveLength(1);
    else {
      expect(writes.length).toBeGreaterThan(1);
    }
  });

  test('the complaint names the program as it was called', async () => {
    await using here = temporaryDirectory();
    symlinkSync(implementation.path('svc'), here.join('control-it'));
    const stderr = `control-it: illegal option -- Z\n${USAGE}`;
    expect(await run([here.join('control-it'), '-Z'])).toEqual({ ...silent, code: 100, stderr });
    expect(await run(['./control-it', '-Z'], { cwd: here.path })).toEqual({ ...silent, code: 100, stderr });
  });

  test.each([
    ['one', ['-u', 'a'], 'u'],
    ['a cluster', ['-dx', 'a'], 'dx'],
    ['words in their order', ['-x', '-d', 'a'], 'xd'],
    ['each letter once', ['-udud', '-x', '-u', 'a'], 'udx'],
    ['every letter', ['-udopchaitkx', 'a'], 'udopchaitkx'],
    ['every letter, many times', [...Array.from({ length: 5 }, () => '-xktiahcpodu'), 'a'], 'xktiahcpodu'],
    ['none, to see whether somebody is there', ['a'], ''],
    ['options ended by --', ['-u', '--', 'a'], 'u'],
    ['options ended by any word that begins with --', ['-u', '--dx', 'a'], 'u'],
    ['the same directory twice', ['-u', 'a', 'a'], 'uu'],
  ])('sends %s', async (_, words, sent) => {
    await using here = temporaryDirectory();
    using control = heldFifo(here.join('a/supervise/control'));
    expect(await svc(words, here.path)).toEqual(silent);
    expect(control.read()).toBe(sent);
  });

  test.each([
    ['after a directory', ['-u', 'a', '-d'], '-d', 'u'],
    ['after --', ['-u', '--', '-d', 'a'], '-d', 'u'],
    ['-- after --', ['-u', '--', '--', 'a'], '--', 'u'],
    ['a lone -', ['-u', '-', 'a'], '-', 'u'],
    ['a lone - before options', ['-', '-u', 'a'], '-u', ''],
    ['an empty word', ['-u', '', 'a'], '', 'u'],
    ['a file', ['-u', 'file', 'a'], 'file', 'u'],
  ])('%s is a directory; what cannot be reached is a warning, and it goes on', async (_, words, directory, sent) => {
    await using here = temporaryDirectory();
    writeFileSync(here.join('file'), '');
    using control = heldFifo(here.join('a/supervise/control'));
    const reason = directory === 'file' ? 'not a directory' : 'file does not exist';
    const { stderr, ...rest } = await svc(words, here.path);
    expect(rest).toEqual({ code: 0, signal: undefined, stdout: '' });
    expect(stderr).toContain(`svc: warning: unable to chdir to ${directory}: ${reason}\n`);
    expect(control.read()).toBe(sent);
  });

  test('says why a supervise cannot be reached and exits 0 all the same', async () => {
    await using here = temporaryDirectory();
    here.makeDirectory('a');
    makeFifo(here.join('b/supervise/control'));
    here.makeDirectory('c/supervise/control');
    symlinkSync('control', join(here.makeDirectory('d/supervise'), 'control'));
    for (const options of [['-u'], []]) {
      expect(await svc([...options, 'nonexist', 'a', 'b', 'c', 'd'], here.path)).toEqual({
        ...silent,
        stderr: `svc: warning: unable to chdir to nonexist: file does not exist
svc: warning: unable to control a: file does not exist
svc: warning: unable to control b: supervise not running
svc: warning: unable to control c: is a directory
svc: warning: unable to control d: symbolic link loop
`,
      });
    }
  });

  test('a control that is a regular file has its first bytes overwritten', async () => {
    await using here = temporaryDirectory();
    const path = join(here.makeDirectory('a/supervise'), 'control');
    writeFileSync(path, '');
    expect(await svc(['-udud', '-x', 'a', '-d'], here.path)).toEqual({
      ...silent,
      stderr: 'svc: warning: unable to chdir to -d: file does not exist\n',
    });
    expect(readFileSync(path, 'latin1')).toBe('udx');
    writeFileSync(path, 'before');
    expect(await svc(['-tk', 'a'], here.path)).toEqual(silent);
    expect(readFileSync(path, 'latin1')).toBe('tkfore');
  });

  test('waits while the FIFO is full, and sends all at once when there is room', async () => {
    await using here = temporaryDirectory();
    using control = heldFifo(here.join('a/supervise/control'));
    const filled = control.fill();
    await using started = start([implementation.path('svc'), '-dx', 'a'], { cwd: here.path });
    await until(() => hasOpen(started.pid, here.join('a/supervise/control')), { describe: 'svc waits for room' });
    expect(control.read(4096)).toBe('.'.repeat(4096));
    expect(await started.exit).toEqual({ code: 0, signal: undefined });
    expect(control.read().replaceAll('.', '')).toBe('dx');
    expect(filled).toBe(65_536);
    expect(started.stderr()).toBe('');
  });

  test('a supervise that ends while the FIFO is full is a warning', async () => {
    await using here = temporaryDirectory();
    const control = heldFifo(here.join('a/supervise/control'));
    control.fill();
    await using started = start([implementation.path('svc'), '-dx', 'a', 'nonexist'], { cwd: here.path });
    await until(() => hasOpen(started.pid, here.join('a/supervise/control')), { describe: 'svc waits for room' });
    control[Symbol.dispose]();
    expect(await started.exit).toEqual({ code: 0, signal: undefined });
    expect(started.stderr()).toBe(`svc: warning: error writing commands to a: broken pipe
svc: warning: unable to chdir to nonexist: file does not exist
`);
  });

  test.each(oddNames)('a directory whose name has %s is reached, and named byte for byte', async (_, name) => {
    await using here = temporaryDirectory();
    using control = heldFifo(joinBytes(here.path, '/', name, '/supervise/control'));
    expect(await svc(['-u', name, joinBytes(name, '/x')], here.path)).toEqual({
      ...silent,
      stderr: `svc: warning: unable to chdir to ${shownBytes(name)}/x: file does not exist\n`,
    });
    expect(control.read()).toBe('u');
  });

  test.runIf(canBeNobody)('an ordinary account is told "access denied" where it may not write', async () => {
    await using here = temporaryDirectory();
    using _ = heldFifo(here.join('a/supervise/control'));
    chmodSync(here.join('a/supervise/control'), 0o600);
    chmodSync(here.join('a/supervise'), 0o755);
    makeFifo(here.join('b/supervise/control'));
    chmodSync(here.join('b/supervise'), 0o700);
    mkdirSync(here.join('c'), { mode: 0o700 });
    expect(await run(asNobody([implementation.path('svc'), '-u', 'a', 'b', 'c']), { cwd: here.path })).toEqual({
      ...silent,
      stderr: `svc: warning: unable to control a: access denied
svc: warning: unable to control b: access denied
svc: warning: unable to chdir to c: access denied
`,
    });
  });

  test.runIf(canBeNobody)('a current directory that may not be read is fatal', async () => {
    await using here = temporaryDirectory();
    chmodSync(here.path, 0o711);
    expect(await run(asNobody([implementation.path('svc'), '-u', '/']), { cwd: here.path })).toEqual({
      ...silent,
      code: 111,
      stderr: 'svc: fatal: unable to open current directory: access denied\n',
    });
  });

  test('a wrong option is told before the current directory is looked at', async () => {
    await using here = temporaryDirectory();
    if (canBeNobody) chmodSync(here.path, 0o711);
    const argv = [implementation.path('svc'), '-Z'];
    expect(await run(canBeNobody ? asNobody(argv) : argv, { cwd: here.path })).toMatchObject({ code: 100 });
  });
});

/** True once the program has opened the FIFO: it writes next, and so waits if that is full. */
function hasOpen(pid: number, path: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === path);
  } catch {
    return false; // a descriptor was closed meanwhile
  }
}
