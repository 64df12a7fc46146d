/** What every spawn plugin keeps: one that taps `prepareSpawn` and changes how services are started. */
import assert from 'node:assert/strict';
import type { Plugin, SpawnPlan } from '@daemontap/kernel';
import { simulateService } from '../simulation.ts';
import { basePlan } from '../base-plan.ts';
import { anyPluginChecks } from './any-plugin.ts';
import { declareTests } from './check.ts';
import type { ContractCheck } from './check.ts';
import { openThings } from './process-state.ts';
import { inTrial, Trial } from './trial.ts';
import type { ContractPlace, ContractService, PluginContractOptions, TrialKernel } from './trial.ts';

/** What the contract needs to know of a spawn plugin. */
export interface SpawnPluginContractOptions extends PluginContractOptions {
  /** The fields of a plan that the plugin changes, with what it makes of them. */
  readonly promises: (plan: SpawnPlan, service: ContractService) => Partial<SpawnPlan>;
  /** When it refuses a start, by the reason's name; default: it never does. */
  readonly refusals?: Readonly<Record<string, SpawnRefusal>>;
}

/** A start that a spawn plugin refuses. */
export interface SpawnRefusal {
  /** Makes the plugin so that it refuses every start. */
  readonly create: (place: ContractPlace) => Plugin;
  /** What its error's message says. */
  readonly message: RegExp;
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

const plainPlan: SpawnPlan = { ...basePlan, environment: [bytes('PATH=/usr/bin:/bin')] };

/** As other plugins may have left it, with bytes that are no UTF-8. */
const richPlan: SpawnPlan = {
  file: bytes('/command/env\xff'),
  argv: [bytes('env\xff'), bytes(''), bytes('./run')],
  environment: [bytes('PATH=/bin'), bytes('NAME=\xfe\xff'), bytes('NAME=twice'), bytes('EMPTY=')],
  descriptors: [
    [0, 0],
    [1, 1],
    [2, 2],
    [7, 2],
  ],
  ignoredSignals: 1n << 12n,
  blockedSignals: 1n << 63n,
  descriptorLimit: { soft: 1024n, hard: 4096n },
  account: { uid: 1, gid: 2, groups: [3] },
  softLimits: { core: 0n, cpu: 3600n },
};

/**
 * Declares vitest tests of what every spawn plugin keeps: it changes what it promises and nothing else, and a start
 * that it refuses does not happen.
 * @throws Error when vitest is not installed
 * @example
 * spawnPluginContract({
 *   name: 'nice',
 *   create: () => nice({ increment: 5 }),
 *   promises: ({ argv }) => ({
 *     file: Buffer.from('/usr/bin/nice'),
 *     argv: [Buffer.from('nice'), Buffer.from('-n5'), ...argv],
 *   }),
 *   wrongOptions: { 'an increment that is no number': () => nice({ increment: Number.NaN }) },
 * });
 */
export function spawnPluginContract(options: SpawnPluginContractOptions): void {
  declareTests(`${options.name} as a spawn plugin`, spawnPluginChecks(options));
}

/** The checks of {@link spawnPluginContract}, for other test frameworks and for tests of the contract itself. */
export function spawnPluginChecks(options: SpawnPluginContractOptions): readonly ContractCheck[] {
  const check = (title: string, body: (trial: Trial) => Promise<void>): ContractCheck => ({
    title,
    run: () =>
      inTrial(new Trial(options), async (trial) => {
        await body(trial);
        await trial.settle();
        trial.assertQuiet();
      }),
  });
  const expected = (plan: SpawnPlan, service: ContractService): SpawnPlan => ({
    ...plan,
    ...options.promises(copyOf(plan), service),
  });
  const roles = ['service', 'log'] as const;
  return [
    ...anyPluginChecks(options, 'prepareSpawn'),
    ...Object.entries({ 'as the kernel makes it': plainPlan, 'that others have changed': richPlan }).map(
      ([what, plan]) =>
        check(`changes a plan ${what} as promised, and nothing else of it`, async (trial) => {
          const kernel = trial.kernel();
          for (const role of roles) {
            const service = kernel.service(role, role);
            assert.deepEqual(await ask(trial, { kernel, service, plan }), expected(plan, service));
          }
        }),
    ),
    check('hands on fields of a plan that it does not know', async (trial) => {
      const kernel = trial.kernel();
      const service = kernel.service('finger');
      const plan: SpawnPlan & { readonly fieldOfALaterKernel: string } = { ...plainPlan, fieldOfALaterKernel: 'kept' };
      assert.deepEqual(await ask(trial, { kernel, service, plan }), expected(plan, service));
    }),
    check('leaves the plan that it is given as it was', async (trial) => {
      const kernel = trial.kernel();
      const plan = copyOf(richPlan);
      await ask(trial, { kernel, service: kernel.service('finger'), plan });
      assert.deepEqual(plan, richPlan);
    }),
    check('answers the same when asked again', async (trial) => {
      const kernel = trial.kernel();
      const service = kernel.service('finger');
      const first = await ask(trial, { kernel, service, plan: plainPlan });
      for (let times = 0; times < 3; times++) {
        assert.deepEqual(await ask(trial, { kernel, service, plan: plainPlan }), first);
      }
    }),
    check('keeps services and kernels apart that ask at the same time', async (trial) => {
      const [kernel, other] = [trial.kernel(), trial.kernel()];
      const questions = [
        { kernel, service: kernel.service('finger'), plan: plainPlan },
        { kernel, service: kernel.service('nntp'), plan: richPlan },
        { kernel: other, service: other.service('finger'), plan: richPlan },
      ];
      const answers = await Promise.all(questions.map((question) => ask(trial, question)));
      assert.deepEqual(
        answers,
        questions.map(({ plan, service }) => expected(plan, service)),
      );
    }),
    check('goes on working when the service directory is renamed', async (trial) => {
      const kernel = trial.kernel();
      const service = kernel.service('finger');
      await ask(trial, { kernel, service, plan: plainPlan });
      service.rename();
      assert.deepEqual(await ask(trial, { kernel, service, plan: plainPlan }), expected(plainPlan, service));
    }),
    check('leaves nothing open once the service is released', async (trial) => {
      const kernel = trial.kernel();
      const service = kernel.service('finger');
      const superviseOnce = async (): Promise<void> => {
        for (let starts = 0; starts < 3; starts++) await ask(trial, { kernel, service, plan: plainPlan });
        kernel.call('serviceReleased', service.directory);
      };
      await superviseOnce(); // whatever is opened once for a whole process is open now
      await trial.settle();
      const before = openThings();
      for (let times = 0; times < 3; times++) await superviseOnce();
      await trial.settledTo(before);
    }),
    ...Object.entries(options.refusals ?? {}).flatMap(([what, { create, message }]) => [
      check(`refuses with the reason, each time it is asked: ${what}`, async (trial) => {
        const kernel = trial.kernel({ create });
        const service = kernel.service('finger');
        for (let times = 0; times < 2; times++) {
          await assert.rejects(ask(trial, { kernel, service, plan: plainPlan }), (error) => {
            assert.ok(error instanceof Error, 'a refusal is an Error');
            assert.match(error.message, message);
            return true;
          });
        }
      }),
      check(`lets nothing be started by a kernel: ${what}`, async (trial) => {
        const simulation = simulateService({ plugins: [create({ dir: trial.directory() })] });
        await trial.until('the start is refused', async () => {
          await simulation.settle();
          assert.deepEqual(simulation.processes.started, [], 'the service was started');
          return simulation.story.includes('failed /service/finger');
        });
        simulation.command('/service/finger', 'dx');
        await trial.until('the kernel ends', async () => {
          await simulation.settle();
          return simulation.isDone();
        });
      }),
    ]),
  ];
}

interface Question {
  readonly kernel: TrialKernel;
  readonly service: ContractService;
  readonly plan: SpawnPlan;
}

/** Asks the plugin's taps one after the other, as the kernel does. @throws what a tap throws */
async function ask(trial: Trial, { kernel, service, plan }: Question): Promise<SpawnPlan> {
  let answer = plan;
  for (const tap of kernel.taps('prepareSpawn')) {
    // A hook's taps return what its type says; a plugin that does not is found when the answer is compared.
    answer = (await trial.settled('prepareSpawn is answered', tap(answer, service.directory))) as SpawnPlan;
  }
  return answer;
}

/** A copy that shares no bytes. */
function copyOf(plan: SpawnPlan): SpawnPlan {
  const copyAll = (list: readonly Buffer[]): readonly Buffer[] => list.map((each) => Buffer.from(each));
  return {
    ...plan,
    file: Buffer.from(plan.file),
    argv: copyAll(plan.argv),
    environment: copyAll(plan.environment),
    descriptors: plan.descriptors.map(([target, source]) => [target, source]),
    descriptorLimit: plan.descriptorLimit && { ...plan.descriptorLimit },
    ...(plan.account && { account: { ...plan.account, groups: [...plan.account.groups] } }),
    ...(plan.softLimits && { softLimits: { ...plan.softLimits } }),
  };
}
