/** What plugins of every kind keep: the factory checks its options, and `apply` only taps. */
import assert from 'node:assert/strict';
import type { PluginHooks } from '@daemontap/kernel';
import type { ContractCheck } from './check.ts';
import { addedSince, filesIn, openThings, startedDuring } from './process-state.ts';
import { inTrial, Trial } from './trial.ts';
import type { PluginContractOptions, TrialKernel } from './trial.ts';

/** The checks that the contracts of all kinds begin with. */
export function anyPluginChecks(options: PluginContractOptions, hook: keyof PluginHooks): readonly ContractCheck[] {
  const { create, wrongOptions = {} } = options;
  return [
    {
      title: 'has a name, the same each time it is made',
      run: () =>
        inTrial(new Trial(options), (trial) => {
          const [first, second] = [create({ dir: trial.directory() }), create({ dir: trial.directory() })];
          assert.ok(typeof first.name === 'string' && first.name !== '', 'the plugin has no name');
          assert.equal(second.name, first.name);
        }),
    },
    ...Object.entries(wrongOptions).map(([what, make]) => ({
      title: `refuses wrong options when it is made: ${what}`,
      run: async () => {
        assert.throws(make, ({ message }: Error) => message !== '', 'the factory takes these options');
      },
    })),
    {
      title: 'opens, starts and writes nothing when it is made and applied',
      run: () =>
        inTrial(new Trial(options), (trial) => {
          const before = openThings();
          let kernel: TrialKernel | undefined;
          const started = startedDuring(() => {
            kernel = trial.kernel();
          });
          assert.deepEqual([...addedSince(before), ...started], [], 'something was opened or started');
          assert.deepEqual(kernel && filesIn(kernel.stateDir), [], 'files were made');
          trial.assertQuiet();
        }),
    },
    {
      title: `taps ${hook}`,
      run: () =>
        inTrial(new Trial(options), (trial) => {
          assert.notEqual(trial.kernel().taps(hook).length, 0, `nothing taps ${hook}`);
        }),
    },
  ];
}
