/** A `=file`: the last selected line, in a file of always the same size. Section 8.4 of the behaviour reference. */
import { constants } from 'node:fs';
import { hasCode } from '@daemontap/posix';
import { fileCall, Place } from './calls.ts';
import type { Ground } from './calls.ts';
import { close, done, required } from './need.ts';
import type { Steps } from './need.ts';

const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants;
/** What is written: a line of at most 1000 bytes, filled up with newlines. */
export const STATUS_LINE_SIZE = 1001;

/** One status file. It is never truncated, and untouched until the first line. */
export class StatusFile {
  readonly #path: Buffer;
  readonly #place: Place;
  readonly #fd: number;

  private constructor(path: Buffer, place: Place, fd: number) {
    this.#path = path;
    this.#place = place;
    this.#fd = fd;
  }

  /**
   * Opens it, made if it is not there.
   * @throws SetUpError
   */
  static *open(path: Buffer, ground: Ground): Steps<StatusFile> {
    const place = new Place(path, ground);
    const flags = O_WRONLY | O_NONBLOCK | O_APPEND | O_CREAT;
    yield* close(
      place,
      yield* required(['unable to create ', path], done(fileCall(place, 'open', place.path, flags, 0o600))),
    );
    const fd = yield* required(
      ['unable to write ', path],
      done(fileCall(place, 'open', place.path, O_WRONLY | O_NONBLOCK)),
    );
    place.opened(fd);
    return new StatusFile(path, place, fd);
  }

  /** Writes a line of {@link STATUS_LINE_SIZE}. */
  *write(line: Buffer): Steps<void> {
    for (;;) {
      try {
        const written = yield* done(fileCall(this.#place, 'write', this.#fd, line, 0, STATUS_LINE_SIZE, 0));
        if (written === STATUS_LINE_SIZE) return;
        yield { kind: 'pause', text: ['unable to write ', this.#path], cause: undefined };
      } catch (cause) {
        const what = hasCode(cause, 'ESPIPE') ? 'unable to move to beginning of ' : 'unable to write ';
        yield { kind: 'pause', text: [what, this.#path], cause };
      }
    }
  }

  /** Lets go of it. */
  *close(): Steps<void> {
    yield* close(this.#place, this.#fd);
  }
}
