/**
 * The command line that ps and /proc/PID/cmdline show, byte for byte. The kernel reads it from this process's memory,
 * and may be told where: nothing else of what it knows about that memory must change.
 */
import { readFileSync } from 'node:fs';
import { addressOf, declare } from './native.ts';

const cPrctl = declare('int prctl(int option, unsigned long what, void *map, unsigned long size, unsigned long zero)');
const cSbrk = declare('intptr_t sbrk(intptr_t increment)');
const PR_SET_MM = 35;
const PR_SET_MM_MAP = 14;
const NO_FILE = 0xffff_ffff; // -1: the executable stays what it is

/** What is shown. */
export interface CommandLine {
  /** The words, a NUL after each. What is written here is shown. */
  readonly bytes: Buffer;
  /** To be called after writing: a system that must not be told where the bytes are gets a copy of them. */
  update(): void;
}

/** What is shown stays where it is for as long as the process lives. */
const shown: Buffer[] = [];

/** Shows these words in place of those that the process was started with. Read /proc/self/cmdline before this. */
export function openCommandLine(words: readonly Uint8Array[]): CommandLine {
  const text = Buffer.concat(words.flatMap((word) => [word, Uint8Array.of(0)]));
  // Not on the heap of V8, which moves what is there.
  const bytes = Buffer.from(new ArrayBuffer(text.length));
  bytes.set(text);
  const isShown = pointTo(bytes);
  if (isShown) shown.push(bytes);
  const update = (): void => {
    if (!isShown) process.title = bytes.toString('latin1', 0, bytes.length - 1).replaceAll('\0', ' ');
  };
  update();
  return { bytes, update };
}

/** False where the kernel has no such call, or keeps it for root. */
function pointTo(bytes: Buffer): boolean {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // from the third on
  const field = (number: number): bigint => BigInt(fields[number - 3] ?? 0);
  const [startCode, endCode, startStack] = [field(26), field(27), field(28)];
  const [startData, endData, startBreak] = [field(45), field(46), field(47)];
  const [startEnvironment, endEnvironment] = [field(50), field(51)];
  const start = addressOf(bytes);
  const map = new BigUint64Array([
    ...[startCode, endCode, startData, endData, startBreak, BigInt(cSbrk(0)), startStack],
    ...[start, start + BigInt(bytes.length), startEnvironment, endEnvironment],
    ...[0n, BigInt(NO_FILE) << 32n], // no auxiliary vector, of size 0
  ]);
  return cPrctl(PR_SET_MM, PR_SET_MM_MAP, map, map.byteLength, 0) === 0;
}
