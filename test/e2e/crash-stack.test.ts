/**
 * A killed `daemontap up` and killed log hosts, together or one after the other: services run on, once, and their logs
 * have everything. What a killed kernel has to do with is nowhere twice; a killed host writes at most a block again.
 */
import { describe, expect, test } from 'vitest';
import { killAtRandom } from './support/crash-kills.ts';
import { crashServicesWithBursts } from './support/crash-services.ts';
import { crashScan } from './support/crash.ts';
import { combinations } from './support/supervised.ts';

/** As many as are asked for: `npm run test:soak` asks for 100, and for all 51 services. */
const asked = process.env['CRASH_ROUNDS'];
const rounds = Number(asked ?? 4);
const soakMs = process.env['CRASH_WITHIN_MS'];
const withinMs = Number(soakMs ?? 20_000);
/** The same short rounds in each run of the tests. */
const seed = Number(process.env['CRASH_SEED'] ?? (asked === undefined ? 1 : Date.now() % 1_000_000));
const ours = combinations.filter(({ server, client }) => server.name === 'daemontap' && client === server);

describe.each(ours)('a stack with logs of log hosts', (combination) => {
  test(`its kernel is killed ${rounds} times, then either or both ${rounds} times`, async () => {
    await using scan = await crashScan(
      combination,
      crashServicesWithBursts(asked === undefined ? 1 : undefined),
      'log hosts',
    );
    await killAtRandom(scan, { rounds, seed, withinMs });
    expect(scan.hostedLines()).toEqual([]);
    await killAtRandom(scan, { rounds, seed: seed + 1, withinMs, victims: ['host', 'host', 'both', 'svscan'] });
    expect(scan.hostKills).toBeGreaterThan(0);
    expect(await scan.end()).toEqual([]);
  }, 900_000);
});
