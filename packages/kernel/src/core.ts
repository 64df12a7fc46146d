/** What all parts of one kernel share. */
import type { KernelHooks } from './hooks.ts';
import type { Logger } from './plugin/contract.ts';
import type { Ports, SpawnPlan } from './ports.ts';

/** The hooks, the world, and what every service is started with. */
export interface Core {
  /** As the plugins of this moment have tapped them: to be read anew at each use. */
  readonly hooks: KernelHooks;
  readonly ports: Ports;
  readonly log: Logger;
  /** What a start is made of before plugins change it. */
  readonly basePlan: SpawnPlan;
  /** Until a service that was asked to stop is killed, and its log service told to; `undefined`: for ever. */
  readonly stopTimeoutNs: bigint | undefined;
}
