/** What a new configuration changes, in words. */
import type { Configuration } from './load.ts';
import { keyOf } from './plugins.ts';
import type { LoadedPlugin } from './plugins.ts';
import { isRecord, keyText } from './problem.ts';

/** What a kernel takes at its start only. */
const AT_START: ReadonlySet<string> = new Set(['onTerm', 'stopTimeout', 'runtimeDir']);
const NEXT_START = 'takes effect at the next start';
const STALE = `its code has changed: ${NEXT_START}`;
const SECRET = /pass|secret|token|credential|key$/i;

/** The differences between two configurations, one a line; none when they are the same. */
export function compareConfigurations({
  before,
  after,
}: {
  readonly before: Configuration;
  readonly after: Configuration;
}): readonly string[] {
  const values = after.values.flatMap(({ key, value }) => {
    const old = before.values.find((each) => each.key === key)?.value;
    return changes({ old, new: value, path: [key] }).map(
      ({ place, what }) => `${place}: ${what}${AT_START.has(key) ? `: ${NEXT_START}` : ''}`,
    );
  });
  const presets = after.stalePresets.filter((name) => !before.stalePresets.includes(name));
  return [...values, ...presets.map((name) => `${name}: ${STALE}`), ...pluginChanges(before.plugins, after.plugins)];
}

function pluginChanges(before: readonly LoadedPlugin[], after: readonly LoadedPlugin[]): readonly string[] {
  const removed = before.filter(({ name }) => after.every((each) => each.name !== name));
  const kept = before.filter((each) => !removed.includes(each)).map(({ name }) => name);
  const order = after.map(({ name }) => name).filter((name) => kept.includes(name));
  return [
    ...removed.map(({ name }) => `plugin ${name}: removed`),
    ...after.flatMap((plugin) => {
      const old = before.find(({ name }) => name === plugin.name);
      if (old !== undefined) return pluginChange(old, plugin);
      return [`plugin ${plugin.name}: added`, ...(plugin.isStale ? [`plugin ${plugin.name}: ${STALE}`] : [])];
    }),
    ...(keyOf(order) === keyOf(kept)
      ? []
      : [`plugins: their order is now ${after.map(({ name }) => name).join(', ')}`]),
  ];
}

function pluginChange(old: LoadedPlugin, plugin: LoadedPlugin): readonly string[] {
  const { name } = plugin;
  const options = changes({ old: old.options, new: plugin.options, path: [] }).map(
    ({ place, what }) => `${place} ${what}`,
  );
  return [
    ...(old.module === plugin.module ? [] : [`plugin ${name}: now from ${plugin.module}, was ${old.module}`]),
    ...(options.length === 0 ? [] : [`plugin ${name}: options changed: ${options.join(', ')}`]),
    ...(plugin.isStale && !old.isStale ? [`plugin ${name}: ${STALE}`] : []),
    // The same module and options, and another key: another plugin of the module.
    ...(old.key !== plugin.key && old.module === plugin.module && options.length === 0
      ? [`plugin ${name}: replaced`]
      : []),
  ];
}

interface Compared {
  readonly old: unknown;
  readonly new: unknown;
  readonly path: readonly string[];
}

interface Change {
  readonly place: string;
  readonly what: string;
}

function changes({ old, new: value, path }: Compared): readonly Change[] {
  if (keyOf(old) === keyOf(value)) return [];
  if (isRecord(old) && isRecord(value)) {
    return [...new Set([...Object.keys(old), ...Object.keys(value)])].flatMap((key) =>
      changes({ old: old[key], new: value[key], path: [...path, key] }),
    );
  }
  // Lines are logged, and logs are read by others than configurations are.
  const isSecret = path.some((key) => SECRET.test(key));
  return [{ place: keyText(path), what: isSecret ? 'another one' : `${shown(old)} → ${shown(value)}` }];
}

function shown(value: unknown): string {
  if (value === undefined) return 'not given';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}
