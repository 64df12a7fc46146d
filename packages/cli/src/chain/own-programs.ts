/** Which programs are ours: those of this installation, under whatever name or link they are found. */
import { accessSync, constants as fileConstants, statSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { errnoOf } from '@daemontap/posix';
import type { Resource } from '@daemontap/posix';
import { searchAmong } from './search.ts';

const binDir = join(dirname(dirname(import.meta.filename)), 'bin');

/** What Node needs to start, rounded up; launch/limits has the same numbers for limits that others have set. */
const needs: ReadonlyMap<Resource, { readonly least: bigint; readonly noun: string }> = new Map([
  ['as', { least: 1_250_000_000n, noun: 'bytes of address space' }],
  ['data', { least: 600_000_000n, noun: 'bytes of data' }],
  ['stack', { least: 250_000n, noun: 'bytes of stack' }],
  ['nofile', { least: 16n, noun: 'descriptors' }],
]);

/** The name of the program of ours that the search ends at; `undefined` when it ends at another, or nowhere. */
export function ownProgram(candidates: readonly Buffer[]): string | undefined {
  const name = basename(candidates[0]?.toString('latin1') ?? '');
  const own = identity(join(binDir, name));
  if (own === undefined) return undefined;
  const found = whatCanRun(candidates);
  return typeof found !== 'number' && identity(found) === own ? name : undefined;
}

/** The first of the candidates that looks as if it could be run; or the number of the error that there would be. */
export function whatCanRun(candidates: readonly Buffer[]): Buffer | number {
  let found: Buffer | undefined;
  const failure = searchAmong(candidates, (candidate) => {
    try {
      accessSync(candidate, fileConstants.X_OK);
      if (statSync(candidate).isDirectory()) return constants.errno.EACCES;
    } catch (error) {
      return errnoOf(error);
    }
    found = candidate;
    return 0;
  });
  return found ?? failure;
}

/** Where the program of ours of that name is. */
export function ownPath(name: string): Buffer {
  return Buffer.from(join(binDir, name));
}

/**
 * Says why a program of ours cannot run under these limits, if so: rather than a Node that is ended by a signal while
 * it starts.
 */
export function whyItCannotLive(limits: ReadonlyMap<Resource, bigint>): string | undefined {
  for (const [resource, { least, noun }] of needs) {
    const limit = limits.get(resource);
    if (limit !== undefined && limit < least) {
      return `it runs on Node, which needs ${least} ${noun}, and would have ${limit}`;
    }
  }
  return undefined;
}

function identity(path: string | Buffer): string | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined; // not there, or not for this account
  }
}
