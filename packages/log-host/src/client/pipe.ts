/**
 * The pipe of one service to its log host: a named FIFO in the runtime directory. The kernel holds it for as long as
 * output may come, so that neither the service's restart nor the host's loses a byte.
 */
import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { growPipe, takeFifo } from '@daemontap/posix';

const { O_RDONLY, O_RDWR, O_NONBLOCK, O_NOFOLLOW } = constants;

/** What a pipe holds where the system allows it, in bytes: a service writes on while a block of it is being read. */
const SIZE = 524_288;

/** An open pipe. */
export class LogPipe {
  readonly #path: string;
  /** Reads and writes; only reads once no output will follow. */
  #fd: number;
  #isEnding = false;

  /** Makes the FIFO, or takes the one that an earlier kernel has left. @throws the system's error */
  constructor(path: string) {
    this.#path = path;
    takeFifo(path); // an earlier kernel's perhaps, to which a service is writing still
    this.#fd = openSync(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW);
    // Others share what they may have, and a pipe too many would make all later ones small.
    if (process.geteuid?.() === 0) growPipe(this.#fd, SIZE);
  }

  /** Opens it for a service: for reading, too, so that the service can write while nobody else has it. */
  openOutput(): number {
    return openSync(this.#place, O_RDWR);
  }

  /** Opens it for the host. */
  openInput(): number {
    return openSync(this.#place, O_RDONLY | O_NONBLOCK);
  }

  /** Lets the host meet the end once the last writer is gone. What is in it stays there. */
  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const fd = this.openInput();
    closeSync(this.#fd);
    this.#fd = fd;
  }

  /** Output will follow after all. */
  reopen(): void {
    if (!this.#isEnding) return;
    const fd = openSync(this.#place, O_RDWR | O_NONBLOCK);
    closeSync(this.#fd);
    this.#fd = fd;
    this.#isEnding = false;
  }

  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** Removes it and lets go. To be called once. */
  close(): void {
    closeSync(this.#fd);
    rmSync(this.#path, { force: true });
  }

  /** Through the descriptor: whoever tidies up the runtime directory does no harm. */
  get #place(): string {
    return `/proc/self/fd/${this.#fd}`;
  }
}
