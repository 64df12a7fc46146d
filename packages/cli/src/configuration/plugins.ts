/** From the entries of a configuration or a preset to plugins that a kernel takes. */
import { API_VERSION } from '@daemontap/kernel';
import type { Plugin, PluginKernel } from '@daemontap/kernel';
import { BUILT_IN, bundledPlugin } from './bundled.ts';
import { loadFailure, loadModule, pickFactory } from './module.ts';
import type { AnyFactory, LoadedModule } from './module.ts';
import { optionProblems } from './options.ts';
import { ownershipProblem } from './ownership.ts';
import { ConfigurationError, placeOf } from './problem.ts';
import type { Problem } from './problem.ts';
import { installationDir, resolveModule, versionOf } from './resolve.ts';
import type { IndexedEntry } from './schema.ts';

/** A plugin, and where it comes from. */
export interface LoadedPlugin {
  readonly plugin: Plugin;
  readonly name: string;
  /** As the configuration gives them. */
  readonly options: Readonly<Record<string, unknown>>;
  /** `plugins[1] in daemontap.config.yaml`, `preset daemontools`. */
  readonly place: string;
  /** The file, or `built in`. */
  readonly module: string;
  /** Of the package, as loaded. */
  readonly version: string | undefined;
  /** Equal for two plugins that have the same name, module and options, and so need not be exchanged. */
  readonly key: string;
  /** True when the file has changed since it was loaded: the next process takes up the new code. */
  readonly isStale: boolean;
  /** Of the options; `undefined` where it takes none. */
  readonly schema: AnyFactory['definition']['schema'];
}

/** One entry, and what is to be known to load it. */
export interface EntryRequest extends IndexedEntry {
  /** What problems call the list that it is in: `daemontap.config.json`, `preset quiet`. */
  readonly file: string;
  /** Where paths and the search for packages begin. */
  readonly fromDir: string;
  /** Who will run the code. */
  readonly uid: number;
  /** Plugins that are in use: one with the same key is taken over. */
  readonly previous: readonly LoadedPlugin[];
}

/** The version of our own packages. */
export function ownVersion(): string | undefined {
  return versionOf(installationDir());
}

/**
 * Loads one plugin and gives it its options.
 * @throws ConfigurationError with all that is wrong with it
 */
export async function loadPlugin(request: EntryRequest): Promise<LoadedPlugin> {
  const { index, name, options, file, previous } = request;
  const fail = (message: string): ConfigurationError =>
    new ConfigurationError([{ place: placeOf(file, ['plugins', index]), message }]);
  const { factory, module, exportName, version, isStale } = await loadFactory(request, fail);
  const { definition } = factory;
  const problems = [
    ...apiProblems(definition.apiVersion, placeOf(file, ['plugins', index])),
    ...optionProblems(definition.schema, { value: options, file, path: ['plugins', index, 1], noun: 'option' }),
  ].map(({ place, message }) => ({ place, message: `plugin ${definition.name}: ${message}` }));
  if (problems.length > 0) throw new ConfigurationError(problems);
  const key = keyOf([definition.name, module, exportName, options]);
  const place = `plugins[${index}] in ${file}`;
  const known = previous.find((each) => each.key === key);
  const common = { name: definition.name, options, place, module, version, key, isStale, schema: definition.schema };
  return Object.freeze({ ...common, plugin: known?.plugin ?? makePlugin({ ...common, factory, name, fail }) });
}

function makePlugin({
  factory,
  options,
  name,
  place,
  module,
  version,
  fail,
}: Pick<LoadedPlugin, 'options' | 'name' | 'place' | 'module' | 'version'> & {
  readonly factory: AnyFactory;
  readonly fail: (message: string) => ConfigurationError;
}): Plugin {
  let made: Plugin;
  try {
    made = factory(structuredClone(options));
  } catch (error) {
    throw fail(`unable to make plugin ${name}: ${loadFailure(error)}`);
  }
  const { name: ownName, apiVersion, requires = [], meetsHelpers = false } = made;
  let current = place;
  if (ownName !== factory.definition.name || typeof made.apply !== 'function') {
    throw fail(`unable to make plugin ${name}: its factory returns no plugin called ${factory.definition.name}`);
  }
  // One by one: it may be of a class, whose members a spread would lose.
  const plugin: Plugin = Object.freeze({
    name: ownName,
    apiVersion,
    requires,
    meetsHelpers,
    get origin() {
      return current;
    },
    get source() {
      return { place: current, module, version, options };
    },
    apply: (kernel: PluginKernel) => made.apply(kernel),
  } satisfies Required<Plugin>);
  moves.set(plugin, (to) => (current = to));
  return plugin;
}

/** How the place changes that a plugin is known by. */
const moves = new WeakMap<Plugin, (place: string) => void>();

/** Lets plugins that were taken over be known by their places in the configuration that is now in force. */
export function moveToPlaces(plugins: readonly LoadedPlugin[]): void {
  for (const { plugin, place } of plugins) moves.get(plugin)?.(place);
}

interface LoadedFactory extends Pick<LoadedPlugin, 'module' | 'version' | 'isStale'> {
  readonly factory: AnyFactory;
  readonly exportName: string;
}

async function loadFactory(
  { name, fromDir, uid }: EntryRequest,
  fail: (message: string) => ConfigurationError,
): Promise<LoadedFactory> {
  const { base, exportName } = splitName(name);
  const bundled = bundledPlugin(base);
  const source =
    bundled === undefined
      ? await loadForeign({ kind: 'plugin', name: base, fromDir, uid }, fail)
      : { exports: await bundled(), file: BUILT_IN, version: ownVersion(), isStale: false };
  const picked = pickFactory(source.exports, exportName);
  if ('problem' in picked) throw fail(`unable to use plugin ${base} from ${source.file}: ${picked.problem}`);
  const { found: factory, exportName: used } = picked;
  return { factory, exportName: used, module: source.file, version: source.version, isStale: source.isStale };
}

/**
 * Loads a module that is not ours, once it is known that nobody else can write it.
 * @throws ConfigurationError when it cannot be found, is not safe, or fails
 */
export async function loadForeign(
  request: Pick<EntryRequest, 'name' | 'fromDir' | 'uid'> & { readonly kind: 'plugin' | 'preset' },
  fail: (message: string) => ConfigurationError,
): Promise<LoadedModule & { readonly file: string }> {
  const { kind, name, uid } = request;
  const resolved = resolveModule(request);
  if ('problem' in resolved) throw fail(resolved.problem);
  const { file } = resolved;
  const unsafe = ownershipProblem({ path: file, uid });
  if (unsafe !== undefined) throw fail(`unable to load ${kind} ${name} from ${file}: ${unsafe}`);
  try {
    return { ...(await loadModule(file)), file };
  } catch (error) {
    throw fail(`unable to load ${kind} ${name} from ${file}: ${loadFailure(error)}`);
  }
}

/** `package#export`: which of several plugins of a module. */
export function splitName(name: string): { readonly base: string; readonly exportName: string | undefined } {
  const [, base = name, exportName] = /^(.+)#([A-Za-z_$][\w$]*)$/.exec(name) ?? [];
  return { base, exportName };
}

function apiProblems(apiVersion: number, place: string): readonly Problem[] {
  if (apiVersion === API_VERSION) return [];
  return [{ place, message: `it is made for version ${apiVersion} of the plugin API, and this is ${API_VERSION}` }];
}

/** Text that is equal for equal data, in whatever order an object has its keys. */
export function keyOf(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  });
}
