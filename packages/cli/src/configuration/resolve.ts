/**
 * From the name of a plugin or a preset to the file that is its module. Packages are looked for as Node does for
 * `import`, but from a directory of our choice, which Node offers for `require` alone.
 */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { isRecord } from './problem.ts';

/** What is looked for, and from where. */
export interface ModuleRequest {
  readonly kind: 'plugin' | 'preset';
  /** A short name, a package's name, or a path that begins with `.` or `/`. */
  readonly name: string;
  /** Where a relative path begins, and the search for packages. */
  readonly fromDir: string;
}

/** The module's file, or why there is none. */
export type ResolvedModule = { readonly file: string } | { readonly problem: string };

const PACKAGE_NAME = /^(@[\w~-][\w~.-]*\/)?[\w~-][\w~.-]*$/;
/** What `import` looks for in a package's `exports`, and what this process was told to (`--conditions`). */
const CONDITIONS: ReadonlySet<string> = new Set(['node', 'module-sync', 'default', 'import', ...givenConditions()]);

/** Where this program is installed: the second place that packages are looked for. */
export function installationDir(): string {
  return dirname(realpathSync(import.meta.filename));
}

/** Finds the module that a name stands for. */
export function resolveModule({ kind, name, fromDir }: ModuleRequest): ResolvedModule {
  if (/^\.{0,2}\//.test(name)) return resolvePath(isAbsolute(name) ? name : resolve(fromDir, name));
  if (!PACKAGE_NAME.test(name)) {
    return { problem: `${JSON.stringify(name)} is no name of a package; that of a file begins with ./ or /` };
  }
  const tried = packageNames(kind, name);
  const dirs = [...new Set([fromDir, installationDir()])];
  for (const packageName of tried) {
    for (const dir of dirs) {
      const packageDir = findPackage(packageName, dir);
      if (packageDir !== undefined) return packageEntry(packageDir);
    }
  }
  return {
    problem: `there is no ${kind} ${name}: tried ${inOrder(tried)}, in node_modules of ${inOrder(dirs)} and the directories above`,
  };
}

function inOrder(words: readonly string[]): string {
  return words.join(', then ');
}

/** The packages that a name may stand for, in the order in which they are looked for. */
export function packageNames(kind: 'plugin' | 'preset', name: string): readonly string[] {
  const prefix = `daemontap-${kind}-`;
  const [scope, rest] = name.startsWith('@') ? (name.split('/') as [string, string]) : [undefined, name];
  if (rest.startsWith(prefix)) return [name];
  if (scope !== undefined) return [`${scope}/${prefix}${rest}`, name];
  return [`${prefix}${rest}`, `@daemontap/${kind === 'plugin' ? rest : `preset-${rest}`}`, rest];
}

function resolvePath(path: string): ResolvedModule {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return { problem: `there is no file ${path}` };
  if (stats.isDirectory()) return packageEntry(path);
  return stats.isFile() ? { file: realpathSync(path) } : { problem: `${path} is no file` };
}

/** The directory of a package, in the nearest `node_modules` at or above `fromDir`. */
function findPackage(name: string, fromDir: string): string | undefined {
  for (let dir = realpathSync(fromDir); ; dir = dirname(dir)) {
    const place = join(dir, 'node_modules', name);
    const isThere = statSync(place, { throwIfNoEntry: false })?.isDirectory() === true;
    if (basename(dir) !== 'node_modules' && isThere) return place;
    if (dir === dirname(dir)) return undefined;
  }
}

/** The file that `import` of a package gives. */
function packageEntry(packageDir: string): ResolvedModule {
  const manifestPath = join(packageDir, 'package.json');
  const unusable = (reason: string): ResolvedModule => ({ problem: `the package in ${packageDir} ${reason}` });
  let manifest: unknown;
  try {
    manifest = statSync(manifestPath, { throwIfNoEntry: false }) ? JSON.parse(readFileSync(manifestPath, 'utf8')) : {};
  } catch (error) {
    return unusable(`has a package.json that cannot be read: ${error instanceof Error ? error.message : ''}`);
  }
  const exported = isRecord(manifest) ? manifest['exports'] : undefined;
  try {
    if (exported === undefined || exported === null) {
      return { file: realpathSync(createRequire(manifestPath).resolve(packageDir)) };
    }
    const target = targetOf(isRecord(exported) && '.' in exported ? exported['.'] : exported);
    if (typeof target !== 'string') return unusable('exports nothing that can be imported');
    return { file: realpathSync(join(packageDir, target)) };
  } catch {
    return unusable('lacks the file that its package.json names; was it built?');
  }
}

/** The first target that holds for `import`; `null` refuses, `undefined` has nothing to say. */
function targetOf(given: unknown): string | null | undefined {
  if (given === null) return null;
  if (typeof given === 'string') return isInside(given) ? given : undefined;
  if (Array.isArray(given)) return given.map(targetOf).find((target) => typeof target === 'string');
  if (!isRecord(given)) return undefined;
  for (const [condition, value] of Object.entries(given)) {
    const target = CONDITIONS.has(condition) ? targetOf(value) : undefined;
    if (target !== undefined) return target;
  }
  return undefined;
}

function isInside(target: string): boolean {
  return target.startsWith('./') && !target.split('/').slice(1).includes('..');
}

function givenConditions(): readonly string[] {
  return process.execArgv.flatMap((word, index, words) => {
    if (word === '--conditions' || word === '-C') return words[index + 1] ?? [];
    return word.startsWith('--conditions=') ? word.slice('--conditions='.length) : [];
  });
}

/** What the nearest `package.json` at or above a file that has this key says; `undefined` without one. */
export function nearestManifest(file: string, key: 'version' | 'type'): string | undefined {
  for (let dir = dirname(file); ; dir = dirname(dir)) {
    try {
      const manifest: unknown = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
      const value = isRecord(manifest) ? manifest[key] : undefined;
      if (typeof value === 'string') return value;
    } catch {} // it is looked for above
    if (dir === dirname(dir)) return undefined;
  }
}

/** The version of the package that a file belongs to. */
export function versionOf(file: string): string | undefined {
  return nearestManifest(file, 'version');
}
