/**
 * multilog's engine: lines come in as blocks of bytes, are stamped, selected and written to log directories, each block
 * before the next one. It holds at most one unfinished line of 1000 bytes; of a longer one, the rest passes through.
 */
import { writeSync } from 'node:fs';
import { wallClockNs } from '@daemontap/posix';
import { AT_REST, BLOCK_MAX, giveAreaBack, lendArea, LINE_MAX } from './areas.ts';
import type { Area } from './areas.ts';
import { LogDirectory } from './directory.ts';
import type { Steps } from './need.ts';
import type { Script } from './script.ts';
import { compileScript } from './selector.ts';
import type { Decide } from './selector.ts';
import { Stamps } from './stamps.ts';
import { StatusFile } from './status-file.ts';

const NEWLINE = 0x0a;
/** So much of a line is shown on standard error. */
const SHOWN_MAX = 200;
const DOTS = Buffer.from('...\n');
const STDERR = 2;

/** A log directory with what is on its way to it. */
interface Output {
  readonly directory: LogDirectory | undefined;
  /** Where the bytes are: lent while a block is taken. */
  area: Area;
  /** How many of the bytes are finished lines, or pieces of a long one. */
  length: number;
  /** Whether the line at hand goes there. */
  isSelected: boolean;
}

/** How a multilog is opened. */
export interface MultilogOptions {
  /** Where relative paths begin: an open directory, needed until it is opened. The current one if not given. */
  readonly directoryFd?: number | undefined;
  /** Shows a line for the action `e`, its newline included. It must not wait. Standard error if not given. */
  show?(line: Buffer): void;
}

/** A running multilog. */
export class Multilog {
  readonly #script: Script;
  /** Made for the first line that something has to be decided about. */
  #decide: Decide | undefined;
  readonly #statusFiles: readonly StatusFile[];
  readonly #outputs: readonly Output[];
  /** The first output: lines are put together at the end of its bytes, whether they stay there or not. */
  readonly #first: Output;
  readonly #stamps: Stamps | undefined;
  readonly #show: (line: Buffer) => void;
  /** There is nothing to decide: one directory gets every line. */
  readonly #takesAll: boolean;
  /** How many bytes of an unfinished line stand behind the first output's finished ones. */
  #pending = 0;
  /** The unfinished line, at rest. */
  #unfinished: Buffer | undefined;
  /** The line at hand is longer than {@link LINE_MAX}: it was selected, and its rest follows. */
  #isLong = false;
  #isFull = false;
  /** How many lines were kept in status files. */
  #turns = 0;

  private constructor(
    script: Script,
    {
      statusFiles,
      directories,
      show,
    }: Pick<MultilogOptions, 'show'> & {
      readonly statusFiles: readonly StatusFile[];
      readonly directories: readonly LogDirectory[];
    },
  ) {
    this.#script = script;
    this.#statusFiles = statusFiles;
    const output = (directory: LogDirectory | undefined): Output => ({
      directory,
      area: AT_REST,
      length: 0,
      isSelected: false,
    });
    this.#first = output(directories[0]);
    this.#outputs = [this.#first, ...directories.slice(1).map(output)];
    this.#stamps = script.stamps ? new Stamps() : undefined;
    this.#show = show ?? showOnStderr;
    this.#takesAll = script.actions.length === 1 && directories.length === 1;
    this.#first.isSelected = this.#takesAll;
  }

  /**
   * Opens all that a script names, in its order.
   * @throws SetUpError
   */
  static *open(script: Script, { directoryFd, ...options }: MultilogOptions = {}): Steps<Multilog> {
    const statusFiles: StatusFile[] = [];
    const directories: LogDirectory[] = [];
    try {
      for (const path of script.statusFiles) statusFiles.push(yield* StatusFile.open(path, directoryFd));
      for (const plan of script.directories) directories.push(yield* LogDirectory.open(plan, directoryFd));
    } catch (error) {
      for (const each of directories) yield* each.abandon();
      for (const each of statusFiles) yield* each.close();
      throw error;
    }
    return new Multilog(script, { statusFiles, directories, ...options });
  }

  /** True when the last line that was given is not finished. */
  get isWithinLine(): boolean {
    return this.#pending > 0 || this.#isLong;
  }

  /**
   * Takes at most {@link BLOCK_MAX} bytes, and has written all finished lines when it is done. Until then the block must
   * stay as it is.
   * @throws RangeError when it is larger
   */
  *take(block: Buffer): Steps<void> {
    if (block.length > BLOCK_MAX) throw new RangeError(`unable to take ${block.length} bytes at once`);
    this.#stamps?.setClock(wallClockNs());
    this.#borrow(block.length);
    try {
      for (let at = 0; at < block.length;) {
        at = this.#takeLines(block, at);
        if (this.#isFull) yield* this.#flush();
      }
      yield* this.#flush();
    } finally {
      this.#giveBack();
    }
  }

  /** Begins a new file in every directory where something was written to the one at hand. */
  *rotate(): Steps<void> {
    for (const { directory } of this.#outputs) if (directory?.isEmpty === false) yield* directory.rotate();
  }

  /** Takes what there is of an unfinished line for a whole one, and closes everything. */
  *end(): Steps<void> {
    if (this.isWithinLine) yield* this.take(Buffer.of(NEWLINE));
    for (const { directory } of this.#outputs) if (directory !== undefined) yield* directory.close();
    for (const each of this.#statusFiles) yield* each.close();
  }

  /** Closes everything as it is: what was not written is lost, and the next run finds what a crash would have left. */
  *abandon(): Steps<void> {
    for (const { directory } of this.#outputs) if (directory !== undefined) yield* directory.abandon();
    for (const each of this.#statusFiles) yield* each.close();
  }

  #borrow(blockLength: number): void {
    for (const output of this.#outputs) output.area = lendArea(blockLength);
    this.#unfinished?.copy(this.#first.area.bytes, 0, 0, this.#pending);
  }

  #giveBack(): void {
    if (this.#pending === 0) this.#unfinished = undefined;
    else this.#first.area.bytes.copy((this.#unfinished ??= Buffer.allocUnsafeSlow(LINE_MAX)), 0, 0, this.#pending);
    for (const output of this.#outputs) {
      giveAreaBack(output.area);
      output.area = AT_REST;
      output.length = 0;
    }
  }

  /** Takes lines from `at` on until the block ends or a buffer is full, and returns where it stopped. */
  #takeLines(block: Buffer, from: number): number {
    const [first, stamps] = [this.#first, this.#stamps];
    const { bytes, view, full } = first.area;
    const takesAll = this.#takesAll;
    let at = from;
    let start = first.length;
    let end = start + this.#pending;
    while (at < block.length && !this.#isFull) {
      if (this.#isLong) {
        at = this.#passOn(block, at);
        start = end = first.length;
        continue;
      }
      if (start === end && stamps !== undefined) end = stamps.write(view, end);
      const mostOfBlock = Math.min(block.length, at + LINE_MAX - (end - start));
      let isEnd = false;
      while (at < mostOfBlock) {
        const byte = block[at++] ?? 0;
        bytes[end++] = byte;
        if (byte === NEWLINE) {
          isEnd = true;
          break;
        }
      }
      if (!isEnd && end - start < LINE_MAX) break; // the block ends
      this.#isLong = !isEnd;
      if (takesAll) first.length = end;
      else this.#select(start, isEnd ? end - 1 : end, end);
      start = end = first.length;
      this.#isFull = this.#isFull || end > full;
    }
    this.#pending = end - first.length;
    return at;
  }

  /** Hands the rest of a long line on to where its beginning went, and returns where that ends in the block. */
  #passOn(block: Buffer, at: number): number {
    const newline = block.indexOf(NEWLINE, at);
    const end = newline === -1 ? block.length : newline + 1;
    for (const output of this.#outputs) if (output.isSelected) this.#append(output, block, at, end);
    this.#isLong = newline === -1;
    return end;
  }

  /** Sees to the line between `start` and `textEnd` of the first output's bytes; with its newline it ends at `end`. */
  #select(start: number, textEnd: number, end: number): void {
    const first = this.#first;
    const { bytes } = first.area;
    this.#decide ??= compileScript(this.#script);
    const { shown, kept, logged } = this.#decide(bytes, start, textEnd);
    for (let times = 0; times < shown; times++) this.#show(shownLine(bytes, start, textEnd));
    for (let index = 0; index < this.#statusFiles.length; index++) {
      if (kept[index] === true) this.#statusFiles[index]?.keep(bytes, { start, end: textEnd, turn: ++this.#turns });
    }
    first.isSelected = logged[0] === true;
    for (let index = 1; index < this.#outputs.length; index++) {
      const output = this.#outputs[index];
      if (output === undefined) continue;
      output.isSelected = logged[index] === true;
      if (output.isSelected) this.#append(output, bytes, start, end);
    }
    if (first.isSelected) first.length = end;
  }

  #append(output: Output, bytes: Buffer, start: number, end: number): void {
    output.length += bytes.copy(output.area.bytes, output.length, start, end);
    this.#isFull ||= output.length > output.area.full;
  }

  /** Writes all that is finished. */
  *#flush(): Steps<void> {
    for (const each of this.#statusFiles.toSorted((a, b) => a.turn - b.turn)) yield* each.flush();
    for (const { directory, area, length } of this.#outputs) {
      if (directory !== undefined && length > 0) yield* directory.write(area.bytes, 0, length);
    }
    const { area, length } = this.#first;
    area.bytes.copyWithin(0, length, length + this.#pending);
    for (const output of this.#outputs) output.length = 0;
    this.#isFull = false;
  }
}

/** What is shown of a line, in memory of its own. */
function shownLine(bytes: Buffer, start: number, end: number): Buffer {
  const text = bytes.subarray(start, Math.min(end, start + SHOWN_MAX));
  return Buffer.concat([text, end - start > SHOWN_MAX ? DOTS : DOTS.subarray(-1)]);
}

/** One line, one write, as far as it goes. */
function showOnStderr(line: Buffer): void {
  try {
    writeSync(STDERR, line);
  } catch {
    // Nobody can be told; the log goes on.
  }
}
