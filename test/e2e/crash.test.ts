/** A killed svscan harms nothing: what it looked after runs on, once, and another one takes it over as it was. */
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { killAtRandom, killAtSystemCalls } from './support/crash-kills.ts';
import { crashServices } from './support/crash-services.ts';
import { crashScan } from './support/crash.ts';
import { combinations } from './support/supervised.ts';

/** As many as are asked for: `npm run test:soak` asks for 100. */
const ROUNDS = Number(process.env['CRASH_ROUNDS'] ?? 8);
/** Each system call, or each so many. */
const STRIDE = Number(process.env['CRASH_STRIDE'] ?? 30);
/** Within how many milliseconds all must be right: the soak asks for a second, with nothing else on the machine. */
const soakMs = process.env['CRASH_WITHIN_MS'];
const WITHIN_MS = Number(soakMs ?? 20_000);
/** Most of the time is waited for; where a second counts they have the machine for themselves. */
const describeAll = soakMs === undefined ? describe.concurrent : describe;
const seed = process.env['CRASH_SEED'];
const ours = combinations.filter(({ server }) => server.name === 'daemontap');

// C's leaves its supervises behind, so it vouches for the test.
describeAll.each(combinations)('a killed svscan ($title)', (combination) => {
  const isOurs = combination.server.name === 'daemontap';
  // C's svscan leaves its supervises alone, so it has less to show.
  const rounds = isOurs ? ROUNDS : Math.ceil(ROUNDS / 4);
  test(`${rounds} times at random instants: no start too many, no line lost, every state right again`, async () => {
    await using scan = await crashScan(combination);
    expect(scan.services).toHaveLength(50);
    await killAtRandom(scan, {
      rounds,
      withinMs: isOurs ? WITHIN_MS : 20_000,
      ...(seed === undefined ? {} : { seed: Number(seed) }),
    });
    expect(await scan.end()).toEqual([]);
  }, 600_000);
});

const operations = [
  { name: 'plain-1', option: '-t', want: 'up', starts: true },
  { name: 'logged-1', option: '-d', want: 'down', starts: false, back: '-u' },
  { name: 'down-1', option: '-u', want: 'up', starts: true, back: '-d' },
  { name: 'done-1', option: '-o', want: 'once', starts: true },
] as const;

const canTrace = existsSync('/usr/bin/strace');
if (!canTrace) console.log('skipped: svscan killed at each system call; it needs strace');

describeAll.each(canTrace ? ours.slice(0, 1) : [])('svscan, killed at every system call', (combination) => {
  test.each(operations)(
    'of svc $option $name',
    async ({ name, ...operation }) => {
      await using scan = await crashScan(combination, crashServices(1));
      const service = scan.services.find((each) => each.name === name);
      if (service === undefined) throw new Error(`there is no ${name}`);
      const calls = await killAtSystemCalls(scan, { service, ...operation }, { stride: STRIDE, withinMs: WITHIN_MS });
      console.log(`svc ${operation.option}: ${calls} system calls`);
      expect(calls).toBeGreaterThan(10);
      expect(await scan.end()).toEqual([]);
    },
    900_000,
  );
});
