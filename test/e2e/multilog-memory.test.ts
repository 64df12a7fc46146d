/** The memory of our multilog, which must not depend on what comes: under 90 MB (issue 4); and that of hosted streams. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { daemontap } from './support/implementations.ts';
import { textOf } from './support/multilog.ts';
import { run } from './support/run.ts';
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
  ['empty lines', 'head -c 6000000 /dev/zero | tr "\\0" "\\n"', ['t', 's16777215', 'n50', './d'], 150_000_000],
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

test('a hosted stream takes less than 10 KB at rest, an unfinished line included', async () => {
  await using here = temporaryDirectory();
  const code = `
    import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
    import { openHosted, parseScript } from '@daemontap/multilog';
    const script = () => parseScript(['t', '-*', '+* a *', './main', '=status'].map((word) => Buffer.from(word)));
    const told = { trouble: console.error, recovered() {}, show() {}, spawnProcessor: () => Promise.reject(new Error()) };
    let count = 0;
    async function open(howMany) {
      for (let n = 0; n < howMany; n++) {
        const service = process.argv[1] + '/' + ++count;
        mkdirSync(service);
        const directoryFd = openSync(service, 'r');
        const sink = await openHosted({ script: script(), directoryFd, ...told });
        closeSync(directoryFd);
        await sink.take(Buffer.from('a line of a service\\nand the beginning of '));
        sinks.push(sink);
      }
    }
    async function anonymousKb() {
      for (let times = 0; times < 3; times++) await new Promise((resolve) => setTimeout(resolve, 50, gc()));
      return Number(/^Anonymous:\\s+(\\d+)/m.exec(readFileSync('/proc/self/smaps_rollup', 'latin1'))[1]);
    }
    const sinks = [];
    await open(60);
    const before = await anonymousKb();
    await open(180);
    const after = await anonymousKb();
    console.log((after - before) / 180);
    process.exit(sinks.length === 240 ? 0 : 1);`;
  const flags = [
    '--conditions=@daemontap/source',
    '--expose-gc',
    '--max-semi-space-size=1',
    '--input-type=module',
    '-e',
  ];
  const argv = [process.execPath, ...flags, code, here.path];
  const { stdout, ...rest } = await run(argv, { cwd: import.meta.dirname, timeoutMs: TIMEOUT_MS });
  expect(rest).toEqual({ code: 0, signal: undefined, stderr: '' });
  expect(Number(stdout)).toBeGreaterThan(1);
  expect(Number(stdout)).toBeLessThan(10);
});
