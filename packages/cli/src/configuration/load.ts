/** The whole way from a scan directory to what its kernel is made of; all that is wrong is found together. */
import { realpathSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { Config } from '@daemontap/kernel';
import type { Settings } from '../supervisors/settings.ts';
import { findConfiguration } from './find.ts';
import { moveToPlaces } from './plugins.ts';
import type { LoadedPlugin } from './plugins.ts';
import { DEFAULT_PRESET } from './presets.ts';
import { ConfigurationError, problemsOf } from './problem.ts';
import type { Problem } from './problem.ts';
import { readConfiguration } from './read.ts';
import { parseConfig } from './schema.ts';
import type { ParsedConfig } from './schema.ts';
import { serviceOptionsOf } from './services.ts';
import type { ServiceOptions } from './services.ts';
import { resolveSettings } from './settings.ts';
import type { OriginatedValue, SettingTexts } from './settings.ts';
import { loadStack } from './stack.ts';

/** Whose configuration is loaded, and by whom. */
export interface LoadRequest {
  readonly scanDir: string;
  /** The file, where it is not to be looked for in the scan directory. */
  readonly configPath?: string | undefined;
  /** Settings that have the highest authority. */
  readonly commandLine?: SettingTexts;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  /** The configuration in force: plugins that have not changed are taken over from it. */
  readonly previous?: Configuration | undefined;
}

/** A configuration that can be used. */
export interface Configuration {
  /** The file that was read; `undefined`: there is none, and everything is as by default. */
  readonly file: string | undefined;
  readonly settings: Settings;
  /** What is in force besides the plugins, and where it comes from. */
  readonly values: readonly OriginatedValue[];
  /** In the order in which they are applied. */
  readonly plugins: readonly LoadedPlugin[];
  /** What messages call the presets whose files have changed since they were loaded: the next process takes them up. */
  readonly stalePresets: readonly string[];
  readonly serviceOptions: ServiceOptions;
}

interface Source {
  readonly path: string;
  readonly label: string;
}

/**
 * Loads the configuration of a scan directory.
 * @throws ConfigurationError with everything that is wrong with it
 */
export async function loadConfiguration(request: LoadRequest): Promise<Configuration> {
  const { scanDir, commandLine = {}, environment, uid, previous } = request;
  const { source, parsed, problems } = await read(request);
  const { config } = parsed;
  const fromFile = resolveSettings({ commandLine, environment, config, file: source, uid });
  const found: Problem[] = [...problems, ...parsed.problems, ...fromFile.problems];
  // Without a file that can be read, nobody knows which plugins are wanted.
  if (problems.length > 0) throw new ConfigurationError(found);
  const stack = await loadStack({
    parsed,
    settings: fromFile.settings,
    fromDir: source === undefined ? resolve(scanDir) : dirname(source.path),
    file: source?.label ?? 'configuration',
    uid,
    previous: previous?.plugins ?? [],
  });
  found.push(...stack.problems);
  if (found.length > 0) throw new ConfigurationError(found);
  moveToPlaces(stack.plugins);
  return Object.freeze({
    file: source?.path,
    settings: fromFile.settings,
    values: Object.freeze([...fromFile.values, ...otherValues(config, source)]),
    plugins: Object.freeze(stack.plugins),
    stalePresets: Object.freeze(stack.stalePresets),
    serviceOptions: serviceOptionsOf(config),
  });
}

const NOTHING: ParsedConfig = { config: {}, plugins: [], problems: [] };

async function read({ scanDir, configPath, environment, uid }: LoadRequest): Promise<{
  readonly source: Source | undefined;
  readonly parsed: ParsedConfig;
  readonly problems: readonly Problem[];
}> {
  try {
    const path = configPath ?? findConfiguration(resolve(scanDir));
    if (path === undefined) return { source: undefined, parsed: NOTHING, problems: [] };
    const label = configPath ?? basename(path);
    const value = await readConfiguration({ path: resolve(path), label, environment, uid });
    const source = { path: realpathSync(path), label };
    return { source, parsed: parseConfig(value, label), problems: [] };
  } catch (error) {
    return { source: undefined, parsed: NOTHING, problems: problemsOf(error) };
  }
}

function otherValues(config: Omit<Config, 'plugins'>, source: Source | undefined): readonly OriginatedValue[] {
  const defaults = { preset: DEFAULT_PRESET, without: [], services: {}, allow: [] } as const;
  return (Object.keys(defaults) as (keyof typeof defaults)[]).map((key) => {
    const value: unknown = config[key];
    if (value === undefined) return { key, value: defaults[key], origin: 'default' };
    return { key, value, origin: `${source?.label}: ${key}` };
  });
}
