/** The contract of spawn plugins can be kept, and notices what does not keep it. */
import { closeSync, openSync } from 'node:fs';
import type { Plugin, ServiceDirectory, SpawnPlan } from '@daemontap/kernel';
import { afterEach, expect, test } from 'vitest';
import { spawnPluginChecks, spawnPluginContract, failedChecks } from '../index.ts';
import type { ContractCheck, SpawnPluginContractOptions } from '../index.ts';

const leaked: number[] = [];
afterEach(() => {
  for (const fd of leaked.splice(0)) closeSync(fd);
});

type Change = (plan: SpawnPlan, service: ServiceDirectory) => SpawnPlan;

const prefix = [Buffer.from('nice'), Buffer.from('-n5')];
const nice: Change = (plan) => ({ ...plan, file: Buffer.from('/usr/bin/nice'), argv: [...prefix, ...plan.argv] });

/** Starts every service a little later than others: `nice`, as a chain-loading prefix. */
function example(change: Change = nice): Plugin {
  return {
    name: 'example',
    apiVersion: 1,
    apply({ hooks }) {
      hooks.prepareSpawn.tapPromise('example', async (plan, service) => change(plan, service));
    },
  };
}

const refuse: Change = () => {
  throw new Error('unable to find nice: no such file');
};

const contract: SpawnPluginContractOptions = {
  name: 'an example',
  create: () => example(),
  promises: ({ argv }) => ({ file: Buffer.from('/usr/bin/nice'), argv: [...prefix, ...argv] }),
  refusals: { 'there is no nice': { create: () => example(refuse), message: /^unable to find nice: / } },
};

spawnPluginContract(contract);

let starts = 0;

const titlesOfFailed = async (checks: readonly ContractCheck[]): Promise<readonly string[]> =>
  (await failedChecks(checks)).map(({ title }) => title);

test.each<[string, Change, string]>([
  ['does nothing', (plan) => plan, 'changes a plan as the kernel makes it as promised, and nothing else of it'],
  [
    'changes what it has not promised',
    (plan, service) => ({ ...nice(plan, service), environment: [] }),
    'changes a plan that others have changed as promised, and nothing else of it',
  ],
  [
    'decodes bytes',
    (plan, service) => {
      const prepared = nice(plan, service);
      return { ...prepared, argv: prepared.argv.map((each) => Buffer.from(each.toString())) };
    },
    'changes a plan that others have changed as promised, and nothing else of it',
  ],
  [
    'builds a plan of the fields that it knows',
    (plan, service) => {
      const { file, argv } = nice(plan, service);
      const { environment, descriptors, ignoredSignals, blockedSignals, descriptorLimit } = plan;
      return { file, argv, environment, descriptors, ignoredSignals, blockedSignals, descriptorLimit };
    },
    'hands on fields of a plan that it does not know',
  ],
  [
    'changes the plan that it is given',
    (plan, service) => {
      const prepared = nice(plan, service);
      (plan.argv as Buffer[]).unshift(...prefix); // readonly forbids it in TypeScript alone
      return prepared;
    },
    'leaves the plan that it is given as it was',
  ],
  [
    'answers differently each time',
    (plan, service) => {
      const prepared = nice(plan, service);
      return { ...prepared, argv: [...prepared.argv, Buffer.from(String(starts++))] };
    },
    'answers the same when asked again',
  ],
  [
    'opens something for each start',
    (plan, service) => {
      leaked.push(openSync('/dev/null', 'r'));
      return nice(plan, service);
    },
    'leaves nothing open once the service is released',
  ],
])('a spawn plugin that %s is found out', async (_what, change, title) => {
  const checks = spawnPluginChecks({ ...contract, create: () => example(change), timeoutMs: 100 });
  expect(await titlesOfFailed(checks)).toContain(title);
});

test('a refusal without its reason, and one that is none, are found out', async () => {
  const silent: Change = () => {
    throw new Error('failed');
  };
  const refusals = {
    'no reason': { create: () => example(silent), message: /nice/ },
    'no refusal': { create: () => example(), message: /nice/ },
  };
  expect(await titlesOfFailed(spawnPluginChecks({ ...contract, refusals, timeoutMs: 100 }))).toEqual([
    'refuses with the reason, each time it is asked: no reason',
    'refuses with the reason, each time it is asked: no refusal',
    'lets nothing be started by a kernel: no refusal',
  ]);
});
