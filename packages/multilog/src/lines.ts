/**
 * Takes blocks of bytes apart into lines, stamps them, decides about each and puts them where they belong, in memory: what
 * comes out is ready to be written. It knows no file, and holds at most one unfinished line of 1000 bytes; of a longer
 * one, the rest passes through.
 */
import { wallClockNs } from '@daemontap/posix';
import { AT_REST, BLOCK_MAX, giveAreaBack, lendArea, LINE_MAX } from './areas.ts';
import type { Area } from './areas.ts';
import type { Script } from './script.ts';
import { compileScript } from './selector.ts';
import type { Decide } from './selector.ts';
import { Stamps } from './stamps.ts';
import { STATUS_LINE_SIZE } from './status-file.ts';

const NEWLINE = 0x0a;
/** Fewer bytes, or room for fewer, are not worth taking whole lines at once. */
const WHOLE_MIN = 1024;
/** So much of a line is shown. */
const SHOWN_MAX = 200;
const DOTS = Buffer.from('...\n');

/** What is ready to be written. Whoever writes it gives the areas back. */
export interface Batch {
  /** The bytes for each log directory, from the beginning of an area. */
  readonly outputs: readonly { readonly area: Area; readonly length: number }[];
  /** The lines for status files, in the order in which they are to be written: two of them may be the same file. */
  readonly kept: readonly { readonly index: number; readonly line: Buffer }[];
}

/** What is on its way to a log directory. */
interface Output {
  /** Where the bytes are: lent while a block is taken. */
  area: Area;
  /** How many of the bytes are finished lines, or pieces of a long one. */
  length: number;
  /** Whether the line at hand goes there. */
  isSelected: boolean;
}

/** The lines of one stream. */
export class Lines {
  readonly #script: Script;
  /** Made for the first line that something has to be decided about. */
  #decide: Decide | undefined;
  readonly #stamps: Stamps | undefined;
  readonly #show: (line: Buffer) => void;
  readonly #outputs: readonly Output[];
  /** The first output: lines are put together at the end of its bytes, whether they stay there or not. */
  readonly #first: Output;
  /** There is nothing to decide: one directory gets every line. */
  readonly #takesAll: boolean;
  /** The last line of late for each status file, the latest one last. */
  readonly #kept = new Map<number, Buffer>();
  /** How many bytes of an unfinished line stand behind the first output's finished ones, or are kept at rest. */
  #pending = 0;
  /** The unfinished line, at rest. */
  #unfinished: Buffer | undefined;
  /** The line at hand is longer than {@link LINE_MAX}: it was selected, and its rest follows. */
  #isLong = false;
  #isFull = false;

  /** `show` is what `e` does with a line. */
  constructor(script: Script, show: (line: Buffer) => void) {
    this.#script = script;
    this.#show = show;
    this.#stamps = script.stamps ? new Stamps() : undefined;
    this.#takesAll = script.actions.length === 1 && script.directories.length === 1;
    const output = (): Output => ({ area: AT_REST, length: 0, isSelected: false });
    this.#first = { ...output(), isSelected: this.#takesAll };
    this.#outputs = [this.#first, ...script.directories.slice(1).map(output)];
  }

  /** True when the last line that was given is not finished. */
  get isWithinLine(): boolean {
    return this.#pending > 0 || this.#isLong;
  }

  /**
   * Takes at most {@link BLOCK_MAX} bytes; the memory of the block is of no interest behind the last batch.
   * @throws RangeError when it is larger
   */
  *take(block: Buffer): Generator<Batch, void, undefined> {
    if (block.length > BLOCK_MAX) throw new RangeError(`unable to take ${block.length} bytes at once`);
    this.#stamps?.setClock(wallClockNs());
    for (let at = 0; at < block.length;) {
      for (const output of this.#outputs) output.area = lendArea(block.length);
      this.#unfinished?.copy(this.#first.area.bytes, 0, 0, this.#pending);
      at = this.#takeLines(block, at);
      const batch = this.#collect();
      if (batch !== undefined) yield batch;
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
      if (start === end && block.length - at >= WHOLE_MIN) {
        const taken = this.#takeWhole(block, at);
        at += taken;
        start = end = first.length;
        if (taken > 0) continue;
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

  /** Takes whole lines, as many as there are and fit, and returns how many bytes they are. */
  #takeWhole(block: Buffer, at: number): number {
    const { area, length } = this.#first;
    const most = area.full - Math.max(...this.#outputs.map((output) => output.length));
    if (most < WHOLE_MIN) return 0;
    let lines: { readonly taken: number; readonly length: number } | undefined;
    if (this.#stamps !== undefined) lines = this.#stamps.writeLines(block, at, area.bytes.subarray(length), most);
    else {
      const end = block.lastIndexOf(NEWLINE, at + most - 1) + 1;
      if (end > at) lines = { taken: end - at, length: block.copy(area.bytes, length, at, end) };
    }
    if (lines === undefined) return 0;
    if (this.#takesAll) this.#first.length += lines.length;
    else this.#selectEach(length, length + lines.length);
    this.#isFull ||= this.#first.length > area.full;
    return lines.taken;
  }

  /** Hands the rest of a long line on to where its beginning went, and returns where that ends in the block. */
  #passOn(block: Buffer, at: number): number {
    const newline = block.indexOf(NEWLINE, at);
    const end = newline === -1 ? block.length : newline + 1;
    for (const output of this.#outputs) if (output.isSelected) this.#append(output, block, at, end);
    this.#isLong = newline === -1;
    return end;
  }

  /** Sees to the whole lines from `start` to `end` of the first output's bytes, and moves those that stay together. */
  #selectEach(start: number, end: number): void {
    const { bytes } = this.#first.area;
    for (let at = start; at < end;) {
      const newline = bytes.indexOf(NEWLINE, at);
      this.#select(at, Math.min(newline, at + LINE_MAX), newline + 1);
      at = newline + 1;
    }
  }

  /** Sees to the line between `start` and `textEnd` of the first output's bytes; with its newline it ends at `end`. */
  #select(start: number, textEnd: number, end: number): void {
    const first = this.#first;
    const { bytes } = first.area;
    this.#decide ??= compileScript(this.#script);
    const { shown, kept, logged } = this.#decide(bytes, start, textEnd);
    for (let times = 0; times < shown; times++) this.#show(shownLine(bytes, start, textEnd));
    for (let index = 0; index < kept.length; index++) {
      if (kept[index] === true) this.#keep(index, bytes.subarray(start, textEnd));
    }
    first.isSelected = logged[0] === true;
    for (let index = 1; index < this.#outputs.length; index++) {
      const output = this.#outputs[index];
      if (output === undefined) continue;
      output.isSelected = logged[index] === true;
      if (output.isSelected) this.#append(output, bytes, start, end);
    }
    if (!first.isSelected) return;
    if (first.length < start) bytes.copyWithin(first.length, start, end);
    first.length += end - start;
  }

  #append(output: Output, bytes: Buffer, start: number, end: number): void {
    output.length += bytes.copy(output.area.bytes, output.length, start, end);
    this.#isFull ||= output.length > output.area.full;
  }

  #keep(index: number, text: Buffer): void {
    const line = this.#kept.get(index) ?? Buffer.allocUnsafeSlow(STATUS_LINE_SIZE);
    line.fill(NEWLINE, text.copy(line));
    this.#kept.delete(index);
    this.#kept.set(index, line);
  }

  /** What is to be written by now; the rest, an unfinished line, is put aside. */
  #collect(): Batch | undefined {
    const { area, length } = this.#first;
    if (this.#pending === 0) this.#unfinished = undefined;
    else {
      this.#unfinished ??= Buffer.allocUnsafeSlow(LINE_MAX);
      area.bytes.copy(this.#unfinished, 0, length, length + this.#pending);
    }
    const batch: Batch = {
      outputs: this.#outputs.map((output) => ({ area: output.area, length: output.length })),
      kept: Array.from(this.#kept, ([index, line]) => ({ index, line })),
    };
    for (const output of this.#outputs) {
      output.area = AT_REST;
      output.length = 0;
    }
    this.#kept.clear();
    this.#isFull = false;
    if (batch.kept.length > 0 || batch.outputs.some((output) => output.length > 0)) return batch;
    giveBatchBack(batch);
    return undefined;
  }
}

/** Gives the areas of a batch back. */
export function giveBatchBack({ outputs }: Batch): void {
  for (const { area } of outputs) giveAreaBack(area);
}

/** What is shown of a line, in memory of its own. */
function shownLine(bytes: Buffer, start: number, end: number): Buffer {
  const text = bytes.subarray(start, Math.min(end, start + SHOWN_MAX));
  return Buffer.concat([text, end - start > SHOWN_MAX ? DOTS : DOTS.subarray(-1)]);
}
