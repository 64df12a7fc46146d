/** What a kernel of the testkit starts services with, before plugins change it. */
import type { SpawnPlan } from '@daemontap/kernel';

/** Standard input, output and error, and nothing else. */
export const basePlan: SpawnPlan = {
  file: Buffer.from('./run'),
  argv: [Buffer.from('./run')],
  environment: [],
  descriptors: [
    [0, 0],
    [1, 1],
    [2, 2],
  ],
  ignoredSignals: 0n,
  blockedSignals: 0n,
  descriptorLimit: undefined,
};
