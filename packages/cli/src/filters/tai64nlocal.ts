/** tai64nlocal: writes the TAI64N label that begins a line as local time. */
import { unixSeconds } from '@daemontap/formats';
import { localTime, setProcessName } from '@daemontap/posix';
import type { LocalTime } from '@daemontap/posix';
import { filter } from './blocks.ts';

const AT = 0x40;
const NEWLINE = 0x0a;
const LABELLED_LINE = Buffer.from('\n@');
const DIGITS_MAX = 4096; // what may be kept until its end has been read
const NOTHING = Buffer.alloc(0);

/** Exit code 0 at the end of the input, 111 when it cannot be read or the output not be written. */
export function tai64nlocal(words: readonly Buffer[]): number {
  setProcessName({ name: 'tai64nlocal', words });
  return filter(convertLabels(localTime));
}

/**
 * A function that converts one block after the other. A label is `@` at the start of a line and all lower-case
 * hexadecimal digits behind it, 96 bits of which count. It is kept until what follows it is known, and is lost when
 * nothing does; what is no moment of the calendar stays as it is.
 */
export function convertLabels(toLocal: (unixSecond: bigint) => LocalTime | undefined): (block: Buffer) => Buffer {
  const dateOf = lastDate(toLocal);
  let kept = NOTHING;
  let isLineStart = true;
  return (block) => {
    const input = kept.length === 0 ? block : Buffer.concat([kept, block]);
    // At the worst 25 bytes become 46: a year of 20 digits, and nanoseconds of 10.
    const output = Buffer.allocUnsafe(2 * input.length);
    let [at, filled] = [0, 0];
    kept = NOTHING;
    while (at < input.length) {
      if (isLineStart && input[at] === AT) {
        const { high, middle, low, end } = readDigits(input, at + 1);
        const isLabel = end - at <= DIGITS_MAX + 1;
        if (isLabel && end === input.length) {
          kept = Buffer.from(input.subarray(at));
          break;
        }
        const date = isLabel ? dateOf(high, middle) : undefined;
        if (date !== undefined) {
          filled += date.copy(output, filled);
          filled = writeNanoseconds(output, { nanoseconds: low, at: filled });
          at = end;
        }
      }
      const next = input.indexOf(LABELLED_LINE, at);
      const end = next === -1 ? input.length : next + 1;
      filled += input.copy(output, filled, at, end);
      isLineStart = input[end - 1] === NEWLINE;
      at = end;
    }
    return output.subarray(0, filled);
  };
}

/** The last 96 bits of a number: the seconds in two halves, and the nanoseconds. */
interface Digits {
  readonly high: number;
  readonly middle: number;
  readonly low: number;
  /** Where the digits end. */
  readonly end: number;
}

function readDigits(input: Buffer, start: number): Digits {
  let [high, middle, low, end] = [0, 0, 0, start];
  for (; end < input.length; end++) {
    const digit = digitValue(input[end] ?? 0);
    if (digit === -1) break;
    high = (high << 4) | (middle >>> 28);
    middle = (middle << 4) | (low >>> 28);
    low = (low << 4) | digit;
  }
  return { high: high >>> 0, middle: middle >>> 0, low: low >>> 0, end };
}

function digitValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  return byte >= 0x61 && byte <= 0x66 ? byte - 0x57 : -1;
}

/** The text of a second up to its nanoseconds. Most labels are of the same second as the one before. */
function lastDate(
  toLocal: (unixSecond: bigint) => LocalTime | undefined,
): (high: number, middle: number) => Buffer | undefined {
  let last: { readonly high: number; readonly middle: number; readonly text: Buffer | undefined } | undefined;
  return (high, middle) => {
    if (last?.high !== high || last.middle !== middle) {
      const local = toLocal(unixSeconds((BigInt(high) << 32n) | BigInt(middle)));
      last = { high, middle, text: local && Buffer.from(formatDate(local), 'latin1') };
    }
    return last.text;
  };
}

function formatDate({ year, month, day, hour, minute, second }: LocalTime): string {
  // C prints the year as an unsigned number of 64 bits: 2 BC is 18446744073709551615.
  const years = year < 0 ? BigInt.asUintN(64, BigInt(year)) : year;
  return `${years}-${twoDigits(month)}-${twoDigits(day)} ${twoDigits(hour)}:${twoDigits(minute)}:${twoDigits(second)}.`;
}

function twoDigits(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

/** Nine digits, ten where there is more than a second of them. Returns where they end. */
function writeNanoseconds(output: Buffer, { nanoseconds, at }: { nanoseconds: number; at: number }): number {
  const end = at + (nanoseconds < 1e9 ? 9 : 10);
  let rest = nanoseconds;
  for (let place = end; place > at; rest = (rest / 10) >>> 0) output[--place] = 0x30 + (rest % 10);
  return end;
}
