/**
 * Starts services under soft limits, as daemontools' softlimit. The limit of descriptors is set by the start itself; the
 * others are left to what a plan with limits is started through.
 */
import * as v from 'valibot';
import { definePlugin } from '@daemontap/kernel';
import type { LimitedResource, PluginFactory, SpawnPlan } from '@daemontap/kernel';
import { readLimit } from '@daemontap/posix';

/** A number, or `hard` for as much as the hard limit allows. A number above the hard limit is as `hard`. */
export type SoftLimit = number | 'hard';

/** What is limited; by default nothing is. In brackets: the option of the program softlimit. */
export interface SoftlimitOptions {
  /** Memory: data, stack, locked memory and address space, each of them (`-m`). Those that are named below count more. */
  readonly memoryBytes?: SoftLimit;
  /** The data segment, heap included (`-d`). */
  readonly dataBytes?: SoftLimit;
  /** The stack (`-s`). */
  readonly stackBytes?: SoftLimit;
  /** Locked memory (`-l`). */
  readonly lockedBytes?: SoftLimit;
  /** Address space (`-a`). */
  readonly addressSpaceBytes?: SoftLimit;
  /** Resident memory (`-r`); Linux takes the limit and does nothing with it. */
  readonly residentBytes?: SoftLimit;
  /** Open descriptors (`-o`). */
  readonly openFiles?: SoftLimit;
  /** Processes of the account (`-p`); not for root, who has no such limit. */
  readonly processes?: SoftLimit;
  /** The size of a core dump (`-c`). */
  readonly coreBytes?: SoftLimit;
  /** The size of any file that is written (`-f`). */
  readonly fileBytes?: SoftLimit;
  /** Processor time, in seconds (`-t`). */
  readonly cpuSeconds?: SoftLimit;
}

/** What each option limits; `memoryBytes` comes first, so that the others count more. */
const limited: Readonly<Record<Exclude<keyof SoftlimitOptions, 'openFiles'>, readonly LimitedResource[]>> = {
  memoryBytes: ['data', 'stack', 'memlock', 'as'],
  dataBytes: ['data'],
  stackBytes: ['stack'],
  lockedBytes: ['memlock'],
  addressSpaceBytes: ['as'],
  residentBytes: ['rss'],
  processes: ['nproc'],
  coreBytes: ['core'],
  fileBytes: ['fsize'],
  cpuSeconds: ['cpu'],
};
const UNLIMITED = 2n ** 64n - 1n;

const soft = v.optional(
  v.union([v.pipe(v.number(), v.safeInteger(), v.minValue(0)), v.literal('hard')], 'it must be a whole number or hard'),
);
const schema = v.strictObject({
  memoryBytes: soft,
  dataBytes: soft,
  stackBytes: soft,
  lockedBytes: soft,
  addressSpaceBytes: soft,
  residentBytes: soft,
  openFiles: soft,
  processes: soft,
  coreBytes: soft,
  fileBytes: soft,
  cpuSeconds: soft,
});

/** Starts services under soft limits. Log services have those alone that are said of them by name. */
export const softlimit: PluginFactory<SoftlimitOptions> = definePlugin({
  name: 'softlimit',
  apiVersion: 1,
  schema,
  apply({ hooks, optionsFor, serviceOptions }) {
    hooks.prepareSpawn.tap('softlimit', (plan, service) => {
      const options = Object.entries(optionsFor(service)) as readonly [keyof SoftlimitOptions, SoftLimit | undefined][]; // as the schema says
      if (service.role === 'service') return limit(plan, new Map(options));
      const own = serviceOptions(service);
      return limit(plan, new Map(options.filter(([key]) => Object.hasOwn(own, key))));
    });
  },
});

function limit(plan: SpawnPlan, options: ReadonlyMap<keyof SoftlimitOptions, SoftLimit | undefined>): SpawnPlan {
  const softLimits: { [R in LimitedResource]?: bigint } = {};
  for (const [option, resources] of Object.entries(limited) as readonly [
    keyof typeof limited,
    readonly LimitedResource[],
  ][]) {
    const value = options.get(option);
    if (value !== undefined) for (const resource of resources) softLimits[resource] = numberOf(value);
  }
  const openFiles = options.get('openFiles');
  return {
    ...plan,
    ...(Object.keys(softLimits).length > 0 && { softLimits: { ...plan.softLimits, ...softLimits } }),
    ...(openFiles !== undefined && { descriptorLimit: descriptorLimit(plan, numberOf(openFiles)) }),
  };
}

function descriptorLimit(plan: SpawnPlan, wanted: bigint): SpawnPlan['descriptorLimit'] {
  const { hard } = plan.descriptorLimit ?? readLimit('nofile');
  return { soft: wanted > hard ? hard : wanted, hard };
}

function numberOf(value: SoftLimit): bigint {
  return value === 'hard' ? UNLIMITED : BigInt(value);
}
