/**
 * The file of exits: a line of JSON for each, behind a line that says of which boot they are. A line is added in one
 * write, and one that is torn or none of ours is passed over. Nothing but what a request shows depends on it.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@daemontap/posix';
import type { KnownExit } from './exit-history.ts';

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = constants;
const NAME = 'exits';
const FORMAT = 1;
/** A file that is larger is none of ours. */
const LARGEST = 64 * 1024 * 1024;

/** An exit, and whose it is; `undefined`: what stands before it is of no more interest. */
export type FiledExit = readonly [key: string, exit: KnownExit | undefined];

/** One kernel's hold of the file. Another kernel of the same scan directory may write it, too, each about its services. */
export class ExitFile {
  readonly #path: string;
  #fd: number | undefined;
  #lines = 0;

  constructor(dir: string) {
    this.#path = join(dir, NAME);
  }

  /** How many lines it has, as far as this kernel knows. */
  get lines(): number {
    return this.#lines;
  }

  /** What is in it, the oldest first. @throws the system's error */
  read(): readonly FiledExit[] {
    let fd: number;
    try {
      fd = openSync(this.#path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return [];
      throw error;
    }
    try {
      const stats = fstatSync(fd);
      if (!stats.isFile() || stats.uid !== process.geteuid?.() || stats.size > LARGEST) return this.#discard();
      const [head = '', ...lines] = readFileSync(fd, 'utf8').split('\n');
      if (head !== header()) return this.#discard();
      this.#lines = lines.length;
      return lines.flatMap((line) => parseLine(line) ?? []);
    } finally {
      closeSync(fd);
    }
  }

  /** Adds exits. False where there is no file to add to. @throws the system's error */
  append(exits: readonly FiledExit[]): boolean {
    if (this.#fd !== undefined && fstatSync(this.#fd).nlink === 0) this.#closeDescriptor(); // somebody has tidied up
    try {
      this.#fd ??= openSync(this.#path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return false;
      throw error;
    }
    writeSync(this.#fd, exits.map(lineOf).join(''));
    this.#lines += exits.length;
    return true;
  }

  /** Has these exits and no others. @throws the system's error */
  replace(exits: readonly FiledExit[]): void {
    this.#closeDescriptor();
    const freshPath = `${this.#path}.new-${process.pid}`;
    const fd = openSync(freshPath, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW, 0o600);
    try {
      writeSync(fd, `${header()}\n${exits.map(lineOf).join('')}`);
      renameSync(freshPath, this.#path);
    } catch (error) {
      closeSync(fd);
      rmSync(freshPath, { force: true });
      throw error;
    }
    this.#fd = fd;
    this.#lines = exits.length;
  }

  /** Lets go of the file, and removes it where nobody will want it. @throws the system's error */
  close({ isOver }: { readonly isOver: boolean }): void {
    this.#closeDescriptor();
    if (isOver) rmSync(this.#path, { force: true });
  }

  #closeDescriptor(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #discard(): readonly FiledExit[] {
    rmSync(this.#path, { force: true });
    return [];
  }
}

/** Identities of directories mean something within one boot. */
function header(): string {
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return JSON.stringify({ version: FORMAT, bootId });
}

function lineOf([service, exit]: FiledExit): string {
  return `${JSON.stringify({ service, ...exit, ...(exit && { atNs: String(exit.atNs) }) })}\n`;
}

function parseLine(line: string): readonly [FiledExit] | undefined {
  let given: unknown;
  try {
    given = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof given !== 'object' || given === null) return undefined;
  const { service, pid, atNs, end, ranForMs } = given as Readonly<Record<string, unknown>>; // an object, of whatever
  if (typeof service !== 'string') return undefined;
  if (pid === undefined) return [[service, undefined]];
  const isRight =
    isCount(pid) &&
    typeof atNs === 'string' &&
    /^\d{1,19}$/.test(atNs) &&
    (end === undefined || isEnd(end)) &&
    (ranForMs === undefined || isCount(ranForMs));
  return isRight ? [[service, { pid, atNs: BigInt(atNs), end, ranForMs }]] : undefined;
}

function isEnd(given: unknown): given is NonNullable<KnownExit['end']> {
  if (typeof given !== 'object' || given === null) return false;
  return ('exitCode' in given && isCount(given.exitCode)) || ('signal' in given && isCount(given.signal));
}

function isCount(given: unknown): given is number {
  return Number.isSafeInteger(given) && Number(given) >= 0;
}
