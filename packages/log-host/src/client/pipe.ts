/**
 * The pipe of one service to its log host: a named FIFO in the runtime directory. The kernel holds it for as long as
 * output may come, so that neither the service's restart nor the host's loses a byte.
 */
import { chmodSync, closeSync, constants, lstatSync, openSync, rmSync } from 'node:fs';
import { growPipe, hasCode, mkfifo } from '@daemontap/posix';

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
    make(path);
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

function make(path: string): void {
  try {
    mkfifo(path, 0o600);
    chmodSync(path, 0o600); // whatever the umask is
  } catch (error) {
    // Left by a kernel that was killed: a service may be writing to it still.
    if (!hasCode(error, 'EEXIST') || !isOwnFifo(path)) throw error;
  }
}

function isOwnFifo(path: string): boolean {
  const stats = lstatSync(path);
  return stats.isFIFO() && stats.uid === process.geteuid?.();
}
