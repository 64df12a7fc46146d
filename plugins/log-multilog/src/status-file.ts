/** A `=file`: the last selected line, in a file of always the same size. Section 8.4 of the behaviour reference. */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { hasCode } from '@daemontap/posix';
import { required } from './need.ts';
import type { Steps } from './need.ts';

const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants;
const SIZE = 1001;
const NEWLINE = 0x0a;

/** One status file. It is never truncated, and untouched until the first line. */
export class StatusFile {
  readonly #path: Buffer;
  readonly #fd: number;
  readonly #line = Buffer.alloc(SIZE);
  #isNew = false;
  /** When the line came, among those of all status files: two of them may be the same file. */
  turn = 0;

  /** @throws SetUpError */
  constructor(path: Buffer) {
    this.#path = path;
    closeSync(
      required(['unable to create ', path], () => openSync(path, O_WRONLY | O_NONBLOCK | O_APPEND | O_CREAT, 0o600)),
    );
    this.#fd = required(['unable to write ', path], () => openSync(path, O_WRONLY | O_NONBLOCK));
  }

  /** Takes a line, at most 1000 bytes. Of the lines until the next {@link flush} the last one is written. */
  keep(
    bytes: Buffer,
    { start, end, turn }: { readonly start: number; readonly end: number; readonly turn: number },
  ): void {
    this.turn = turn;
    const length = bytes.copy(this.#line, 0, start, end);
    this.#line.fill(NEWLINE, length);
    this.#isNew = true;
  }

  *flush(): Steps<void> {
    while (this.#isNew) {
      try {
        if (writeSync(this.#fd, this.#line, 0, SIZE, 0) === SIZE) this.#isNew = false;
        else yield { kind: 'pause', text: ['unable to write ', this.#path], cause: undefined };
      } catch (cause) {
        const what = hasCode(cause, 'ESPIPE') ? 'unable to move to beginning of ' : 'unable to write ';
        yield { kind: 'pause', text: [what, this.#path], cause };
      }
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
