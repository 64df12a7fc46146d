/** Writes a plugin's package from the templates. It overwrites nothing. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CreateError } from './create-error.ts';
import type { PluginNames } from './plugin-name.ts';

/** The kinds of plugins that there is a template for, and what each one does. */
export const KINDS = {
  'control-transport': 'takes commands for a service: over a socket, to begin with',
  'log-sink': "takes a service's output: into a file, to begin with",
  spawn: 'changes how a service is started: its environment, to begin with',
  other: 'anything else: to begin with, it warns of services that restart too often',
} as const;

/** One of {@link KINDS}. */
export type PluginKind = keyof typeof KINDS;

/** A plugin that is to be made. */
export interface CreatePluginOptions {
  readonly names: PluginNames;
  readonly kind: PluginKind;
  /** The directory that it is written into: one that is empty, or none. */
  readonly target: string;
  /** The version of daemontap that it is made for. */
  readonly version: string;
}

/** What npm would rename or leave out of the package of the templates. */
const REAL_NAMES: Readonly<Record<string, string>> = { gitignore: '.gitignore' };

/** Files that are a part of another one: the text that they become. */
const ABOUT = 'about.md';

const templatesDir = fileURLToPath(new URL('../templates/', import.meta.url));

/** @throws CreateError that lists the kinds */
export function kindCalled(kind: string): PluginKind {
  // Only the list's own keys: an object has others.
  if (Object.hasOwn(KINDS, kind)) return kind as PluginKind;
  const kinds = Object.keys(KINDS).join(', ');
  throw new CreateError(`unable to make a plugin of kind ${JSON.stringify(kind)}: the kinds are ${kinds}`);
}

/**
 * Writes the package and returns the paths in it.
 * @throws CreateError when something is there already, or the system refuses
 */
export function createPlugin({ names, kind, target, version }: CreatePluginOptions): readonly string[] {
  const files = new Map([...templateFiles('common'), ...templateFiles(kind)]);
  const about = files.get(ABOUT) ?? '';
  files.delete(ABOUT);
  const words: Readonly<Record<string, string>> = {
    PACKAGE_NAME: names.packageName,
    SHORT_NAME: names.shortName,
    PLUGIN_NAME: names.pluginName,
    factoryName: freeName(names.factoryName, [...files.values()]),
    DAEMONTAP_VERSION: version,
    CURRENT_YEAR: String(new Date().getFullYear()),
  };
  const pattern = new RegExp(`\\b(${Object.keys(words).join('|')})\\b`, 'g');
  const fillIn = (text: string): string =>
    text.replace('ABOUT_THE_KIND\n', () => about).replace(pattern, (word) => words[word] ?? word);
  makeEmptyDirectory(target);
  for (const [path, text] of files) write(join(target, path), fillIn(text));
  return [...files.keys()].toSorted();
}

/** The files of a template: their paths in the package, and their texts. */
function templateFiles(template: string): readonly (readonly [path: string, text: string])[] {
  const dir = join(templatesDir, template);
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const file = join(entry.parentPath, entry.name);
      const path = relative(dir, file);
      return [REAL_NAMES[path] ?? path, readFileSync(file, 'utf8')];
    });
}

/** A name that no template uses for something else. */
function freeName(wanted: string, texts: readonly string[]): string {
  const isTaken = texts.some((text) => new RegExp(`\\b${wanted}\\b`).test(text));
  return isTaken ? `${wanted}Plugin` : wanted;
}

/** @throws CreateError */
function makeEmptyDirectory(path: string): void {
  let names: readonly string[];
  try {
    mkdirSync(path, { recursive: true });
    names = readdirSync(path);
  } catch (error) {
    throw new CreateError(`unable to create ${path}: ${systemReason(error)}`, 111);
  }
  if (names.length > 0) throw new CreateError(`unable to create a plugin in ${path}: the directory is not empty`);
}

/** @throws CreateError, also where somebody has just made the file */
function write(path: string, text: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { flag: 'wx' });
  } catch (error) {
    throw new CreateError(`unable to write ${path}: ${systemReason(error)}`, 111);
  }
}

/** `file exists`: the words of the system's error, without code, call and path. */
function systemReason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /^[A-Z]+: ([^,]+)/.exec(message)?.[1] ?? message;
}
