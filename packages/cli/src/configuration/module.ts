/**
 * Loads the modules of plugins and presets, and picks what they export. A module is loaded once: changed code is taken
 * up by the next process alone, and what is remembered here tells that it has changed.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { reasonText } from '@daemontap/formats';
import type { Plugin, PluginFactory, Preset, StandardSchema } from '@daemontap/kernel';
import { enumerate, isRecord, suggestion } from './problem.ts';
import { versionOf } from './resolve.ts';
import { prepareTypeScript } from './typescript.ts';

/** A factory of whatever options. */
export type AnyFactory = ((options: object) => Plugin) & {
  readonly definition: PluginFactory<StandardSchema<object, object> | undefined>['definition'];
};

/** What has been loaded from a file. */
export interface LoadedModule {
  readonly exports: object;
  /** Of the package, when it was loaded. */
  readonly version: string | undefined;
  /** True when the file has changed since. */
  readonly isStale: boolean;
}

const LOAD_SECONDS = 10;

const loaded = new Map<string, Omit<LoadedModule, 'isStale'> & { readonly digest: string }>();
const failures = new Map<string, number>();

/**
 * Loads a module by its file.
 * @throws what the module throws, and what Node says of one that it cannot load
 */
export async function loadModule(file: string): Promise<LoadedModule> {
  const digest = createHash('sha256').update(readFileSync(file)).digest('hex');
  const known = loaded.get(file);
  if (known !== undefined) return { exports: known.exports, version: known.version, isStale: known.digest !== digest };
  prepareTypeScript(file);
  const { href } = pathToFileURL(file);
  const failed = failures.get(file) ?? 0;
  try {
    // Node remembers that a module failed; under another name it is looked at again.
    const exports = await inTime(import(failed === 0 ? href : `${href}?retry=${failed}`) as Promise<object>);
    const version = versionOf(file);
    loaded.set(file, { exports, version, digest });
    return { exports, version, isStale: false };
  } catch (error) {
    failures.set(file, failed + 1);
    throw error;
  }
}

/** A module that waits at its top level for what never comes would be waited for as long. */
async function inTime<T>(loading: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`it is still being loaded after ${LOAD_SECONDS} seconds`)),
    LOAD_SECONDS * 1000,
  );
  try {
    return await Promise.race([loading, promise]);
  } finally {
    clearTimeout(timer);
    loading.catch(() => {}); // it has been reported as late
  }
}

/** Why a module could not be loaded, in one line. */
export function loadFailure(error: unknown): string {
  if (!(error instanceof Error)) return `it throws ${String(error)}`;
  const [, place] = /(?:^|[\s(])((?:\/|file:\/\/)\S+?:\d+)(?::\d+)?\)?$/m.exec(error.stack ?? '') ?? [];
  const isSystem = 'code' in error;
  const at = place === undefined || isSystem ? '' : ` (${place.replace('file://', '')})`;
  return `${isSystem ? '' : `${error.name}: `}${reasonText(error)}${at}`;
}

/** What was picked, or why nothing can be. */
export type Picked<T> = { readonly found: T; readonly exportName: string } | { readonly problem: string };

/** The plugin factory that a module exports, the one called `exportName` where there are several. */
export function pickFactory(exports: object, exportName: string | undefined): Picked<AnyFactory> {
  return pick(exports, {
    exportName,
    is: isFactory,
    nothing: 'it exports no plugin: its module must export what definePlugin returns',
    several: 'it exports several plugins',
  });
}

/** The preset that a module exports. */
export function pickPreset(exports: object, exportName: string | undefined): Picked<Preset> {
  return pick(exports, {
    exportName,
    is: isPreset,
    nothing: 'it exports no preset: its module must export what definePreset returns',
    several: 'it exports several presets',
  });
}

function isFactory(value: unknown): value is AnyFactory {
  return typeof value === 'function' && 'definition' in value && typeof Object(value.definition).name === 'string';
}

function isPreset(value: unknown): value is Preset {
  return isRecord(value) && typeof value['name'] === 'string' && Array.isArray(value['plugins']);
}

interface Choice<T> {
  readonly exportName: string | undefined;
  readonly is: (value: unknown) => value is T;
  readonly nothing: string;
  readonly several: string;
}

function pick<T>(exports: object, { exportName, is, nothing, several }: Choice<T>): Picked<T> {
  const fit = Object.entries(exports).flatMap(([name, value]: [string, unknown]) =>
    is(value) ? [{ name, value }] : [],
  );
  const names = fit.map(({ name }) => name);
  if (exportName !== undefined) {
    const named = fit.find(({ name }) => name === exportName);
    if (named !== undefined) return { found: named.value, exportName };
    if (names.length > 0)
      return { problem: `it exports ${enumerate(names)}, and no ${exportName}${suggestion(exportName, names)}` };
    return { problem: nothing };
  }
  const [first, ...others] = fit;
  if (first === undefined) return { problem: nothing };
  // One may be exported under two names.
  if (others.every(({ value }) => value === first.value)) return { found: first.value, exportName: first.name };
  return { problem: `${several}: name one of them, as in NAME#${first.name}: ${enumerate(names, 'or')}` };
}
