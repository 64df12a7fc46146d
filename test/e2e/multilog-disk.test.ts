/**
 * multilog on a disk that is too small, and what ends it while it pauses: a tmpfs of 2 MB in a mount namespace of its
 * own, which is looked into through /proc and is gone with the process.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statSync, statfsSync, writeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { daemontap } from './support/implementations.ts';
import { fedMultilog, finishedFiles, listing, multilogs, textOf } from './support/multilog.ts';
import type { FedMultilog } from './support/multilog.ts';
import { run } from './support/run.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

const FULL = 'multilog: warning: unable to write to ./d/current, pausing: out of disk space\n';
const MOUNT = 'mkdir disk && mount -t tmpfs -o size=2m tmpfs disk && cd disk && ';
const unshare = ['/usr/bin/unshare', '--mount', '--propagation', 'private'];
const through = [...unshare, '/bin/sh', '-c', `${MOUNT}exec "$0" "$@"`];

const canMount = tryMount();
if (!canMount) console.log('skipped: multilog on a full disk; it needs root, and the right to unshare mounts');

const numbered = (count: number, from = 0): string =>
  Array.from({ length: count }, (_, index) => `${String(from + index).padStart(49, '0')}\n`).join('');

/** The small disk of a multilog, as long as that runs. */
const disk = (fed: FedMultilog, ...names: readonly string[]): string =>
  `/proc/${fed.program.pid}/root${fed.here.join('disk', ...names)}`;

/** Writes a file until nothing fits. */
function fill(path: string): void {
  const fd = openSync(path, 'w');
  try {
    for (const size of [65_536, 4096, 1]) {
      try {
        while (writeSync(fd, Buffer.alloc(size)) === size);
      } catch {
        // Less may fit.
      }
    }
  } finally {
    closeSync(fd);
  }
}

/** A multilog on a small disk that something else has filled, after it has logged 100 lines. */
async function onFullDisk(implementation: (typeof multilogs)[number], words: readonly string[]): Promise<FedMultilog> {
  const fed = fedMultilog(implementation, words, { through });
  try {
    fed.pipe.write(numbered(100));
    const isThere = (): boolean => textOf(disk(fed, 'd/current')) === numbered(100);
    await until(isThere, { describe: 'the first lines are there', state: fed.program.stderr });
    fill(disk(fed, 'filler'));
    expect(statfsSync(disk(fed)).bfree).toBe(0);
    // More than the rest of the last page of current.
    fed.pipe.write(numbered(300, 100));
    await fed.says(FULL);
    return fed;
  } catch (error) {
    await fed[Symbol.asyncDispose]();
    throw error;
  }
}

describe.skipIf(!canMount).concurrent.each(multilogs)('multilog on a small disk ($name)', (implementation) => {
  test('s4096 n3 stays in 2 MB however much comes', async () => {
    await using here = temporaryDirectory();
    const script = `${MOUNT}seq -f %049.0f 150000 | "$0" s4096 n3 ./d && cd d && ls | wc -l && cat @* current && stat -c %s @*`;
    const { stdout, ...rest } = await run([...unshare, '/bin/sh', '-c', script, implementation.path('multilog')], {
      cwd: here.path,
    });
    expect(rest).toEqual({ code: 0, signal: undefined, stderr: '' });
    const [count = '', ...lines] = stdout.split('\n').slice(0, -1);
    expect(count).toBe('5');
    const sizes = lines.splice(-2).map(Number);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(4096);
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(2096);
    expect(numbered(150_000, 1).endsWith(lines.map((line) => `${line}\n`).join(''))).toBe(true);
    expect(lines.length).toBeGreaterThan(80);
  });

  test('a full one is waited for; when there is room it goes on, with all lines in order', async () => {
    await using fed = await onFullDisk(implementation, ['./d']);
    expect(numbered(400).startsWith(textOf(disk(fed, 'd/current')) ?? 'nothing')).toBe(true);
    rmSync(disk(fed, 'filler'));
    fed.pipe.write(numbered(100, 400));
    const isThere = (): boolean => textOf(disk(fed, 'd/current')) === numbered(500);
    await until(isThere, { describe: 'all lines are there', state: fed.program.stderr });
    expect(fed.program.stderr().replaceAll(FULL, '')).toBe('');
    expect(listing(disk(fed, 'd'))).toEqual(['644 current', '600 lock', '644 state']);
    await fed.idle();
    await fed.signal('SIGALRM');
    await until(() => finishedFiles(disk(fed, 'd')).length === 1, { describe: 'it rotates' });
    expect(finishedFiles(disk(fed, 'd'))[0]?.text).toBe(numbered(500));
    await fed.signal('SIGTERM');
    expect(await fed.ended()).toEqual({ code: 0, signal: undefined });
  });
});

describe.concurrent('TERM while multilog pauses (docs/compatibility.md)', () => {
  test.skipIf(!canMount)('on a full disk, ends it at once with 111, and it says so', async () => {
    await using fed = await onFullDisk(daemontap, ['./d']);
    const current = openSync(disk(fed, 'd/current'), 'r');
    try {
      const beganMs = performance.now();
      await fed.signal('SIGTERM');
      expect(await fed.ended()).toEqual({ code: 111, signal: undefined });
      expect(performance.now() - beganMs).toBeLessThan(3000);
      expect(fed.program.stderr()).toMatch(
        /^(multilog: warning: .*pausing: out of disk space\n)+multilog: fatal: .+\n$/,
      );
      // It is as a crash would have left it.
      expect(statSync(`/proc/self/fd/${current}`).mode & 0o777).toBe(0o644);
    } finally {
      closeSync(current);
    }
  });

  test('for a processor that fails, ends it at once with 111, and what there was is kept', async () => {
    await using fed = fedMultilog(daemontap, ['!exit 3', './d']);
    fed.pipe.write('one\n');
    await fed.holds('d/current', 'one\n');
    await fed.idle();
    await fed.signal('SIGALRM');
    await fed.says('multilog: warning: processor failed in ./d, pausing\n');
    const beganMs = performance.now();
    await fed.signal('SIGTERM');
    expect(await fed.ended()).toEqual({ code: 111, signal: undefined });
    expect(performance.now() - beganMs).toBeLessThan(3000);
    expect(fed.program.stderr()).toMatch(
      /^(multilog: warning: processor failed in .\/d, pausing\n)+multilog: fatal: .+\n$/,
    );
    // The next one has all.
    await run([daemontap.path('multilog'), './d'], { cwd: fed.here.path, input: 'two\n' });
    expect(finishedFiles(fed.here.join('d')).map(({ text }) => text)).toContain('one\n');
    expect(textOf(fed.here.join('d/current'))).toBe('two\n');
  });

  test('for a status file, ends it at once with 111', async () => {
    await using fed = fedMultilog(daemontap, ['=/dev/full']);
    fed.pipe.write('one\n');
    await fed.says('multilog: warning: unable to write /dev/full, pausing: out of disk space\n');
    await fed.signal('SIGTERM');
    expect(await fed.ended()).toEqual({ code: 111, signal: undefined });
  });
});

function tryMount(): boolean {
  const words = ['--mount', '--propagation', 'private', 'mount', '-t', 'tmpfs', 'tmpfs', '/tmp'];
  return process.getuid?.() === 0 && spawnSync('unshare', words).status === 0;
}
