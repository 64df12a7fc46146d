/** A thousand services in one scan directory: more than C's svscan takes, and more than a low soft limit has room for. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, describe, test } from 'vitest';
import { combinations, scanDirectory } from './support/supervised.ts';
import { until } from './support/until.ts';

const COUNT = 1000;
const ours = combinations.filter(({ server }) => server.name === 'daemontap');
const names = Array.from({ length: COUNT }, (_, index) => `s${String(index).padStart(4, '0')}`);
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log(`skipped: ${COUNT} services; without root the hard limit of descriptors may be too low`);

describe.runIf(isRoot).each(ours)(`${COUNT} services ($title)`, (combination) => {
  test('under a soft limit of 1024 descriptors all start, answer svc and svstat, and stop in order', async () => {
    await using scan = scanDirectory(combination, {
      through: ['/bin/sh', '-c', 'ulimit -Sn 1024; exec "$@"', 'sh'],
      prepare({ path }) {
        for (const name of names) {
          mkdirSync(path(name));
          writeFileSync(path(name, 'run'), '#!/bin/sh\nexec sleep 100000\n', { mode: 0o755 });
        }
      },
    });
    const running = (): readonly string[] => names.filter((name) => (scan.record(name)?.pid ?? 0) > 0);
    const state = (): unknown => [running().length, scan.svscan.stderr().slice(0, 2000)];
    await until(() => running().length === COUNT, { describe: 'all run', state, timeoutMs: 120_000, everyMs: 200 });
    expect(await scan.svstat(...names)).toEqual(names.map((name) => `${name}: up (pid N) N seconds`));
    await scan.svc('-d', ...names);
    await until(() => running().length === 0, { describe: 'all are down', state, everyMs: 200 });
    await scan.svc('-u', ...names);
    await until(() => running().length === COUNT, {
      describe: 'all run again',
      state,
      timeoutMs: 120_000,
      everyMs: 200,
    });
    process.kill(scan.svscan.pid, 'SIGTERM');
    expect(await scan.svscan.exit).toEqual({ code: 0, signal: undefined });
    expect([scan.svscan.stderr(), scan.svscan.pids()]).toEqual(['', []]);
  }, 400_000);
});
