/** What a configuration may say, and all that is wrong with one. */
import * as v from 'valibot';
import type { Config, PluginEntry } from '@daemontap/kernel';
import { optionProblems } from './options.ts';
import { ConfigurationError, isRecord, keyText } from './problem.ts';
import type { Problem } from './problem.ts';

const record = (what: string): v.GenericSchema<Readonly<Record<string, unknown>>> =>
  v.custom<Readonly<Record<string, unknown>>>(isRecord, `must be ${what}`);
const text = (what: string): v.GenericSchema<string> =>
  v.pipe(v.string(`must be ${what}`), v.nonEmpty(`must be ${what}`));
const list = <S extends v.GenericSchema>(item: S, what: string): v.ArraySchema<S, string> =>
  v.array(item, `must be ${what}`);

const ENTRY = 'a name, or a list of a name and options';
/** One plugin of a list. A union would say of everything that it is neither the one nor the other. */
const entry: v.GenericSchema<unknown> = v.lazy((given) =>
  Array.isArray(given)
    ? v.strictTuple([text('a name'), v.optional(record('options: their names and values'))], `must be ${ENTRY}`)
    : text(ENTRY),
);

const names = list(text('a name'), 'a list of names');
const either = <T extends string>(options: readonly [T, ...T[]]): v.GenericSchema<T> =>
  v.picklist(options, `must be ${options.slice(0, -1).join(', ')} or ${options.at(-1)}`);
const SECONDS = 'must be a number of seconds, or 0 for never';

const entries = {
  preset: v.optional(v.lazy((given) => (Array.isArray(given) ? names : text('a name, or a list of names')))),
  without: v.optional(names),
  plugins: v.optional(list(entry, 'a list of plugins')),
  services: v.optional(
    v.pipe(
      record('options by service and plugin'),
      v.record(
        v.string(),
        v.pipe(record('options by plugin'), v.record(v.string(), record('options: their names and values'))),
      ),
    ),
  ),
  allow: v.optional(
    list(v.pipe(text('PLUGIN.OPTION'), v.regex(/^[^.]+\.[^.]+$/, 'must be PLUGIN.OPTION')), 'a list of PLUGIN.OPTION'),
  ),
  log: v.optional(either(['plain', 'json', 'pretty'])),
  onTerm: v.optional(either(['stop', 'leave'])),
  stopTimeout: v.optional(v.pipe(v.number(SECONDS), v.minValue(0, SECONDS), v.maxValue(999_999.999, SECONDS))),
  runtimeDir: v.optional(text('the path of a directory')),
} as const;

const schema = v.strictObject(entries);

/** What is right in a configuration, to look on for problems, and all that is wrong. */
export interface ParsedConfig {
  /** Without the keys that are wrong. */
  readonly config: Omit<Config, 'plugins'>;
  /** Without the entries that are wrong, so each with the index that it has in the file. */
  readonly plugins: readonly IndexedEntry[];
  readonly problems: readonly Problem[];
}

/** A plugin of a list. */
export interface IndexedEntry {
  readonly index: number;
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/**
 * Parses what was read from the file that messages call `file`.
 * @throws ConfigurationError when it is not even an object
 */
export function parseConfig(value: unknown, file: string): ParsedConfig {
  if (!isRecord(value))
    throw new ConfigurationError([{ place: file, message: 'it must be an object of keys and values' }]);
  const problems = optionProblems(schema, { value, file, path: [], noun: 'key' });
  const isRight = (key: string): boolean =>
    problems.every(({ place }) => place !== `${file}: ${key}` && !startsAt(place, `${file}: ${key}`));
  const keys = Object.keys(entries).filter((key) => key in value && key !== 'plugins' && isRight(key));
  const config = v.parse(schema, Object.fromEntries(keys.map((key) => [key, value[key]])));
  return { config: config as Omit<Config, 'plugins'>, plugins: entriesOf(value['plugins'], file, problems), problems };
}

/** The entries of a list of plugins that are right; others are among the problems. */
function entriesOf(value: unknown, file: string, problems: readonly Problem[]): readonly IndexedEntry[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((each: unknown, index) => {
    const place = `${file}: ${keyText(['plugins', index])}`;
    const isWrong = problems.some((problem) => problem.place === place || startsAt(problem.place, place));
    return isWrong ? [] : [{ index, ...entryParts(each as PluginEntry) }];
  });
}

/** The name and the options of an entry. */
function entryParts(given: PluginEntry): Omit<IndexedEntry, 'index'> {
  const [name, options = {}] = typeof given === 'string' ? [given] : given;
  return { name, options };
}

/** True for the place of something within what stands at `place`. */
function startsAt(inner: string, place: string): boolean {
  return inner.startsWith(`${place}.`) || inner.startsWith(`${place}[`);
}

/** Parses a preset that a module exports, its plugins as those of a configuration. */
export function parsePlugins(value: unknown, file: string): Pick<ParsedConfig, 'plugins' | 'problems'> {
  const { plugins, problems } = parseConfig({ plugins: value }, file);
  return { plugins, problems };
}
