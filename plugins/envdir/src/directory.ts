/**
 * Reads envdir's directories for a kernel that may be root, while their owner may not be. What the owner cannot read
 * must not reach a service: a link counts only to what belongs to the directory's owner, and a directory that others can
 * write to counts as nobody's. And no file or directory may be so large that the kernel is busy with it.
 */
import { closeSync, constants, fstatSync, openSync, opendirSync, readSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { environmentEntry } from '@daemontap/formats';
import { KernelError } from '@daemontap/kernel';
import { hasCode } from '@daemontap/posix';

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
const O_PATH = 0o10000000; // Node has no name for it; the same on x64 and arm64
const DOT = 0x2e;
const NEWLINE = 0x0a;
const OTHERS_WRITE = 0o022;
/** No program can be given a longer variable. */
const MOST_BYTES = 128 * 1024;
const PIECE_BYTES = 4096;
const MOST_FILES = 4096;

/**
 * The entries of a directory within a service directory.
 * @throws `PLUGIN_REFUSED` in daemontools' words
 */
export function readInside({
  servicePath,
  dir,
  optional,
}: {
  readonly servicePath: string;
  readonly dir: string;
  readonly optional: boolean;
}): readonly Buffer[] {
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  let fd: number | undefined;
  try {
    // Part by part, from one held directory to the next: nobody can put a link in between.
    for (const part of dir.split('/')) {
      const next = openSync(`${fd === undefined ? servicePath : heldPath(fd)}/${part}`, flags);
      if (fd !== undefined) closeSync(fd);
      fd = next;
    }
  } catch (cause) {
    if (fd !== undefined) closeSync(fd);
    if (optional && hasCode(cause, 'ENOENT')) return [];
    throw refusal(`switch to directory ${dir}`, cause);
  }
  return fd === undefined ? [] : readHeld(fd, dir);
}

/**
 * The entries of a directory anywhere.
 * @throws `PLUGIN_REFUSED` in daemontools' words
 */
export function readShared(dir: string): readonly Buffer[] {
  const fd = attempt(`switch to directory ${dir}`, () => openSync(dir, O_RDONLY | O_DIRECTORY));
  return readHeld(fd, dir);
}

/** Reads a directory that is held, and closes it. */
function readHeld(fd: number, dir: string): readonly Buffer[] {
  try {
    const names = attempt(`read directory ${dir}`, () => namesIn(heldPath(fd)));
    const directory = fstatSync(fd);
    return names.map((name) =>
      attempt(`read ${dir}/${name.toString()}`, () =>
        environmentEntry({ name, content: readEntry({ fd, name, directory }) }),
      ),
    );
  } finally {
    closeSync(fd);
  }
}

function namesIn(path: string): readonly Buffer[] {
  const names: Buffer[] = [];
  // With this encoding names are bytes, which the types do not say.
  const listing = opendirSync(path, { encoding: 'buffer' as BufferEncoding }) as unknown as Listing;
  try {
    for (let entry = listing.readSync(); entry !== null; entry = listing.readSync()) {
      if (entry.name[0] === DOT) continue;
      if (names.length === MOST_FILES) throw new Error(`it holds more than ${MOST_FILES} files`);
      names.push(entry.name);
    }
  } finally {
    listing.closeSync();
  }
  return names;
}

interface Listing {
  readSync(): { readonly name: Buffer } | null;
  closeSync(): void;
}

interface Entry {
  /** The directory, held. */
  readonly fd: number;
  readonly name: Buffer;
  readonly directory: Stats;
}

/** As far as its first line goes. A file that has just gone, or a link to nothing, is as an empty one. */
function readEntry({ fd, name, directory }: Entry): Buffer {
  const path = Buffer.concat([Buffer.from(`${heldPath(fd)}/`), name]);
  try {
    return whileHeld(path, O_NOFOLLOW, (entry) => {
      if (!fstatSync(entry).isSymbolicLink()) return readFound(entry, { isLink: false, directory });
      return whileHeld(path, 0, (file) => readFound(file, { isLink: true, directory }));
    });
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return Buffer.alloc(0);
    throw error;
  }
}

/** Holds what a path leads to without opening it: to open a device may have consequences. */
function whileHeld<T>(path: Buffer, flags: number, body: (fd: number) => T): T {
  const fd = openSync(path, O_PATH | flags);
  try {
    return body(fd);
  } finally {
    closeSync(fd);
  }
}

function readFound(
  held: number,
  { isLink, directory }: { readonly isLink: boolean; readonly directory: Stats },
): Buffer {
  mayBeRead(fstatSync(held), { isLink, directory });
  const file = openSync(heldPath(held), O_RDONLY | O_NONBLOCK);
  try {
    return firstLine(file);
  } finally {
    closeSync(file);
  }
}

/** @throws Error when whoever can write to the directory might not be able to read the file */
function mayBeRead(file: Stats, { isLink, directory }: { readonly isLink: boolean; readonly directory: Stats }): void {
  if (process.geteuid?.() !== 0 || (!isLink && file.nlink <= 1)) return;
  if ((directory.mode & OTHERS_WRITE) !== 0) throw new Error('it is a link, in a directory that others can write to');
  if (directory.uid === 0 || directory.uid === file.uid) return;
  throw new Error('it is a link to a file of somebody else');
}

function firstLine(file: number): Buffer {
  const pieces: Buffer[] = [];
  for (let length = 0; length < MOST_BYTES;) {
    const piece = Buffer.alloc(PIECE_BYTES);
    const count = readSync(file, piece, 0, PIECE_BYTES, null);
    pieces.push(piece.subarray(0, count));
    length += count;
    if (count === 0 || piece.includes(NEWLINE)) return Buffer.concat(pieces);
  }
  throw new Error(`its first line is longer than ${MOST_BYTES} bytes`);
}

function heldPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

function attempt<T>(what: string, body: () => T): T {
  try {
    return body();
  } catch (cause) {
    throw refusal(what, cause);
  }
}

function refusal(what: string, cause: unknown): KernelError {
  return new KernelError('PLUGIN_REFUSED', `unable to ${what}`, { cause });
}
