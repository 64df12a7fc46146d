/** Puts the plugins of presets and configuration together, and finds what does not fit together. */
import type { Settings } from '../supervisors/settings.ts';
import { keysOf, optionProblems } from './options.ts';
import { DEFAULT_PRESET, daemontoolsPlugins, loadPreset, ownPlugins } from './presets.ts';
import { loadPlugin, splitName } from './plugins.ts';
import type { EntryRequest, LoadedPlugin } from './plugins.ts';
import { keyText, placeOf, problemsOf, suggestion } from './problem.ts';
import type { Problem } from './problem.ts';
import type { ParsedConfig } from './schema.ts';

/** What the stack is made of. */
export interface StackRequest extends Pick<EntryRequest, 'fromDir' | 'uid' | 'previous' | 'file'> {
  readonly parsed: ParsedConfig;
  readonly settings: Settings;
}

/** The plugins in their order, and all that is wrong with them. */
export interface Stack {
  readonly plugins: readonly LoadedPlugin[];
  readonly problems: readonly Problem[];
  /** What messages call the presets whose files have changed since they were loaded. */
  readonly stalePresets: readonly string[];
}

/** Loads all plugins that a configuration asks for, directly and through presets. */
export async function loadStack(request: StackRequest): Promise<Stack> {
  const { parsed, file } = request;
  const without = parsed.config.without ?? [];
  const fromPresets = await loadPresets(request);
  const { stalePresets } = fromPresets;
  const left = fromPresets.plugins.filter(({ name }) => !without.includes(name));
  const own = await loadAll(parsed.plugins.map((entry) => ({ ...request, ...entry })));
  const named = [...left, ...own.plugins];
  // What the configuration names itself, with options perhaps, is in the place of ours.
  const allOurs = await ownPlugins(request.previous);
  const ours = allOurs.filter(({ name }) => named.every((each) => each.name !== name));
  const plugins = [...left, ...ours.filter(({ name }) => !without.includes(name)), ...own.plugins];
  const loadProblems = [...fromPresets.problems, ...own.problems];
  // With a key that is wrong, nobody knows what was meant to be left out, or allowed.
  if (parsed.problems.length > 0) return { plugins, problems: loadProblems, stalePresets };
  // What could not be loaded would be missed everywhere: that is not said again.
  if (loadProblems.length > 0)
    return { plugins, problems: [...loadProblems, ...duplicates(plugins, left.length)], stalePresets };
  const known = [...[...fromPresets.plugins, ...allOurs].map(({ name }) => name), ...fromPresets.leftOut];
  const unknownWithout = without.flatMap((name, index) =>
    known.includes(name)
      ? []
      : [
          {
            place: placeOf(file, ['without', index]),
            message: `no preset has a plugin ${name}${suggestion(name, known)}`,
          },
        ],
  );
  const problems = [
    ...unknownWithout,
    ...duplicates(plugins, left.length),
    ...missing(plugins),
    ...serviceProblems(parsed.config.services ?? {}, plugins, file),
    ...allowProblems(parsed.config.allow ?? [], plugins, file),
  ];
  return { plugins, problems, stalePresets };
}

async function loadPresets(request: StackRequest): Promise<Stack & { readonly leftOut: readonly string[] }> {
  const { parsed, settings, previous, file } = request;
  const { preset = DEFAULT_PRESET, without = [] } = parsed.config;
  const names = typeof preset === 'string' ? [preset] : preset;
  const plugins: LoadedPlugin[] = [];
  const problems: Problem[] = [];
  const leftOut: string[] = [];
  const stalePresets: string[] = [];
  for (const [index, name] of names.entries()) {
    if (name === DEFAULT_PRESET) {
      plugins.push(...(await daemontoolsPlugins(settings, previous)));
      continue;
    }
    const place = placeOf(file, typeof preset === 'string' ? ['preset'] : ['preset', index]);
    try {
      const loaded = await loadPreset({ ...request, name, place });
      problems.push(...loaded.problems);
      if (loaded.isStale) stalePresets.push(loaded.file);
      // What is left out by the name in the preset is not even loaded.
      const isWanted = (entry: string): boolean => !without.includes(splitName(entry).base);
      leftOut.push(...loaded.plugins.map((entry) => splitName(entry.name).base).filter((each) => !isWanted(each)));
      const wanted = loaded.plugins.filter((entry) => isWanted(entry.name));
      const stack = await loadAll(
        wanted.map((entry) => ({ ...request, ...entry, file: loaded.file, fromDir: loaded.fromDir })),
      );
      plugins.push(...stack.plugins);
      problems.push(...stack.problems);
    } catch (error) {
      problems.push(...problemsOf(error));
    }
  }
  return { plugins, problems, leftOut, stalePresets };
}

async function loadAll(requests: readonly EntryRequest[]): Promise<Omit<Stack, 'stalePresets'>> {
  const plugins: LoadedPlugin[] = [];
  const problems: Problem[] = [];
  // One after the other: whatever modules do when they are loaded, they do it in the same order each time.
  for (const request of requests) {
    try {
      plugins.push(await loadPlugin(request));
    } catch (error) {
      problems.push(...problemsOf(error));
    }
  }
  return { plugins, problems };
}

/** Plugins whose names are taken. Of the last ones, which the configuration itself names, it says what to do. */
function duplicates(plugins: readonly LoadedPlugin[], fromPresets: number): readonly Problem[] {
  return plugins.flatMap(({ name, place }, index) => {
    const first = plugins.findIndex((each) => each.name === name);
    if (first === index) return [];
    const remedy = first < fromPresets && index >= fromPresets ? '; to replace that one, add it to without' : '';
    return [{ place: inFile(place), message: `plugin ${name} is there already: ${plugins[first]?.place}${remedy}` }];
  });
}

function missing(plugins: readonly LoadedPlugin[]): readonly Problem[] {
  const names = plugins.map(({ name }) => name);
  return plugins.flatMap(({ plugin, place }) =>
    (plugin.requires ?? [])
      .filter((name) => !names.includes(name))
      .map((name) => ({
        place: inFile(place),
        message: `plugin ${plugin.name} is of no use without plugin ${name}, which is not there`,
      })),
  );
}

/** `plugins[1] in FILE`, written as the place of a problem. */
function inFile(place: string): string {
  return place.replace(/^(plugins\[\d+\]) in (.*)$/s, '$2: $1');
}

function serviceProblems(
  services: NonNullable<ParsedConfig['config']['services']>,
  plugins: readonly LoadedPlugin[],
  file: string,
): readonly Problem[] {
  return Object.entries(services).flatMap(([service, byPlugin]) =>
    Object.entries(byPlugin).flatMap(([name, options]) => {
      const path = ['services', service, name];
      const found = plugins.find((each) => each.name === name);
      if (found === undefined) return [{ place: placeOf(file, path), message: unknownPlugin(name, plugins) }];
      return optionProblems(found.schema, { value: { ...found.options, ...options }, file, path, noun: 'option' });
    }),
  );
}

function allowProblems(allow: readonly string[], plugins: readonly LoadedPlugin[], file: string): readonly Problem[] {
  return allow.flatMap((text, index) => {
    const [name = '', option = ''] = text.split('.');
    const place = placeOf(file, ['allow', index]);
    const found = plugins.find((each) => each.name === name);
    if (found === undefined) return [{ place, message: unknownPlugin(name, plugins) }];
    const options = found.schema === undefined ? [] : keysOf(found.schema);
    if (options === undefined || options.includes(option)) return [];
    const message = `plugin ${name} has no option ${keyText([option])}${suggestion(option, options)}`;
    return [{ place, message }];
  });
}

function unknownPlugin(name: string, plugins: readonly LoadedPlugin[]): string {
  const names = plugins.map((each) => each.name);
  return `there is no plugin ${name}${suggestion(name, names)}`;
}
