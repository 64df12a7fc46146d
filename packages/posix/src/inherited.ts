/**
 * What the caller of a program handed to it, as it was before Node changed it: the launcher (packages/cli/launch)
 * notes it in variables of its own and this file reads them. Arguments come as bytes from /proc/self/cmdline.
 */
import { readFileSync } from 'node:fs';
import { readLimit } from './limits.ts';
import type { Limit } from './limits.ts';

/** What one variable takes: with its name it must stay below 128 KB. */
const PIECE = 98_304;

/** The caller's side of this process. */
export interface Inherited {
  /** `NAME=value` entries, byte for byte. */
  readonly environment: readonly Buffer[];
  readonly descriptorLimit: Limit;
  /** Bit n-1 for signal n. */
  readonly ignoredSignals: bigint;
  /** Bit n-1 for signal n. */
  readonly blockedSignals: bigint;
  /** The descriptors that were open, ascending. */
  readonly descriptors: readonly number[];
}

/** The arguments behind the script's name, as bytes. */
export function argumentBytes(): readonly Buffer[] {
  const words = splitAt(readFileSync('/proc/self/cmdline'), 0);
  return words.slice(words.length - (process.argv.length - 2));
}

/**
 * What the launcher noted. Started without it (by `node script`), the best that can still be known: Node's own
 * environment and limits, no ignored signals, descriptors 0 to 2.
 */
export function readInherited(): Inherited {
  const note = process.env['DAEMONTAP_INHERITED'];
  if (note === undefined) {
    return {
      environment: splitAt(readFileSync('/proc/self/environ'), 0),
      descriptorLimit: readLimit('nofile'),
      ignoredSignals: 0n,
      blockedSignals: 0n,
      descriptors: [0, 1, 2],
    };
  }
  // soft limit, SigIgn, SigBlk, descriptors: as /proc and ulimit print them.
  const [soft = '', ignored = '0', blocked = '0', ...descriptors] = note.split(' ');
  const own = readLimit('nofile');
  return {
    environment: splitAt(Buffer.from(noted('DAEMONTAP_ENVIRON'), 'base64'), 0),
    descriptorLimit: { soft: soft === 'unlimited' ? 2n ** 64n - 1n : BigInt(soft), hard: own.hard },
    ignoredSignals: BigInt(`0x${ignored}`),
    blockedSignals: BigInt(`0x${blocked}`),
    descriptors: descriptors.map(Number).toSorted((a, b) => a - b),
  };
}

/** A note of any length: one variable holds 128 KB at most, so it goes on in NAME1, NAME2 … */
function noted(name: string): string {
  let text = '';
  for (let index = 0; ; index++) {
    const part = process.env[`${name}${index}`];
    if (part === undefined) return text;
    text += part;
  }
}

/**
 * The variables that the launcher would set: for a process that is to take this for what its caller handed over. What
 * is in that environment has no effect on the process itself.
 */
export function inheritedVariables({
  environment,
  descriptorLimit,
  ignoredSignals,
  blockedSignals,
  descriptors,
}: Inherited): readonly Buffer[] {
  const note = [descriptorLimit.soft, ignoredSignals.toString(16), blockedSignals.toString(16), ...descriptors];
  const text = Buffer.concat(environment.map((entry) => Buffer.concat([entry, Buffer.of(0)]))).toString('base64');
  const variables = [`DAEMONTAP_INHERITED=${note.join(' ')}`];
  for (let index = 0; index * PIECE < text.length; index++) {
    variables.push(`DAEMONTAP_ENVIRON${index}=${text.slice(index * PIECE, (index + 1) * PIECE)}`);
  }
  return variables.map((each) => Buffer.from(each));
}

function splitAt(bytes: Buffer, separator: number): readonly Buffer[] {
  const parts: Buffer[] = [];
  let start = 0;
  for (let end = bytes.indexOf(separator); end !== -1; end = bytes.indexOf(separator, start)) {
    parts.push(bytes.subarray(start, end));
    start = end + 1;
  }
  if (start < bytes.length) parts.push(bytes.subarray(start));
  return parts;
}
