/** `daemontap config`: every value that is in force, and where it comes from. */
import { writeAll } from '../program.ts';
import { configurationOf } from './directory.ts';
import type { DirectoryOptions } from './directory.ts';
import { table } from './table.ts';

/** Shows the values. @throws ConfigurationError */
export async function config(options: DirectoryOptions & { readonly json?: boolean }): Promise<number> {
  const { file, values, plugins } = await configurationOf(options);
  const all = [
    ...values,
    ...plugins.map(({ name, options: given, place }) => ({ key: `plugin ${name}`, value: given, origin: place })),
  ];
  if (options.json === true) writeAll(1, `${JSON.stringify({ file, values: all }, undefined, 2)}\n`);
  else {
    const rows = all.map(({ key, value, origin }) => [key, JSON.stringify(value), origin]);
    writeAll(1, `${file ?? 'no configuration file'}\n\n${table([['key', 'value', 'from'], ...rows])}`);
  }
  return 0;
}
