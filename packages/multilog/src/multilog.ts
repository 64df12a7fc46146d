/**
 * multilog's engine: blocks of bytes come in, and their lines are written to log directories and status files, each block
 * before the next one.
 */
import { writeSync } from 'node:fs';
import type { Ground } from './calls.ts';
import { LogDirectory } from './directory.ts';
import { giveBatchBack, Lines } from './lines.ts';
import type { Batch } from './lines.ts';
import type { Steps } from './need.ts';
import type { Script } from './script.ts';
import { StatusFile } from './status-file.ts';

const NEWLINE = 0x0a;
const STDERR = 2;

/** How a multilog is opened. */
export interface MultilogOptions extends Ground {
  /** Shows a line for the action `e`, its newline included. It must not wait. Standard error if not given. */
  show?(line: Buffer): void;
  /**
   * Whether what cannot be opened is tried again and again: directories before it are then left as they were, or each try
   * would leave another file in them, and the oldest would go. By default they are left as multilog leaves them.
   */
  readonly triesAgain?: boolean;
}

/** A running multilog. */
export class Multilog {
  readonly #lines: Lines;
  readonly #statusFiles: readonly StatusFile[];
  readonly #directories: readonly LogDirectory[];

  private constructor(lines: Lines, statusFiles: readonly StatusFile[], directories: readonly LogDirectory[]) {
    this.#lines = lines;
    this.#statusFiles = statusFiles;
    this.#directories = directories;
  }

  /**
   * Opens all that a script names, in its order.
   * @throws SetUpError
   */
  static *open(
    script: Script,
    { show = showOnStderr, triesAgain = false, ...ground }: MultilogOptions = {},
  ): Steps<Multilog> {
    const statusFiles: StatusFile[] = [];
    const directories: LogDirectory[] = [];
    try {
      for (const path of script.statusFiles) statusFiles.push(yield* StatusFile.open(path, ground));
      for (const plan of script.directories) directories.push(yield* LogDirectory.open(plan, ground));
    } catch (error) {
      for (const each of directories) yield* triesAgain ? each.putBack() : each.abandon();
      for (const each of statusFiles) yield* each.close();
      throw error;
    }
    return new Multilog(new Lines(script, show), statusFiles, directories);
  }

  /** True when the last line that was given is not finished. */
  get isWithinLine(): boolean {
    return this.#lines.isWithinLine;
  }

  /**
   * Takes at most {@link BLOCK_MAX} bytes, and has written all finished lines when it is done. Until then the block must
   * stay as it is.
   * @throws RangeError when it is larger
   */
  *take(block: Buffer): Steps<void> {
    for (const batch of this.#lines.take(block)) yield* this.#write(batch);
  }

  /**
   * As {@link take}, but the block is taken at once, and may be another one by the time its lines are written: these steps
   * have to be done before those of the next block.
   * @throws RangeError when it is larger
   */
  takeAtOnce(block: Buffer): Steps<void> {
    return this.#writeAll([...this.#lines.take(block)]);
  }

  /** Begins a new file in every directory where something was written to the one at hand. */
  *rotate(): Steps<void> {
    for (const each of this.#directories) if (!each.isEmpty) yield* each.rotate();
  }

  /** Takes what there is of an unfinished line for a whole one, and closes everything. */
  *end(): Steps<void> {
    if (this.isWithinLine) yield* this.take(Buffer.of(NEWLINE));
    for (const each of this.#directories) yield* each.close();
    for (const each of this.#statusFiles) yield* each.close();
  }

  /** Closes everything as it is: what was not written is lost, and the next run finds what a crash would have left. */
  *abandon(): Steps<void> {
    for (const each of this.#directories) yield* each.abandon();
    for (const each of this.#statusFiles) yield* each.close();
  }

  *#writeAll(batches: readonly Batch[]): Steps<void> {
    for (const each of batches) yield* this.#write(each);
  }

  *#write(batch: Batch): Steps<void> {
    try {
      for (const { index, line } of batch.kept) yield* this.#statusFiles[index]?.write(line) ?? [];
      for (const [index, { area, length }] of batch.outputs.entries()) {
        if (length > 0) yield* this.#directories[index]?.write(area.bytes, 0, length) ?? [];
      }
    } finally {
      giveBatchBack(batch);
    }
  }
}

/** One line, one write, as far as it goes. */
function showOnStderr(line: Buffer): void {
  try {
    writeSync(STDERR, line);
  } catch {
    // Nobody can be told; the log goes on.
  }
}
