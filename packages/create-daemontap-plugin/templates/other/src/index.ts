/** A plugin for daemontap that listens: it warns of services that end too often. */
import { definePlugin } from '@daemontap/kernel';
import type { ServiceDirectory } from '@daemontap/kernel';
import * as v from 'valibot';

const positive = v.pipe(v.number(), v.integer(), v.minValue(1));
const schema = v.strictObject({
  /** How many ends are too many; default 5. */
  ends: v.optional(positive, 5),
  /** Within which time, in seconds; default 60. */
  withinSeconds: v.optional(positive, 60),
});

export type Options = v.InferInput<typeof schema>;

export const factoryName = definePlugin({
  name: 'PLUGIN_NAME',
  apiVersion: 1,
  schema,
  apply({ hooks, log, clock, optionsFor }) {
    const endsOf = new WeakMap<ServiceDirectory, readonly bigint[]>();
    hooks.serviceEnded.tap('PLUGIN_NAME', (service) => {
      const { ends, withinSeconds } = optionsFor(service);
      const nowNs = clock.monotonicNs(); // never set back, and a test can set it
      const sinceNs = nowNs - BigInt(withinSeconds) * 1_000_000_000n;
      const recent = [...(endsOf.get(service) ?? []).filter((atNs) => atNs > sinceNs), nowNs];
      const areTooMany = recent.length >= ends;
      if (areTooMany) log.warning(`service has ended ${ends} times within ${withinSeconds} seconds`, { service });
      endsOf.set(service, areTooMany ? [] : recent); // the next warning takes as many again
    });
  },
});
