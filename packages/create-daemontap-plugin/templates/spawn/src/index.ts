/** A spawn plugin for daemontap: starts services with more variables in their environment. */
import { definePlugin } from '@daemontap/kernel';
import * as v from 'valibot';

const schema = v.strictObject({
  /** The variables by their names; default: none. One service's own take the place of all of these. */
  variables: v.optional(
    v.record(
      v.pipe(v.string(), v.regex(/^[^=\0]+$/, 'a name is not empty and has no =')),
      v.pipe(v.string(), v.regex(/^[^\0]*$/, 'a value has no zero byte')),
    ),
    {},
  ),
  /** Whether a variable that the kernel has itself is replaced; default true. */
  replaces: v.optional(v.boolean(), true),
});

export type Options = v.InferInput<typeof schema>;

export const factoryName = definePlugin({
  name: 'PLUGIN_NAME',
  apiVersion: 1,
  schema,
  apply({ hooks, optionsFor }) {
    hooks.prepareSpawn.tap('PLUGIN_NAME', (plan, service) => {
      const { variables, replaces } = optionsFor(service); // whatever is thrown here refuses the start
      const isSet = (name: string): boolean => plan.environment.some((entry) => nameOf(entry) === name);
      const chosen = Object.entries(variables).filter(([name]) => replaces || !isSet(name));
      const names = new Set(chosen.map(([name]) => name));
      return {
        ...plan, // what this plugin does not know of stays as it is
        environment: [
          ...plan.environment.filter((entry) => !names.has(nameOf(entry))),
          ...chosen.map(([name, value]) => Buffer.from(`${name}=${value}`)),
        ],
      };
    });
  },
});

function nameOf(entry: Buffer): string {
  return entry.toString().split('=', 1)[0] ?? '';
}
