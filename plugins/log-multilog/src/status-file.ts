/** A `=file`: the last selected line, in a file of always the same size. Section 8.4 of the behaviour reference. */
import { constants } from 'node:fs';
import { hasCode } from '@daemontap/posix';
import { Place } from './calls.ts';
import { call, close, required } from './need.ts';
import type { Steps } from './need.ts';

const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants;
const SIZE = 1001;
const NEWLINE = 0x0a;

/** One status file. It is never truncated, and untouched until the first line. */
export class StatusFile {
  readonly #path: Buffer;
  readonly #place: Place;
  readonly #fd: number;
  /** The line to be written; it takes memory until it is. */
  #line: Buffer | undefined;
  /** When the line came, among those of all status files: two of them may be the same file. */
  turn = 0;

  private constructor(path: Buffer, place: Place, fd: number) {
    this.#path = path;
    this.#place = place;
    this.#fd = fd;
  }

  /**
   * Opens it, made if it is not there; a relative path leads from an open directory, or from the current one.
   * @throws SetUpError
   */
  static *open(path: Buffer, directoryFd: number | undefined): Steps<StatusFile> {
    const place = new Place(path, directoryFd);
    const flags = O_WRONLY | O_NONBLOCK | O_APPEND | O_CREAT;
    yield* close(place, yield* required(['unable to create ', path], call(place, 'open', place.path, flags, 0o600)));
    const fd = yield* required(['unable to write ', path], call(place, 'open', place.path, O_WRONLY | O_NONBLOCK));
    place.opened(fd);
    return new StatusFile(path, place, fd);
  }

  /** Takes a line, at most 1000 bytes. Of the lines until the next {@link flush} the last one is written. */
  keep(
    bytes: Buffer,
    { start, end, turn }: { readonly start: number; readonly end: number; readonly turn: number },
  ): void {
    this.turn = turn;
    this.#line ??= Buffer.allocUnsafeSlow(SIZE);
    const length = bytes.copy(this.#line, 0, start, end);
    this.#line.fill(NEWLINE, length);
  }

  /** Writes the line, if there is a new one. */
  *flush(): Steps<void> {
    while (this.#line !== undefined) {
      try {
        const written = yield* call(this.#place, 'write', this.#fd, this.#line, 0, SIZE, 0);
        if (written === SIZE) this.#line = undefined;
        else yield { kind: 'pause', text: ['unable to write ', this.#path], cause: undefined };
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
