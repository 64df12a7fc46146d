import { describe, expect, test } from 'vitest';
import { durationText, isoTime } from './time-text.ts';

describe('a duration', () => {
  test.each([
    [-5, '0s'],
    [0, '0s'],
    [0.999, '0s'],
    [59.9, '59s'],
    [60, '1m'],
    [61, '1m 1s'],
    [3599, '59m 59s'],
    [3600, '1h'],
    [3661, '1h 1m'],
    [86_399, '23h 59m'],
    [86_400, '1d'],
    [273_600, '3d 4h'],
    [86_400 * 400 + 59, '400d'],
  ])('of %d seconds is %s', (seconds, text) => {
    expect(durationText(BigInt(Math.round(seconds * 1e9)))).toBe(text);
  });
});

describe('a time', () => {
  test('has nine digits of a second', () => {
    expect(isoTime(1_700_000_000_012_345_500n)).toBe('2023-11-14T22:13:20.012345500Z');
    expect(isoTime(0n)).toBe('1970-01-01T00:00:00.000000000Z');
  });

  test('is undefined where a record holds none', () => {
    expect(isoTime(-1n)).toBe(undefined);
    expect(isoTime(2n ** 63n * 1_000_000_000n)).toBe(undefined);
  });
});
