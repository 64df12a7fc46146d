/** svok, ours and djb's: transcripts T10 to T13 and section 6 of the behaviour reference. */
import { once } from 'node:events';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { heldFifo, makeFifo } from '../e2e/support/fifo.ts';
import { implementations } from '../e2e/support/implementations.ts';
import { asNobody, canBeNobody } from '../e2e/support/nobody.ts';
import { joinBytes, oddNames, shownBytes } from '../e2e/support/odd-names.ts';
import { run } from '../e2e/support/run.ts';
import type { Argument, Outcome } from '../e2e/support/run.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';

const silent = { code: 0, signal: undefined, stdout: '', stderr: '' };

describe.each(implementations)('svok ($name)', (implementation) => {
  const svok = (words: readonly Argument[], cwd = '/'): Promise<Outcome> =>
    run([implementation.path('svok'), ...words], { cwd });

  test('without a directory it tells its usage and exits 100', async () => {
    expect(await svok([])).toEqual({ ...silent, code: 100, stderr: 'svok: usage: svok dir\n' });
  });

  test.each([
    ['that does not exist', 'nonexist', 'file does not exist'],
    ['with an empty name', '', 'file does not exist'],
    ['that is a file', 'file', 'not a directory'],
    ['below a file', 'file/x', 'not a directory'],
    ['that is a loop of links', 'loop', 'symbolic link loop'],
    ['with a name too long', 'n'.repeat(256), 'file name too long'],
    ['with a path too long', 'n/'.repeat(2048), 'file name too long'],
    ['called -x, as it has no options', '-x', 'file does not exist'],
    ['called --, as it has no options', '--', 'file does not exist'],
  ])('a directory %s cannot be changed into: exits 111', async (_, directory, reason) => {
    await using here = temporaryDirectory();
    writeFileSync(here.join('file'), '');
    symlinkSync('loop', here.join('loop'));
    const stderr = `svok: fatal: unable to chdir to ${directory}: ${reason}\n`;
    expect(await svok([directory], here.path)).toEqual({ ...silent, code: 111, stderr });
  });

  test('a directory that was never supervised: exits 100 and says nothing', async () => {
    await using here = temporaryDirectory();
    expect(await svok(['.'], here.path)).toEqual({ ...silent, code: 100 });
    here.makeDirectory('supervise');
    expect(await svok(['.'], here.path)).toEqual({ ...silent, code: 100 });
  });

  test('a FIFO without a reader, or a socket: exits 100', async () => {
    await using here = temporaryDirectory();
    makeFifo(here.join('a/supervise/ok'));
    expect(await svok(['a'], here.path)).toEqual({ ...silent, code: 100 });
    here.makeDirectory('s/supervise');
    await using server = createServer();
    server.listen(here.join('s/supervise/ok'));
    await once(server, 'listening');
    expect(await svok(['s'], here.path)).toEqual({ ...silent, code: 100 });
  });

  test('a FIFO with a reader, or a regular file: exits 0', async () => {
    await using here = temporaryDirectory();
    using _ = heldFifo(here.join('a/supervise/ok'));
    expect(await svok(['a'], here.path)).toEqual(silent);
    here.makeDirectory('b/supervise');
    writeFileSync(here.join('b/supervise/ok'), '');
    expect(await svok(['b'], here.path)).toEqual(silent);
  });

  test('only the first argument counts', async () => {
    await using here = temporaryDirectory();
    using _ = heldFifo(here.join('a/supervise/ok'));
    expect(await svok(['a', 'nonexist'], here.path)).toEqual(silent);
  });

  test('an ok that cannot be opened: says why and exits 111', async () => {
    await using here = temporaryDirectory();
    here.makeDirectory('a/supervise/ok');
    const stderr = 'svok: fatal: unable to open a/supervise/ok: is a directory\n';
    expect(await svok(['a'], here.path)).toEqual({ ...silent, code: 111, stderr });
    writeFileSync(here.makeDirectory('b') + '/supervise', '');
    expect(await svok(['b'], here.path)).toMatchObject({
      code: 111,
      stderr: 'svok: fatal: unable to open b/supervise/ok: not a directory\n',
    });
  });

  test.each(oddNames)('a directory whose name has %s is found, and named byte for byte', async (_, name) => {
    await using here = temporaryDirectory();
    using __ = heldFifo(joinBytes(here.path, '/', name, '/supervise/ok'));
    expect(await svok([name], here.path)).toEqual(silent);
    expect(await svok([joinBytes(name, '/nonexist')], here.path)).toEqual({
      ...silent,
      code: 111,
      stderr: `svok: fatal: unable to chdir to ${shownBytes(name)}/nonexist: file does not exist\n`,
    });
  });

  test.runIf(canBeNobody)('an ordinary account is told "access denied" where it may not look', async () => {
    await using here = temporaryDirectory();
    makeFifo(here.join('a/supervise/ok'));
    chmodSync(here.join('a/supervise'), 0o700);
    mkdirSync(here.join('b'), { mode: 0o700 });
    const asked = (directory: string): Promise<Outcome> =>
      run(asNobody([implementation.path('svok'), directory]), { cwd: here.path });
    expect(await asked('a')).toEqual({
      ...silent,
      code: 111,
      stderr: 'svok: fatal: unable to open a/supervise/ok: access denied\n',
    });
    expect(await asked('b')).toEqual({
      ...silent,
      code: 111,
      stderr: 'svok: fatal: unable to chdir to b: access denied\n',
    });
  });

  test.runIf(canBeNobody)('an ordinary account may look where only searching is allowed', async () => {
    await using here = temporaryDirectory();
    using _ = heldFifo(here.join('a/supervise/ok'));
    chmodSync(here.join('a/supervise/ok'), 0o622);
    chmodSync(here.join('a/supervise'), 0o711);
    chmodSync(here.join('a'), 0o711);
    expect(await run(asNobody([implementation.path('svok'), 'a']), { cwd: here.path })).toEqual(silent);
  });
});
