/**
 * A log directory: its files with their modes, and their rotation; sections 8.5 to 8.7 of the behaviour reference.
 */
import { constants } from 'node:fs';
import { tryLock } from '@daemontap/posix';
import type { Ground } from './calls.ts';
import { FINISHED_MODE, finishFile } from './finished-files.ts';
import type { FinishCode } from './finished-files.ts';
import { HeldDirectory } from './held-directory.ts';
import { done, required, untilDone } from './need.ts';
import type { Steps, Text } from './need.ts';
import { processPrevious } from './processor.ts';
import type { DirectoryPlan } from './script.ts';

const { O_CREAT, O_NONBLOCK, O_TRUNC, O_WRONLY } = constants;
const NEWLINE = 0x0a;
/** A file is finished at the end of a line when it is within so many bytes of its size. */
const SLACK = 2000;
const PIECE_SIZE = 512;
const UNFINISHED_MODE = 0o644;
/** Set when nothing more will be written: the owner may execute it, which nobody wants to. */
const FINISHED_BIT = 0o100;

/** An open log directory. */
export class LogDirectory {
  readonly #plan: DirectoryPlan;
  readonly #held: HeldDirectory;
  #lockFd = -1;
  #currentFd = -1;
  /** The size of `current`. */
  #size = 0;

  private constructor(plan: DirectoryPlan, held: HeldDirectory) {
    this.#plan = plan;
    this.#held = held;
  }

  /**
   * Opens a directory, made if it is not there, and goes on with what an earlier run has left in it.
   * @throws SetUpError
   */
  static *open(plan: DirectoryPlan, ground: Ground): Steps<LogDirectory> {
    const directory = new LogDirectory(plan, yield* HeldDirectory.open(plan.path, ground));
    try {
      yield* required(['unable to lock directory ', plan.path], directory.#lock());
      yield* directory.#resume();
    } catch (error) {
      yield* directory.abandon();
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
    const text = ['unable to write to ', this.#held.path, '/current'];
    for (let at = start; at < end;) {
      if (this.#size >= size) yield* this.rotate();
      let length = Math.min(end - at, size - this.#size);
      const untilSlack = size - SLACK - this.#size;
      if (length >= untilSlack) length = lastPieceEnd(bytes, { start: at, end: at + length, enough: untilSlack }) - at;
      const written = yield* untilDone(text, this.#held.call('write', this.#currentFd, bytes, at, length, null));
      at += written;
      this.#size += written;
      if (this.#size >= size - SLACK && bytes[at - 1] === NEWLINE) yield* this.rotate();
    }
  }

  /** Finishes `current` and begins a new one. Whatever is finished is on the disk before it has its name. */
  *rotate(): Steps<void> {
    const held = this.#held;
    yield* this.#sync();
    yield* this.#closeCurrent();
    yield* untilDone(
      ['unable to rename current to previous in directory ', held.path],
      held.call('rename', held.inside('current'), held.inside('previous')),
    );
    this.#currentFd = yield* untilDone(['unable to create ', held.path, '/current'], held.openToAppend('current'));
    this.#size = 0;
    yield* this.#setModeOfCurrent(UNFINISHED_MODE);
    yield* untilDone(
      ['unable to set mode of ', held.path, '/previous'],
      held.call('chmod', held.inside('previous'), FINISHED_MODE),
    );
    if (this.#plan.processor === undefined) yield* this.#finish('previous', 's');
    else yield* processPrevious(held, { command: this.#plan.processor, count: this.#plan.count });
  }

  /** Marks `current` as finished, on the disk, for the next run to go on with. */
  *close(): Steps<void> {
    yield* this.#sync();
    yield* this.#setModeOfCurrent(FINISHED_MODE);
    yield* this.abandon();
  }

  /** Lets go of it, with nothing written since it was opened: the next run goes on with the same `current`. */
  *putBack(): Steps<void> {
    try {
      yield* done(this.#held.call('fchmod', this.#currentFd, FINISHED_MODE));
    } catch {
      // The next run will find an unfinished one.
    }
    yield* this.abandon();
  }

  /** Lets go of it as it is: the next run will find an unfinished `current`. */
  *abandon(): Steps<void> {
    yield* this.#closeCurrent();
    if (this.#lockFd !== -1) yield* this.#held.closeFile(this.#lockFd);
    yield* this.#held.close();
  }

  *#lock(): Steps<void> {
    this.#lockFd = yield* done(this.#held.openToAppend('lock'));
    tryLock(this.#lockFd);
  }

  /** @throws SetUpError */
  *#resume(): Steps<void> {
    const held = this.#held;
    const unableTo = (what: string): Text => [`unable to ${what} `, held.path];
    if (yield* this.#isFinished('current')) {
      const text = [...unableTo('append to'), '/current'];
      yield* this.#openCurrent(text);
      this.#size = (yield* required(text, done(held.call('fstat', this.#currentFd)))).size;
      return;
    }
    yield* held.unlinkIfThere('state');
    yield* held.unlinkIfThere('newstate');
    if (yield* this.#isFinished('processed')) {
      yield* held.unlinkIfThere('previous');
      yield* this.#finish('processed', 's');
    } else {
      yield* held.unlinkIfThere('processed');
      yield* this.#finish('previous', 'u');
    }
    yield* this.#finish('current', 'u');
    const openState = done(held.call('open', held.inside('state'), O_WRONLY | O_NONBLOCK | O_TRUNC | O_CREAT, 0o644));
    yield* held.closeFile(yield* required([...unableTo('write to'), '/state'], openState));
    yield* this.#openCurrent([...unableTo('write to'), '/current']);
  }

  *#openCurrent(text: Text): Steps<void> {
    this.#currentFd = yield* required(text, done(this.#held.openToAppend('current')));
    const setMode = done(this.#held.call('fchmod', this.#currentFd, UNFINISHED_MODE));
    yield* required(['unable to set mode of ', this.#held.path, '/current'], setMode);
  }

  *#closeCurrent(): Steps<void> {
    const fd = this.#currentFd;
    this.#currentFd = -1;
    if (fd !== -1) yield* this.#held.closeFile(fd);
  }

  #finish(name: string, code: FinishCode): Steps<void> {
    return finishFile(this.#held, { name, code, count: this.#plan.count });
  }

  #sync(): Steps<void> {
    const text = ['unable to write ', this.#held.path, '/current to disk'];
    return untilDone(text, this.#held.call('fsync', this.#currentFd));
  }

  #setModeOfCurrent(mode: number): Steps<void> {
    const text = ['unable to set mode of ', this.#held.path, '/current'];
    return untilDone(text, this.#held.call('fchmod', this.#currentFd, mode));
  }

  /** @throws SetUpError */
  *#isFinished(name: string): Steps<boolean> {
    const stats = yield* required(['unable to stat ', this.#held.path, `/${name}`], this.#held.statIfThere(name));
    return stats !== undefined && (stats.mode & FINISHED_BIT) !== 0;
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
