import { describe, expect, test } from 'vitest';
import { Stamps, STAMP_SIZE } from './stamps.ts';

const NOON = 1_700_000_000_000_000; // microseconds
const label = (us: number): string =>
  `@400000006553f10a${(((us - NOON) % 1_000_000) * 1000 + 500).toString(16).padStart(8, '0')} `;

/** The labels of so many lines that are read at each of these times. */
function labels(...reads: readonly (readonly [us: number, lines: number])[]): readonly string[] {
  const stamps = new Stamps();
  const bytes = Buffer.from(new ArrayBuffer(STAMP_SIZE + 2), 0);
  return reads.flatMap(([us, lines]) => {
    stamps.setClock(BigInt(us) * 1000n + 789n);
    return Array.from({ length: lines }, () => {
      expect(stamps.write(new DataView(bytes.buffer), 1)).toBe(1 + STAMP_SIZE);
      return bytes.toString('latin1', 1, 1 + STAMP_SIZE);
    });
  });
}

describe('the labels of lines', () => {
  test('tell the microsecond, and its middle', () => {
    expect(labels([NOON, 1], [NOON + 999_999, 1])).toEqual([label(NOON), label(NOON + 999_999)]);
    expect(label(NOON)).toBe('@400000006553f10a000001f4 ');
  });

  test('that were read at once differ by a microsecond', () => {
    expect(labels([NOON, 3])).toEqual([label(NOON), label(NOON + 1), label(NOON + 2)]);
    expect(labels([NOON, 2], [NOON + 1, 1])).toEqual([label(NOON), label(NOON + 1), label(NOON + 2)]);
  });

  test('run ahead of the clock by a millisecond at most: then they are alike', () => {
    const many = labels([NOON, 1500], [NOON + 1, 2], [NOON + 5000, 1]);
    expect(new Set(many).size).toBe(1003);
    expect(many.slice(-4)).toEqual([label(NOON + 1000), label(NOON + 1000), label(NOON + 1001), label(NOON + 5000)]);
  });

  test('go on in the next second', () => {
    expect(labels([NOON + 999_999, 2])[1]).toBe('@400000006553f10b000001f4 ');
  });

  test('follow a clock that was set back or forth', () => {
    const before = NOON - 3600_000_000;
    const stamp = (us: number): string => labels([us, 1])[0] ?? '';
    expect(labels([NOON, 1], [before, 1], [NOON, 1])).toEqual([label(NOON), stamp(before), label(NOON)]);
  });
});
