/**
 * A log directory: its files, their names and modes, and their rotation; sections 8.5 to 8.7 of the behaviour reference.
 * It is held by a descriptor, so that it may be renamed.
 */
import {
  chmodSync,
  closeSync,
  constants,
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
import { formatTai64n, toStampNs } from '@daemontap/formats';
import { hasCode, tryLock, wallClockNs } from '@daemontap/posix';
import { required, untilDone } from './need.ts';
import type { Steps, Text } from './need.ts';
import type { DirectoryPlan } from './script.ts';

const { O_APPEND, O_CREAT, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = constants;
const NEWLINE = 0x0a;
/** A file is finished at the end of a line when it is within so many bytes of its size. */
const SLACK = 2000;
const PIECE_SIZE = 512;
const UNFINISHED_MODE = 0o644;
const FINISHED_MODE = 0o744;
/** Set when nothing more will be written: the owner may execute it, which nobody wants to. */
const FINISHED_BIT = 0o100;
/** `@` and 24 digits. */
const STAMP_LENGTH = 25;

/** An open log directory. */
export class LogDirectory {
  readonly #plan: DirectoryPlan;
  readonly #fd: number;
  readonly #lockFd: number;
  #currentFd = -1;
  /** The size of `current`. */
  #size = 0;

  private constructor(plan: DirectoryPlan) {
    const { path } = plan;
    this.#plan = plan;
    try {
      mkdirSync(path, 0o700);
    } catch {
      // It is there, or opening it will tell.
    }
    const unableToOpen: Text = ['unable to open directory ', path];
    this.#fd = required(unableToOpen, () => openSync(path, O_RDONLY | O_NONBLOCK | O_DIRECTORY));
    required(unableToOpen, () => statSync(this.#inside('.')));
    this.#lockFd = required(['unable to lock directory ', path], () => {
      const fd = openSync(this.#inside('lock'), O_WRONLY | O_NONBLOCK | O_APPEND | O_CREAT, 0o600);
      tryLock(fd);
      return fd;
    });
  }

  /**
   * Opens a directory, made if it is not there, and goes on with what an earlier run has left in it.
   * @throws SetUpError
   */
  static *open(plan: DirectoryPlan): Steps<LogDirectory> {
    const directory = new LogDirectory(plan);
    try {
      yield* directory.#resume();
    } catch (error) {
      directory.abandon();
      throw error;
    }
    return directory;
  }

  /** True while nothing has been written to `current`. */
  get isEmpty(): boolean {
    return this.#size === 0;
  }

  /** Writes bytes, rotating as often as that takes: at the end of a line where one is near enough. */
  *write(bytes: Buffer, start: number, end: number): Steps<void> {
    const { size } = this.#plan;
    const text = ['unable to write to ', this.#plan.path, '/current'];
    for (let at = start; at < end;) {
      if (this.#size >= size) yield* this.rotate();
      let length = Math.min(end - at, size - this.#size);
      const untilSlack = size - SLACK - this.#size;
      if (length >= untilSlack) length = lastPieceEnd(bytes, { start: at, end: at + length, enough: untilSlack }) - at;
      const written = yield* untilDone(text, () => writeSync(this.#currentFd, bytes, at, length));
      at += written;
      this.#size += written;
      if (this.#size >= size - SLACK && bytes[at - 1] === NEWLINE) yield* this.rotate();
    }
  }

  /** Finishes `current` and begins a new one. Whatever is finished is on the disk before it has its name. */
  *rotate(): Steps<void> {
    const { path } = this.#plan;
    yield* untilDone(['unable to write ', path, '/current to disk'], () => fsyncSync(this.#currentFd));
    closeSync(this.#currentFd);
    yield* untilDone(['unable to rename current to previous in directory ', path], () =>
      renameSync(this.#inside('current'), this.#inside('previous')),
    );
    this.#currentFd = yield* untilDone(['unable to create ', path, '/current'], () => this.#openToAppend('current'));
    this.#size = 0;
    yield* this.#setModeOfCurrent(UNFINISHED_MODE);
    yield* untilDone(['unable to set mode of ', path, '/previous'], () =>
      chmodSync(this.#inside('previous'), FINISHED_MODE),
    );
    if (this.#plan.processor === undefined) yield* this.#finish('previous', 's');
    else yield* this.#process(this.#plan.processor);
  }

  /** Marks `current` as finished, on the disk, for the next run to go on with. */
  *close(): Steps<void> {
    const { path } = this.#plan;
    yield* untilDone(['unable to write ', path, '/current to disk'], () => fsyncSync(this.#currentFd));
    yield* this.#setModeOfCurrent(FINISHED_MODE);
    this.abandon();
  }

  /** Lets go of it as it is: the next run will find an unfinished `current`. */
  abandon(): void {
    for (const fd of [this.#currentFd, this.#lockFd, this.#fd]) if (fd !== -1) closeSync(fd);
  }

  *#resume(): Steps<void> {
    const unableTo = (what: string): Text => [`unable to ${what} `, this.#plan.path];
    const openCurrent = (text: Text): void => {
      this.#currentFd = required(text, () => this.#openToAppend('current'));
      required([...unableTo('set mode of'), '/current'], () => fchmodSync(this.#currentFd, UNFINISHED_MODE));
    };
    if (this.#isFinished('current')) {
      openCurrent([...unableTo('append to'), '/current']);
      this.#size = fstatSync(this.#currentFd).size;
      return;
    }
    this.#unlinkIfThere('state');
    this.#unlinkIfThere('newstate');
    if (this.#isFinished('processed')) {
      this.#unlinkIfThere('previous');
      yield* this.#finish('processed', 's');
    } else {
      this.#unlinkIfThere('processed');
      yield* this.#finish('previous', 'u');
    }
    yield* this.#finish('current', 'u');
    closeSync(required([...unableTo('write to'), '/state'], () => this.#openTruncated('state')));
    openCurrent([...unableTo('write to'), '/current']);
  }

  *#process(command: Buffer): Steps<void> {
    const { path } = this.#plan;
    for (;;) {
      const end = yield { kind: 'process', plan: { path, command, directoryFd: this.#fd } };
      if (end !== undefined && 'exitCode' in end && end.exitCode === 0) break;
      const how = end !== undefined && 'signal' in end ? 'crashed' : 'failed';
      yield { kind: 'pause', text: [`processor ${how} in `, path], cause: undefined };
    }
    yield* this.#settle('processed', (fd) => fchmodSync(fd, FINISHED_MODE));
    yield* this.#settle('newstate');
    yield* untilDone(['unable to remove ', path, '/previous'], () => unlinkSync(this.#inside('previous')));
    yield* untilDone(['unable to rename newstate to state in directory ', path], () =>
      renameSync(this.#inside('newstate'), this.#inside('state')),
    );
    yield* this.#finish('processed', 's');
  }

  /** Sees to it that what a processor has written is on the disk. */
  *#settle(name: string, setMode?: (fd: number) => void): Steps<void> {
    const file: Text = [this.#plan.path, `/${name}`];
    const fd = yield* untilDone(['unable to create ', ...file], () => this.#openToAppend(name));
    yield* untilDone(['unable to write ', ...file, ' to disk'], () => fsyncSync(fd));
    if (setMode !== undefined) yield* untilDone(['unable to set mode of ', ...file], () => setMode(fd));
    closeSync(fd);
  }

  /** Gives a file its name for good, and removes what is too much. */
  *#finish(name: string, code: 's' | 'u'): Steps<void> {
    const { path } = this.#plan;
    const links = yield* untilDone(
      ['unable to stat ', path, `/${name}`],
      () => statSync(this.#inside(name), { throwIfNoEntry: false })?.nlink,
    );
    if (links === undefined) return;
    if (links === 1) yield* this.#link(name, code); // otherwise it has its name, and there was a crash before the next step
    yield* untilDone(['unable to remove ', path, `/${name}`], () => unlinkSync(this.#inside(name)));
    yield* this.#purge();
  }

  *#link(name: string, code: 's' | 'u'): Steps<void> {
    for (;;) {
      const stamped = `${formatTai64n(toStampNs(wallClockNs()))}.${code}`;
      try {
        linkSync(this.#inside(name), this.#inside(stamped));
        return;
      } catch (cause) {
        if (hasCode(cause, 'EEXIST')) continue; // of this very microsecond
        yield { kind: 'pause', text: ['unable to link to ', this.#plan.path, `/${stamped}`], cause };
      }
    }
  }

  /** Removes the oldest finished files until there is room for `current` among so many. */
  *#purge(): Steps<void> {
    const { path, count } = this.#plan;
    const stampOf = (name: string): string => name.slice(0, STAMP_LENGTH);
    // What cannot be removed is told of in these words, too, as in daemontools.
    yield* untilDone(['unable to read ', path], () => {
      const names = readdirSync(this.#inside('.'), 'latin1').filter(
        (name) => name.startsWith('@') && name.length >= STAMP_LENGTH,
      );
      names.sort((a, b) => (stampOf(a) < stampOf(b) ? -1 : stampOf(a) > stampOf(b) ? 1 : 0));
      for (const name of names.slice(0, Math.max(0, names.length - count + 1))) {
        unlinkSync(Buffer.from(this.#inside(name), 'latin1'));
      }
    });
  }

  *#setModeOfCurrent(mode: number): Steps<void> {
    yield* untilDone(['unable to set mode of ', this.#plan.path, '/current'], () => fchmodSync(this.#currentFd, mode));
  }

  /** @throws SetUpError */
  #isFinished(name: string): boolean {
    const stats = required(['unable to stat ', this.#plan.path, `/${name}`], () =>
      statSync(this.#inside(name), { throwIfNoEntry: false }),
    );
    return stats !== undefined && (stats.mode & FINISHED_BIT) !== 0;
  }

  #unlinkIfThere(name: string): void {
    try {
      unlinkSync(this.#inside(name));
    } catch {
      // If it is there all the same, opening what takes its place will tell.
    }
  }

  #openToAppend(name: string): number {
    return openSync(this.#inside(name), O_WRONLY | O_NONBLOCK | O_APPEND | O_CREAT, 0o600);
  }

  #openTruncated(name: string): number {
    return openSync(this.#inside(name), O_WRONLY | O_NONBLOCK | O_TRUNC | O_CREAT, 0o644);
  }

  #inside(name: string): string {
    return `/proc/self/fd/${this.#fd}/${name}`;
  }
}

/**
 * Where the file at hand ends. daemontools writes pieces of whole lines of at most 512 bytes, and finishes a file with
 * the first of them that has `enough` behind it. A line that does not end in time is cut.
 */
function lastPieceEnd(
  bytes: Buffer,
  { start, end, enough }: { readonly start: number; readonly end: number; readonly enough: number },
): number {
  let [pieceStart, pieceEnd] = [start, start];
  for (;;) {
    const newline = bytes.indexOf(NEWLINE, pieceEnd);
    if (newline === -1 || newline >= end) return pieceEnd > start ? pieceEnd : end;
    const lineEnd = newline + 1;
    if (lineEnd - pieceStart > PIECE_SIZE && pieceEnd > pieceStart) {
      if (pieceEnd - start >= enough) return pieceEnd;
      pieceStart = pieceEnd;
    }
    pieceEnd = lineEnd;
  }
}
