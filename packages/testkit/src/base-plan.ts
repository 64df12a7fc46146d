import type { SpawnPlan } from '@daemontap/kernel';

/** What a kernel of the test kit starts services with, before plugins change it: standard input, output and error, and no more. */
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
