/**
 * `--help` and `--version`, where they do not collide with what daemontools' program would do: as the only argument of
 * a program that would show its usage for it, or do nothing.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeAll } from './program.ts';

const packageDir = dirname(dirname(import.meta.filename)); // of the bundle, in dist/

/** Shows what was asked for on standard output. False when nothing was. */
export function isHelped(
  words: readonly Buffer[],
  { usage, text }: { readonly usage: string; readonly text: string },
): boolean {
  const [word, ...more] = words.map(String);
  if (more.length > 0 || (word !== '--help' && word !== '--version')) return false;
  const line = usage.replace(/^\w+: /, '');
  const [, name] = /^usage: (\w+)/.exec(line) ?? [];
  writeAll(1, word === '--help' ? `${line}\n${text}\n` : `${name} (daemontap) ${version()}\n`);
  return true;
}

/** The version of the package. */
export function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(packageDir, 'package.json'), 'utf8'));
  return String((manifest as { readonly version?: unknown }).version); // of our own making
}
