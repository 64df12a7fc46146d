/** Whether the plugins could do with what is said for one service, without running anything. */
import type { ServiceDirectory } from '@daemontap/kernel';
import type { Configuration } from './load.ts';
import { optionProblems } from './options.ts';

/** All that is wrong with the options of plugins for a service, each once. */
export function serviceProblems(
  { plugins, serviceOptions }: Pick<Configuration, 'plugins' | 'serviceOptions'>,
  service: ServiceDirectory,
): readonly string[] {
  const reasons = plugins.flatMap(({ name, options, schema }) => {
    try {
      const own = serviceOptions(name, service);
      if (Object.keys(own).length === 0) return [];
      const file = `unable to use the options of plugin ${name} for ${service.label}`;
      const problems = optionProblems(schema, { value: { ...options, ...own }, file, path: [], noun: 'option' });
      return problems.map(({ place, message }) => `${place}: ${message}`);
    } catch (error) {
      return [error instanceof Error ? error.message : String(error)];
    }
  });
  return [...new Set(reasons)];
}
