/** Reads a configuration file, whatever kind it is of, to a value that is plain data. Nothing in it is checked yet. */
import { realpathSync, statSync } from 'node:fs';
import { cosmiconfig } from 'cosmiconfig';
import type { Loader } from 'cosmiconfig';
import { reasonText } from '@daemontap/formats';
import { evaluate } from './evaluate.ts';
import { configurationNames, kindOf } from './find.ts';
import { ownershipProblem } from './ownership.ts';
import { parseData } from './parse.ts';
import { ConfigurationError, enumerate } from './problem.ts';

/** Which file is read, and for whom. */
export interface ReadRequest {
  readonly path: string;
  /** What the file is called in messages. */
  readonly label: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Who runs what the configuration names. */
  readonly uid: number;
}

/**
 * The value that a configuration file holds.
 * @throws ConfigurationError when it cannot be read, is not well-formed, or is code that others may change
 */
export async function readConfiguration({ path, label, environment, uid }: ReadRequest): Promise<unknown> {
  const fail = (message: string): ConfigurationError => new ConfigurationError([{ place: label, message }]);
  if (kindOf(path) === undefined) throw fail(`its name must end as in ${enumerate(configurationNames, 'or')}`);
  const realPath = realFile(path, fail);
  // Each in a box: cosmiconfig has keys of its own, with which one file includes others.
  const data: Loader = (_path, content) => ({ value: parseData({ content, label }) });
  const code: Loader = async () => {
    const problem = ownershipProblem({ path: realPath, uid });
    if (problem !== undefined) throw fail(problem);
    return { value: await evaluate({ path: realPath, label, environment }) };
  };
  const loaders = Object.fromEntries(
    configurationNames.map((name) => [name.slice(name.lastIndexOf('.')), kindOf(name) === 'data' ? data : code]),
  );
  const explorer = withoutItsOwnConfiguration(() =>
    cosmiconfig('daemontap', { searchPlaces: [...configurationNames], searchStrategy: 'none', cache: false, loaders }),
  );
  const result = await explorer.load(realPath).catch((error: unknown) => {
    throw error instanceof ConfigurationError ? error : fail(`unable to read file: ${reasonText(error)}`);
  });
  if (result === null || result.isEmpty === true) throw fail('it is empty; for the defaults write {}');
  return (result.config as { readonly value: unknown }).value; // the box
}

/** @throws ConfigurationError for what is missing, no file or not readable */
function realFile(path: string, fail: (message: string) => ConfigurationError): string {
  let isFile: boolean;
  try {
    isFile = statSync(path).isFile(); // a FIFO would be waited for
  } catch (error) {
    throw fail(`unable to read file: ${reasonText(error)}`);
  }
  if (!isFile) throw fail('unable to read file: it is not a file');
  return realpathSync(path);
}

/**
 * When it is made, cosmiconfig looks for a configuration of its own in the current directory, and runs it where it is
 * code: whoever can write there could have anything done by root. It is told of a directory that has none.
 */
function withoutItsOwnConfiguration<T>(make: () => T): T {
  const { cwd } = process;
  process.cwd = () => '/dev/null';
  try {
    return make();
  } finally {
    process.cwd = cwd;
  }
}
