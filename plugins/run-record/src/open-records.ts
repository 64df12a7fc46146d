/**
 * Opens files of records. One is locked for as long as its kernel lives; what is not a file that only this user can have
 * written is never believed, and never overwritten either.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { hasCode, tryLock } from '@daemontap/posix';
import { parseHeader, RECORD_SIZE } from './record.ts';

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;
const NAME = 'records';
/** How often, and how long apart, a lock is tried for. */
const ATTEMPTS = 6;
const ATTEMPT_EVERY_MS = 10;

/** A file of records that this process has locked. */
export interface OpenRecords {
  readonly path: string;
  readonly fd: number;
  /** As it was found. */
  readonly content: Buffer;
}

/** How to open one. */
export interface OpenOptions {
  /**
   * Whether to try for a moment to lock it. A kernel that is dying closes one file after the other, and its last child
   * has all of them until it executes something.
   */
  readonly waits: boolean;
  /** Told of a file that cannot be used. */
  warn(message: string): void;
}

/** The file that the new process of a start empties. */
export function markPathOf(path: string): string {
  return `${path}.mark`;
}

/** The files of records in a directory. */
export function recordNames(dir: string): readonly string[] {
  return readdirSync(dir)
    .filter((name) => /^records(-\d+)?$/.test(name))
    .toSorted();
}

/**
 * Opens and locks a file of records; `undefined` when a living kernel has it, or it cannot be used.
 * @throws the system's error, when it may be a good one
 */
export function openRecords(path: string, { waits, warn }: OpenOptions): OpenRecords | undefined {
  let fd: number;
  try {
    fd = openSync(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    // Who is out of descriptors is not to throw away what an earlier kernel knew.
    if (!['ELOOP', 'EISDIR', 'ENXIO', 'EACCES'].some((code) => hasCode(error, code))) throw error;
    return setAside(path, 'it is not a file that only this user can write', warn);
  }
  try {
    const content = readLocked(fd, { path, waits, warn });
    if (content !== undefined) return { path, fd, content };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return undefined;
}

/** Makes a file that begins with this header: there is never one without, and none that its maker has not locked. */
export function createRecords(dir: string, header: Buffer): OpenRecords {
  const freshPath = join(dir, `${NAME}.new-${process.pid}`);
  rmSync(freshPath, { force: true });
  const fd = openSync(freshPath, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    tryLock(fd);
    writeSync(fd, header);
    const names = new Set(readdirSync(dir));
    let name = NAME;
    for (let number = 2; names.has(name); number++) name = `${NAME}-${number}`;
    const path = join(dir, name);
    renameSync(freshPath, path);
    return { path, fd, content: Buffer.alloc(0) };
  } catch (error) {
    closeSync(fd);
    rmSync(freshPath, { force: true });
    throw error;
  }
}

function readLocked(fd: number, { path, waits, warn }: OpenOptions & { readonly path: string }): Buffer | undefined {
  const stats = fstatSync(fd);
  if (!stats.isFile() || stats.uid !== process.geteuid?.() || stats.nlink > 1 || (stats.mode & 0o077) !== 0) {
    return setAside(path, 'it is not a file that only this user can write', warn);
  }
  if (!lock(fd, waits ? ATTEMPTS : 1)) return undefined;
  if (fstatSync(fd).nlink === 0) return undefined; // its kernel has removed it since
  const content = readFileSync(fd);
  const header = parseHeader(content.subarray(0, RECORD_SIZE));
  if (header === undefined) return setAside(path, 'it has no header', warn);
  if (header.version !== 2) return setAside(path, `it is of version ${String(header.version)}`, warn);
  return content;
}

function lock(fd: number, attempts: number): boolean {
  for (let left = attempts; left > 0; left--) {
    try {
      tryLock(fd);
      return true;
    } catch (error) {
      if (!hasCode(error, 'EAGAIN')) throw error;
    }
    if (left > 1) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ATTEMPT_EVERY_MS);
  }
  return false;
}

/** What cannot be used is kept, for who wants to know, and is in nobody's way. */
function setAside(path: string, reason: string, warn: (message: string) => void): undefined {
  renameSync(path, `${path}.unusable`);
  warn(`unable to use ${path}, it is kept as ${path}.unusable: ${reason}`);
}
