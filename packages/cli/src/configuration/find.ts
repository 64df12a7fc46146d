/** Finds the configuration: in a directory itself, never above it. Nothing is read. */
import { readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import { reasonText } from '@daemontap/formats';
import { ConfigurationError, enumerate } from './problem.ts';

const DATA = ['.json', '.yaml', '.yml'];
const CODE = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts'];

/** The names of a configuration that is data, as a service directory may have one. */
export const dataNames: readonly string[] = DATA.map((extension) => `daemontap.config${extension}`);

/** The names of a configuration in a scan directory. */
export const configurationNames: readonly string[] = [...DATA, ...CODE].map((each) => `daemontap.config${each}`);

/** What a file of this name holds; `undefined` for a kind that is no configuration. */
export function kindOf(path: string): 'data' | 'code' | undefined {
  const extension = extname(path);
  if (DATA.includes(extension)) return 'data';
  return CODE.includes(extension) ? 'code' : undefined;
}

/**
 * The path of the configuration in a scan directory, `undefined` when there is none.
 * @throws ConfigurationError when there are two
 */
export function findConfiguration(scanDir: string): string | undefined {
  let entries: readonly string[];
  try {
    entries = readdirSync(scanDir);
  } catch (error) {
    throw new ConfigurationError([{ place: scanDir, message: `unable to read directory: ${reasonText(error)}` }]);
  }
  const names = configurationNames.filter((name) => entries.includes(name));
  if (names.length > 1) {
    const message = `there is more than one configuration: ${enumerate(names)}; keep one of them`;
    throw new ConfigurationError([{ place: scanDir, message }]);
  }
  return names[0] === undefined ? undefined : join(scanDir, names[0]);
}
