/**
 * The calls of the file system that the engine makes. Each may take as long as its device pleases, for ever on a dead
 * one, so the engine only says which; how they are done is up to whoever drives it.
 */
import {
  chmodSync,
  closeSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import type { Stats } from 'node:fs';

const SLASH = 0x2f;

/** A path as `node:fs` takes it. */
export type FilePath = string | Buffer;

/** What is asked about a file. */
export type FileStats = Pick<Stats, 'mode' | 'nlink' | 'size'>;

/** The calls by their names in `node:fs`, which all throw or answer with the system's error. */
export interface FileCalls {
  /** Sets the mode of a file. */
  chmod(path: FilePath, mode: number): void;
  /** Closes a file. */
  close(fd: number): void;
  /** Sets the mode of an open file. */
  fchmod(fd: number, mode: number): void;
  /** Tells about an open file. */
  fstat(fd: number): FileStats;
  /** Brings a file to the disk. */
  fsync(fd: number): void;
  /** Gives a file one more name. */
  link(path: FilePath, newPath: FilePath): void;
  /** Makes a directory. */
  mkdir(path: FilePath, mode: number): void;
  /** Opens a file; `mode` is that of one that it makes. */
  open(path: FilePath, flags: number, mode?: number): number;
  /** Lists a directory: one character for each byte of a name. */
  readdir(path: FilePath): readonly string[];
  /** Gives a file another name. */
  rename(path: FilePath, newPath: FilePath): void;
  /** Tells about a file. */
  stat(path: FilePath): FileStats;
  /** Removes a name. */
  unlink(path: FilePath): void;
  /** Writes some of a buffer, at a position or, for `null`, where the file is, and tells how much. */
  write(fd: number, bytes: Buffer, at: number, length: number, position: number | null): number;
}

/** Where the places of a script are, and how calls on them are done. */
export interface Ground {
  /** Where relative paths begin: an open directory, needed until all is opened. The current one if not given. */
  readonly directoryFd?: number | undefined;
  /** Does calls at once. If not given, each is a need. */
  readonly calls?: FileCalls | undefined;
}

/** A directory or file that calls are about: who drives the engine may want to know on which device it lies. */
export class Place {
  /** How it is opened: for a path of a script that is relative, with where that begins. */
  readonly path: Buffer;
  /** Does calls on it at once. */
  readonly calls: FileCalls | undefined;
  /** Its descriptor, once it is open. */
  fd: number | undefined;
  /** What the driver knows of its device: a guess until it is open. */
  device: string | undefined;

  constructor(path: Buffer, { directoryFd, calls }: Ground) {
    const isAsItIs = directoryFd === undefined || path.length === 0 || path[0] === SLASH;
    this.path = isAsItIs ? path : Buffer.concat([Buffer.from(`/proc/self/fd/${directoryFd}/`), path]);
    this.calls = calls;
  }

  /** Tells that it was opened. */
  opened(fd: number): void {
    this.fd = fd;
    this.device = undefined;
  }
}

/** One call, to be done before the next step: its answer is what the call returns or throws. */
export interface FileCall<Name extends keyof FileCalls = keyof FileCalls> {
  /** Tells it from other needs. */
  readonly kind: 'call';
  /** Which call of {@link FileCalls} it is. */
  readonly name: Name;
  /** What that is called with. */
  readonly args: Readonly<Parameters<FileCalls[Name]>>;
  /** What lies on the same device as all that the call touches. */
  readonly place: Place;
}

/** What a call answers. */
export type Answer<Name extends keyof FileCalls> = ReturnType<FileCalls[Name]>;

/** A call that is to be done. */
export function fileCall<Name extends keyof FileCalls>(
  place: Place,
  name: Name,
  ...args: Parameters<FileCalls[Name]>
): FileCall<Name> {
  return { kind: 'call', name, args, place };
}

/** The calls as they are done with the whole process, which waits as long as they take. */
export const syncCalls: FileCalls = {
  chmod: chmodSync,
  close: closeSync,
  fchmod: fchmodSync,
  fstat: (fd) => fstatSync(fd),
  fsync: fsyncSync,
  link: linkSync,
  mkdir(path, mode) {
    mkdirSync(path, mode);
  },
  open: openSync,
  readdir: (path) => readdirSync(path, 'latin1'),
  rename: renameSync,
  stat: (path) => statSync(path),
  unlink: unlinkSync,
  write: (fd, bytes, at, length, position) => writeSync(fd, bytes, at, length, position),
};
