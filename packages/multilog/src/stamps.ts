/** Writes the TAI64N label of each line: microseconds of the wall clock, no two alike unless lines come too fast. */
import { formatTai64n } from '@daemontap/formats';
import { LineStamper } from './stamp-lines.ts';
import type { StampedLines } from './stamp-lines.ts';

/** The label and the space behind it, in bytes. */
export const STAMP_SIZE = 26;

const SECOND_US = 1_000_000;
/** How far labels may run ahead of the clock: a million lines a second can be told apart, more share the last label. */
const AHEAD_US = 1000;
const SECONDS_SIZE = 17; // `@` and 16 digits
/** The two digits of a byte, as the 16 bits of their characters. */
const hexDigits = Uint16Array.from({ length: 256 }, (_, byte) =>
  Buffer.from(byte.toString(16).padStart(2, '0')).readUInt16BE(),
);
const SPACE = 0x20;

/** The seconds of the last label, of whichever stream: they are the same for most. */
const prefix = new DataView(new ArrayBuffer(SECONDS_SIZE));
const prefixBytes = new Uint8Array(prefix.buffer);
let prefixSecond = -1;

/** Made for the first block that is large enough; `null`: this machine cannot. */
let lineStamper: LineStamper | null | undefined;

/** Labels for one stream. */
export class Stamps {
  /** Microseconds of Unix time, of the next label; a double counts them exactly until the year 2255. */
  #nextUs = 0;
  #mostUs = 0;

  /** Tells the time at which the lines that follow were read. A clock that was set back is followed. */
  setClock(wallNs: bigint): void {
    const nowUs = Number(wallNs / 1000n);
    const isAhead = this.#nextUs > nowUs && this.#nextUs <= nowUs + 2 * AHEAD_US;
    if (!isAhead) this.#nextUs = nowUs;
    this.#mostUs = nowUs + AHEAD_US;
  }

  /**
   * Copies whole lines from `at` on into the target, each behind its label, until there are more than `enough` bytes; then
   * there may be a line more, of at most 65,536 bytes and its label. `undefined`: to be done line by line.
   */
  writeLines(block: Buffer, at: number, target: Buffer, enough: number): StampedLines | undefined {
    if (lineStamper === undefined) lineStamper = openLineStamper();
    if (lineStamper === null) return undefined;
    const second = Math.floor(this.#nextUs / SECOND_US);
    if (second !== prefixSecond) setSecond(second);
    const firstUs = second * SECOND_US;
    const labels = { second: prefixBytes, us: this.#nextUs - firstUs, mostUs: this.#mostUs - firstUs };
    const lines = lineStamper.stamp(block, at, target, enough, labels);
    this.#nextUs = firstUs + lines.us;
    return lines;
  }

  /** Writes the label of the next line, {@link STAMP_SIZE} bytes, and returns where they end. */
  write(bytes: DataView, at: number): number {
    const us = this.#nextUs;
    if (us < this.#mostUs) this.#nextUs = us + 1;
    const second = Math.floor(us / SECOND_US);
    if (second !== prefixSecond) setSecond(second);
    const nanoseconds = (us - second * SECOND_US) * 1000 + 500; // the middle of the microsecond, as in daemontools
    bytes.setUint32(at, prefix.getUint32(0));
    bytes.setUint32(at + 4, prefix.getUint32(4));
    bytes.setUint32(at + 8, prefix.getUint32(8));
    bytes.setUint32(at + 12, prefix.getUint32(12));
    bytes.setUint8(at + 16, prefix.getUint8(16));
    bytes.setUint32(at + 17, fourDigits(nanoseconds >>> 16));
    bytes.setUint32(at + 21, fourDigits(nanoseconds & 0xffff));
    bytes.setUint8(at + 25, SPACE);
    return at + STAMP_SIZE;
  }
}

function openLineStamper(): LineStamper | null {
  try {
    return new LineStamper();
  } catch {
    return null; // too little address space, or no vectors
  }
}

function setSecond(second: number): void {
  prefixSecond = second;
  const label = Buffer.from(formatTai64n(BigInt(second) * 1_000_000_000n), 'latin1');
  prefixBytes.set(label.subarray(0, SECONDS_SIZE));
}

/** The four hexadecimal digits of 16 bits, as the 32 bits of their characters. */
function fourDigits(bits: number): number {
  return ((hexDigits[bits >>> 8] ?? 0) << 16) | (hexDigits[bits & 0xff] ?? 0);
}
