/** A directory that is held by a descriptor, so that it may be renamed, and the calls on what is in it. */
import { constants } from 'node:fs';
import { hasCode } from '@daemontap/posix';
import { fileCall, Place } from './calls.ts';
import type { FileCall, FileCalls, FileStats, Ground } from './calls.ts';
import { close, done, required, untilDone } from './need.ts';
import type { Steps, Text } from './need.ts';

const { O_APPEND, O_CREAT, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/** An open directory. Names in it are of ASCII. */
export class HeldDirectory {
  /** As the script names it. */
  readonly path: Buffer;
  readonly place: Place;
  readonly fd: number;

  private constructor(path: Buffer, place: Place, fd: number) {
    this.path = path;
    this.place = place;
    this.fd = fd;
  }

  /**
   * Opens a directory, made if it is not there.
   * @throws SetUpError
   */
  static *open(path: Buffer, ground: Ground): Steps<HeldDirectory> {
    const place = new Place(path, ground);
    try {
      yield* done(fileCall(place, 'mkdir', place.path, 0o700));
    } catch {
      // It is there, or opening it will tell.
    }
    const text: Text = ['unable to open directory ', path];
    const flags = O_RDONLY | O_NONBLOCK | O_DIRECTORY;
    const held = new HeldDirectory(
      path,
      place,
      yield* required(text, done(fileCall(place, 'open', place.path, flags))),
    );
    place.opened(held.fd);
    try {
      yield* required(text, done(held.call('stat', held.inside('.'))));
    } catch (error) {
      yield* held.close();
      throw error;
    }
    return held;
  }

  /** The path of what is in it, whatever its own is by then. */
  inside(name: string): string {
    return `/proc/self/fd/${this.fd}/${name}`;
  }

  /** A call on what is in it. */
  call<Name extends keyof FileCalls>(name: Name, ...args: Parameters<FileCalls[Name]>): FileCall<Name> {
    return fileCall(this.place, name, ...args);
  }

  /** Opens a file at its end, made if it is not there. */
  openToAppend(name: string): FileCall<'open'> {
    return this.call('open', this.inside(name), O_WRONLY | O_NONBLOCK | O_APPEND | O_CREAT, 0o600);
  }

  *statIfThere(name: string): Steps<FileStats | undefined> {
    try {
      return yield* done(this.call('stat', this.inside(name)));
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  *unlinkIfThere(name: string): Steps<void> {
    try {
      yield* done(this.call('unlink', this.inside(name)));
    } catch {
      // If it is there all the same, opening what takes its place will tell.
    }
  }

  remove(name: string): Steps<void> {
    return untilDone(['unable to remove ', this.path, `/${name}`], this.call('unlink', this.inside(name)));
  }

  /** Lets go of one of its files. */
  closeFile(fd: number): Steps<void> {
    return close(this.place, fd);
  }

  close(): Steps<void> {
    return close(this.place, this.fd);
  }
}
