/**
 * One stream of a log host. A block is looked at, written, and only then taken out of the pipe: a host that is killed
 * in between leaves it there, so a line may be written twice and none is lost. A line that is not finished stays in
 * the pipe, for this host or the next.
 */
import { closeSync } from 'node:fs';
import { hasCode, isHungUp, tryLock } from '@daemontap/posix';
import type { PipeReader } from '@daemontap/posix';
import type { Trouble } from '../protocol.ts';
import type { HostedSink, LogHostProgram } from './hosted-sink.ts';

const NEWLINE = 0x0a;
/** What a sink is given at once, at most, in bytes. */
const PIECE_SIZE = 131_072;
const OPEN_AGAIN_MS = 1000;
/** Each time after twice as long, where nothing has come. */
const LOOK_AGAIN_MS = { first: 1, last: 1000 } as const;

/** What a stream is opened with. */
export interface StreamDefinition {
  readonly id: string;
  readonly label: string;
  readonly options: unknown;
  /** No output will follow what is in the pipe. */
  readonly isEnding: boolean;
  /** The pipe; the stream closes it. */
  readonly pipeFd: number;
  /** The service's directory; the stream closes it. */
  readonly directoryFd: number;
}

/** What a stream has of its host. */
export interface StreamHost {
  readonly program: LogHostProgram;
  readonly reader: PipeReader;
  /** There may be something to read: `step` is called when it is this stream's turn. */
  wantsTurn(stream: HostStream): void;
  watchArrivals(fd: number, callback: () => void): { close(): void };
  onTrouble(stream: HostStream): void;
  /** Everything is written and closed. */
  onEnded(stream: HostStream): void;
}

/** A stream. */
export class HostStream {
  readonly definition: StreamDefinition;
  readonly #host: StreamHost;
  #sink: HostedSink | undefined;
  #watch: { close(): void } | undefined;
  #retry: NodeJS.Timeout | undefined;
  #nextLook: NodeJS.Timeout | undefined;
  #lookAgainMs: number = LOOK_AGAIN_MS.first;
  /** How much of a line was there at the last look. */
  #leftLength = 0;
  #isEnding: boolean;
  #isFinishing = false;
  /** Being opened, or writing. */
  #isBusy = true;
  #rotatesNext = false;
  #isAbandoned = false;
  #hasEnded = false;
  #trouble: Trouble | undefined;
  #hasOpenDirectory = true;

  constructor(definition: StreamDefinition, host: StreamHost) {
    this.definition = definition;
    this.#host = host;
    this.#isEnding = definition.isEnding;
    void this.#open();
  }

  /** What keeps it from going on; `undefined`: nothing. */
  get trouble(): Trouble | undefined {
    return this.#trouble;
  }

  /** Whether no output will follow: then an unfinished line is one. */
  setEnding(isEnding: boolean): void {
    this.#isEnding = isEnding;
    this.#host.wantsTurn(this);
  }

  /** Finishes with the block at hand: what is in the pipe stays there. */
  finish(): void {
    if (this.#isFinishing) return;
    this.#isFinishing = true;
    if (!this.#isBusy) void this.#end();
    else if (this.#trouble !== undefined && this.#sink !== undefined) {
      this.#isAbandoned = true; // it might be in trouble for days: what it has not written stays in the pipe
      void this.#sink.abandon();
    }
  }

  rotate(): void {
    this.#rotatesNext = this.#isBusy;
    if (this.#sink === undefined || this.#isBusy || this.#isFinishing) return;
    void this.#during(this.#sink.rotate());
  }

  /** Takes one block, if there is one. */
  step(buffer: Buffer): Promise<void> | undefined {
    if (this.#sink === undefined || this.#isBusy || this.#isFinishing) return undefined;
    const { reader } = this.#host;
    const { pipeFd } = this.definition;
    const length = reader.peek(pipeFd, buffer);
    if (length === undefined) return undefined;
    if (length === 0) {
      this.#isFinishing = true;
      return this.#end();
    }
    const taken = this.#wholeLines(buffer, length);
    if (taken === 0) {
      this.#lookAgain(length);
      return undefined;
    }
    const written = takeInPieces(this.#sink, buffer.subarray(0, taken));
    if (written === undefined) {
      reader.discard(pipeFd, taken);
      this.#host.wantsTurn(this);
      return undefined;
    }
    return this.#during(written.then(() => void (this.#isAbandoned || reader.discard(pipeFd, taken))));
  }

  /** How much of what is there is to be written now. */
  #wholeLines(buffer: Buffer, length: number): number {
    const lines = linesIn(buffer, length);
    if (lines > 0 || length === buffer.length) return lines || length;
    const { reader } = this.#host;
    const { pipeFd } = this.definition;
    if (!this.#isEnding && !isHungUp(pipeFd) && !reader.isFull(pipeFd)) return 0;
    // No more will come: but it may have come between the two looks.
    const all = reader.peek(pipeFd, buffer) ?? 0;
    return linesIn(buffer, all) || all;
  }

  /**
   * For what is left of a line. The system tells of what comes where a pipe was empty, and at the end of a write: one that
   * waits for room in its middle may fill the pipe again without a word.
   */
  #lookAgain(length: number): void {
    this.#lookAgainMs =
      length === this.#leftLength ? Math.min(this.#lookAgainMs * 2, LOOK_AGAIN_MS.last) : LOOK_AGAIN_MS.first;
    this.#leftLength = length;
    clearTimeout(this.#nextLook);
    this.#nextLook = setTimeout(() => this.#host.wantsTurn(this), this.#lookAgainMs);
  }

  async #during(work: Promise<unknown>): Promise<void> {
    this.#isBusy = true;
    await work;
    this.#isBusy = false;
    if (this.#isFinishing) await this.#end();
    else {
      if (this.#rotatesNext) this.rotate();
      this.#host.wantsTurn(this);
    }
  }

  async #open(): Promise<void> {
    const { label, options, directoryFd, pipeFd } = this.definition;
    try {
      // One that an earlier kernel had somebody else read may be read still, until that one is told.
      if (!isLocked(pipeFd)) throw new Error('its pipe is read by another log host');
      this.#sink = await this.#host.program.open({
        label,
        options,
        directoryFd,
        trouble: (text, cause) => this.#tell(text, cause),
        recovered: () => this.#tell(undefined),
      });
    } catch (error) {
      const { message, cause } = error instanceof Error ? error : { message: String(error), cause: undefined };
      this.#isBusy = false;
      this.#tell(message, cause);
      if (this.#isFinishing) await this.#end();
      else this.#retry = setTimeout(() => void this.#openAgain(), OPEN_AGAIN_MS);
      return;
    }
    this.#isBusy = false;
    this.#tell(undefined);
    this.#closeDirectory();
    if (this.#isFinishing) {
      await this.#end();
      return;
    }
    this.#watch = this.#host.watchArrivals(pipeFd, () => this.#host.wantsTurn(this));
    this.#host.wantsTurn(this);
  }

  #openAgain(): Promise<void> {
    this.#isBusy = true;
    return this.#open();
  }

  async #end(): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#nextLook);
    this.#watch?.close();
    if (!this.#isAbandoned) await this.#sink?.end();
    this.#closeDirectory();
    closeSync(this.definition.pipeFd);
    this.#host.onEnded(this);
  }

  #closeDirectory(): void {
    if (this.#hasOpenDirectory) closeSync(this.definition.directoryFd);
    this.#hasOpenDirectory = false;
  }

  #tell(text: string | undefined, cause?: unknown): void {
    const next = text === undefined ? undefined : { text, ...reasonOf(cause) };
    if (JSON.stringify(next) === JSON.stringify(this.#trouble)) return;
    this.#trouble = next;
    this.#host.onTrouble(this);
  }
}

function reasonOf(cause: unknown): Pick<Trouble, 'reason' | 'code'> {
  if (!(cause instanceof Error)) return {};
  const { message: reason } = cause;
  return 'code' in cause && typeof cause.code === 'string' ? { reason, code: cause.code } : { reason };
}

/** Gives a sink a block piece by piece: one is written while the next is put together. */
function takeInPieces(sink: HostedSink, block: Buffer): Promise<unknown> | undefined {
  const unwritten: Promise<void>[] = [];
  for (let at = 0; at < block.length;) {
    const most = at + PIECE_SIZE;
    const lines = most >= block.length ? block.length : block.lastIndexOf(NEWLINE, most - 1) + 1;
    const end = lines > at ? lines : most;
    const written = sink.take(block.subarray(at, end));
    if (written !== undefined) unwritten.push(written);
    at = end;
  }
  return unwritten.length === 0 ? undefined : Promise.all(unwritten);
}

/** Where the last line that is finished ends. */
function linesIn(buffer: Buffer, length: number): number {
  return length === 0 ? 0 : buffer.lastIndexOf(NEWLINE, length - 1) + 1;
}

function isLocked(fd: number): boolean {
  try {
    tryLock(fd);
    return true;
  } catch (error) {
    if (hasCode(error, 'EAGAIN')) return false;
    throw error;
  }
}
