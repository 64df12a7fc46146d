/** The memory of our multilog, which must not depend on what comes: under 90 MB (issue 4). */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { daemontap } from './support/implementations.ts';
import { textOf } from './support/multilog.ts';
import { start } from './support/start.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

const LIMIT_KB = 90_000;
const TIMEOUT_MS = 50_000;

const canMount =
  process.getuid?.() === 0 &&
  spawnSync('unshare', ['--mount', '--propagation', 'private', 'mount', '-t', 'tmpfs', 'tmpfs', '/tmp']).status === 0;
if (!canMount) console.log('skipped: the memory of multilog; it needs root, and the right to unshare mounts');

test.skipIf(!canMount).each([
  ['a line of 300 MB', 'head -c 300000000 /dev/zero', ['t', 's16777215', 'n3', './d'], 30_000_000],
  ['short lines', 'seq -f %084.0f 600000', ['t', '-*', '+* *99*', 's16777215', 'n50', './d', '=st', './e'], 50_000],
  ['empty lines', 'head -c 2000000 /dev/zero | tr "\\0" "\\n"', ['t', 's16777215', 'n50', './d'], 50_000_000],
])('%s: never more than 90 MB', async (_, command, words, atLeastBytes) => {
  await using here = temporaryDirectory();
  // On a disk in memory: the time of a real one is not what is measured.
  const script = `mkdir disk && mount -t tmpfs tmpfs disk && cd disk && { ${command} | "$0" "$@"; }
    echo "$? $(cat d/* | wc -c)"`;
  const argv = ['/usr/bin/unshare', '--mount', '--propagation', 'private', '/bin/sh', '-c', script];
  await using program = start([...argv, daemontap.path('multilog'), ...words], { cwd: here.path });
  let mostKb = 0;
  const isOver = (): boolean => {
    for (const pid of program.pids()) {
      // Its name is that of the program, or of the Node that runs it; those in front of it are small.
      const peak = /^VmHWM:\s*(\d+) kB$/m.exec(textOf(`/proc/${pid}/status`) ?? '')?.[1];
      mostKb = Math.max(mostKb, Number(peak ?? 0));
    }
    return program.stdout().endsWith('\n');
  };
  await until(isOver, { describe: 'it has read all', timeoutMs: TIMEOUT_MS, everyMs: 5, state: program.stderr });
  const [code, bytes] = program.stdout().split(' ').map(Number);
  expect([code, program.stderr()]).toEqual([0, '']);
  expect(bytes).toBeGreaterThanOrEqual(atLeastBytes);
  expect(mostKb).toBeGreaterThan(20_000);
  expect(mostKb).toBeLessThan(LIMIT_KB);
});
