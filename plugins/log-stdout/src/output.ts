/** A descriptor that many streams write to: one piece after the other, on a thread of the pool, as it may take no more. */
import { write } from 'node:fs';
import { hasCode } from '@daemontap/posix';

/** After a write that failed. */
const TRY_AGAIN_MS = 5000;
/** While a descriptor that somebody else has made non-blocking takes no more. */
const FULL_MS = 10;

/** Who is told how it goes. */
export interface OutputReport {
  trouble(text: string, cause: unknown): void;
  recovered(): void;
}

/** Where lines are shown. */
export class Output {
  readonly #fd: number;
  #last: Promise<void> = Promise.resolve();

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Writes pieces, after all that were given before, and resolves when they are written. */
  write(pieces: readonly Buffer[], report: OutputReport): Promise<void> {
    this.#last = this.#last.then(() => this.#writeAll(pieces, report));
    return this.#last;
  }

  async #writeAll(pieces: readonly Buffer[], report: OutputReport): Promise<void> {
    for (const piece of pieces) {
      for (let at = 0; at < piece.length;) {
        try {
          at += await this.#writeSome(piece, at);
          report.recovered();
        } catch (cause) {
          if (hasCode(cause, 'EAGAIN')) await sleep(FULL_MS);
          else {
            report.trouble('unable to write to standard output', cause);
            await sleep(TRY_AGAIN_MS);
          }
        }
      }
    }
  }

  #writeSome(piece: Buffer, at: number): Promise<number> {
    return new Promise((resolve, reject) => {
      write(this.#fd, piece, at, piece.length - at, null, (error, written) =>
        error ? reject(error) : resolve(written),
      );
    });
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
