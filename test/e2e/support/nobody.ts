/** Running programs as an account without rights. */
import { spawnSync } from 'node:child_process';
import { daemontap } from './implementations.ts';
import type { Argument } from './run.ts';

const words = ['/usr/bin/setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] as const;

/** The command line that runs a program as nobody. */
export function asNobody(argv: readonly Argument[]): readonly Argument[] {
  return [...words, ...argv];
}

/** True when that works: it needs root, and a checkout that others may read. */
export const canBeNobody: boolean = tryNobody();

if (!canBeNobody) console.log('skipped: tests as an ordinary account; they need root, and a checkout it may read');

function tryNobody(): boolean {
  if (process.getuid?.() !== 0) return false;
  const [setpriv, ...rest] = words;
  return spawnSync(setpriv, [...rest, daemontap.path('svok'), '/']).status === 100;
}
