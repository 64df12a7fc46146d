/** What services are limited to. Whether a process then is, test/e2e/confined.test.ts tells. */
import type { PluginFactory, ServiceDirectory, SpawnPlan } from '@daemontap/kernel';
import { readLimit } from '@daemontap/posix';
import { applyAlone, basePlan, spawnPluginContract } from '@daemontap/testkit';
import { expect, expectTypeOf, test } from 'vitest';
import { softlimit } from './index.ts';
import type { SoftLimit, SoftlimitOptions } from './index.ts';

const UNLIMITED = 2n ** 64n - 1n;
const plan: SpawnPlan = { ...basePlan, descriptorLimit: { soft: 1024n, hard: 4096n } };

function planned(
  options: SoftlimitOptions,
  { role = 'service', ownOptions = {} }: { role?: ServiceDirectory['role']; ownOptions?: SoftlimitOptions } = {},
): SpawnPlan {
  const service: ServiceDirectory = { label: 'finger', role, hasLog: role === 'service', identity: '1-2', path: '/' };
  const plugin = applyAlone(softlimit(options), { serviceOptions: () => ({ ...ownOptions }) });
  const [answer] = plugin.call('prepareSpawn', plan, service) as [SpawnPlan]; // it has one tap
  return answer;
}

spawnPluginContract({
  name: 'softlimit',
  create: () => softlimit(),
  promises: () => ({}),
  wrongOptions: {
    'a negative number': () => softlimit({ coreBytes: -1 }),
    'half a byte': () => softlimit({ coreBytes: 0.5 }),
    text: () => softlimit({ coreBytes: '0' as unknown as SoftLimit }),
    'a number that is not exact': () => softlimit({ coreBytes: 2 ** 60 }),
    'an unknown option': () => softlimit({ core: 0 } as SoftlimitOptions),
  },
});

spawnPluginContract({
  name: 'softlimit for log services too',
  create: () => softlimit({ coreBytes: 0, openFiles: 100 }),
  promises: (before, { directory }) => {
    if (directory.role === 'log') return {};
    const { hard } = before.descriptorLimit ?? readLimit('nofile');
    return { softLimits: { ...before.softLimits, core: 0n }, descriptorLimit: { soft: 100n, hard } };
  },
});

test('each option limits what it is called after, and memory counts less than its parts', () => {
  const all: Required<SoftlimitOptions> = {
    cpuSeconds: 1,
    fileBytes: 2,
    coreBytes: 3,
    processes: 4,
    openFiles: 5,
    residentBytes: 6,
    addressSpaceBytes: 7,
    lockedBytes: 8,
    stackBytes: 9,
    dataBytes: 10,
    memoryBytes: 11,
  };
  const { softLimits, descriptorLimit, ...rest } = planned(all);
  expect(softLimits).toEqual({
    ...{ cpu: 1n, fsize: 2n, core: 3n, nproc: 4n, rss: 6n },
    ...{ as: 7n, memlock: 8n, stack: 9n, data: 10n },
  });
  expect(descriptorLimit).toEqual({ soft: 5n, hard: 4096n });
  expect({ ...rest, descriptorLimit: plan.descriptorLimit }).toEqual(plan);
  expect(planned({ memoryBytes: 11, stackBytes: 'hard' }).softLimits).toEqual({
    data: 11n,
    stack: UNLIMITED,
    memlock: 11n,
    as: 11n,
  });
});

test('descriptors alone are limited by the start itself, at most as far as the hard limit', () => {
  for (const [openFiles, soft] of [
    [0, 0n],
    [4096, 4096n],
    [5000, 4096n],
    ['hard', 4096n],
  ] as const) {
    expect(planned({ openFiles })).toEqual({ ...plan, descriptorLimit: { soft, hard: 4096n } });
  }
});

test('a log service has the limits alone that are said of it by name', () => {
  expect(planned({ memoryBytes: 1, openFiles: 2 }, { role: 'log' })).toEqual(plan);
  const { softLimits, descriptorLimit } = planned(
    { memoryBytes: 1, openFiles: 2 },
    { role: 'log', ownOptions: { coreBytes: 0 } },
  );
  expect([softLimits, descriptorLimit]).toEqual([{ core: 0n }, plan.descriptorLimit]);
});

test('what the configuration says of a service comes on top', () => {
  const { softLimits } = planned({ coreBytes: 0, fileBytes: 1 }, { ownOptions: { fileBytes: 2 } });
  expect(softLimits).toEqual({ core: 0n, fsize: 2n });
});

test('the types of its options are numbers, or a word', () => {
  expectTypeOf(softlimit).toEqualTypeOf<PluginFactory<SoftlimitOptions>>();
  expectTypeOf<SoftLimit>().toEqualTypeOf<number | 'hard'>();
  // @ts-expect-error: no number is called so
  expect(() => softlimit({ openFiles: 'soft' })).toThrow('openFiles: it must be a whole number or hard');
});
