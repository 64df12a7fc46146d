/** Presets: the one that is built in, and those of packages. */
import { dirname } from 'node:path';
import { controlSocket } from '@daemontap/control-socket';
import { logStderr } from '@daemontap/log-stderr';
import { daemontools } from '@daemontap/preset';
import { pinoMessages } from '../supervisors/pino-messages.ts';
import type { Settings } from '../supervisors/settings.ts';
import { BUILT_IN, bundledPlugin } from './bundled.ts';
import { pickFactory, pickPreset } from './module.ts';
import { findForeign } from './plain-data.ts';
import { keyOf, loadForeign, ownVersion, splitName } from './plugins.ts';
import type { EntryRequest, LoadedPlugin } from './plugins.ts';
import { ConfigurationError, placeOf } from './problem.ts';
import type { Problem } from './problem.ts';
import { parsePlugins } from './schema.ts';
import type { IndexedEntry } from './schema.ts';

/** The preset that needs no configuration. */
export const DEFAULT_PRESET = 'daemontools';

/** The plugins of the built-in preset. */
export async function daemontoolsPlugins(
  { log }: Pick<Settings, 'log'>,
  previous: readonly LoadedPlugin[],
): Promise<readonly LoadedPlugin[]> {
  // Besides daemontools' own lines, which are warnings, it shows what the plugins of others have to say.
  const shown = log === 'plain' ? plainMessages() : await pinoMessages(log);
  const plugins = daemontools({ log: shown.plugin });
  const place = `preset ${DEFAULT_PRESET}`;
  return Promise.all(
    plugins.map((plugin) => {
      const options = plugin === shown.plugin ? shown.options : {};
      return builtIn({ plugin, options, place }, previous);
    }),
  );
}

/** What `daemontap up` has besides its presets, unless the configuration says otherwise. */
export async function ownPlugins(previous: readonly LoadedPlugin[]): Promise<readonly LoadedPlugin[]> {
  return [await builtIn({ plugin: controlSocket(), options: {}, place: 'daemontap up' }, previous)];
}

/** A plugin of ours that no configuration names. It speaks as daemontools does, so it has no origin. */
async function builtIn(
  { plugin, options, place }: Pick<LoadedPlugin, 'plugin' | 'options' | 'place'>,
  previous: readonly LoadedPlugin[],
): Promise<LoadedPlugin> {
  const { name } = plugin;
  const key = keyOf([name, BUILT_IN, place, options]);
  const source = { place, module: BUILT_IN, version: ownVersion(), options };
  return Object.freeze({
    plugin: previous.find((each) => each.key === key)?.plugin ?? Object.freeze({ ...plugin, source }),
    ...{ name, key, ...source },
    isStale: false,
    schema: await schemaOf(name),
  });
}

function plainMessages() {
  const options = { level: 'info' } as const;
  return { plugin: logStderr(options), options };
}

async function schemaOf(name: string): Promise<LoadedPlugin['schema']> {
  const exports = await bundledPlugin(name)?.();
  const picked = exports === undefined ? undefined : pickFactory(exports, undefined);
  return picked !== undefined && 'found' in picked ? picked.found.definition.schema : undefined;
}

/** A preset of a package or file. */
export interface ForeignPreset extends Pick<EntryRequest, 'file' | 'fromDir'> {
  readonly plugins: readonly IndexedEntry[];
  /** What is wrong with other entries of it. */
  readonly problems: readonly Problem[];
  /** True when the file has changed since it was loaded. */
  readonly isStale: boolean;
}

/**
 * Loads a preset; its plugins are looked for from where it lies.
 * @throws ConfigurationError when it cannot be found, is not safe, fails or is none
 */
export async function loadPreset(
  request: Pick<EntryRequest, 'name' | 'fromDir' | 'uid'> & { readonly place: string },
): Promise<ForeignPreset> {
  const fail = (message: string): ConfigurationError => new ConfigurationError([{ place: request.place, message }]);
  const { base, exportName } = splitName(request.name);
  const { exports, file, isStale } = await loadForeign({ ...request, kind: 'preset', name: base }, fail);
  const picked = pickPreset(exports, exportName);
  if ('problem' in picked) throw fail(`unable to use preset ${base} from ${file}: ${picked.problem}`);
  const label = `preset ${picked.found.name}`;
  const foreign = findForeign(picked.found.plugins);
  if (foreign.length > 0) {
    throw new ConfigurationError(
      foreign.map(({ path, message }) => ({ place: placeOf(label, ['plugins', ...path]), message })),
    );
  }
  return { ...parsePlugins(picked.found.plugins, label), file: label, fromDir: dirname(file), isStale };
}
