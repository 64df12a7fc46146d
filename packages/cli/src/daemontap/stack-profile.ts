/** What `daemontap plugins` shows: a stack, and what its plugins have cost a kernel. */
import type { PluginProfile } from '@daemontap/kernel';
import type { LoadedPlugin } from '../configuration/plugins.ts';

/** One plugin. Plain data, as it goes through a socket; times are microseconds. */
export interface ShownPlugin {
  readonly name: string;
  readonly version: string | undefined;
  readonly module: string;
  readonly place: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly hooks: readonly ShownHook[];
}

/** What has become of the calls of one hook. */
export interface ShownHook {
  readonly hook: string;
  readonly calls: number;
  readonly failures: number;
  /** The time in which the kernel could do nothing else. */
  readonly spentUs: number;
  readonly longestUs: number;
  /** The time until promised answers came. */
  readonly waitedUs: number;
}

/** A stack as it is shown; without profiles, as nothing runs, without times. */
export function profiledStack(
  plugins: readonly LoadedPlugin[],
  profiles: readonly PluginProfile[],
): readonly ShownPlugin[] {
  return plugins.map(({ name, version, module, place, options }) => {
    const hooks = profiles.find((profile) => profile.name === name)?.hooks ?? [];
    return {
      name,
      version,
      module,
      place,
      options,
      hooks: hooks.map(({ hook, calls, failures, spentNs, longestNs, waitedNs }) => ({
        hook,
        calls,
        failures,
        spentUs: microseconds(spentNs),
        longestUs: microseconds(longestNs),
        waitedUs: microseconds(waitedNs),
      })),
    };
  });
}

function microseconds(ns: bigint): number {
  return Number(ns / 100n) / 10;
}
