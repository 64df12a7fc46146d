import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeTai64n, encodeTai64n, formatTai64n, parseTai64n, taiSeconds, toStampNs, unixSeconds } from './tai64n.ts';

const anyMoment = fc.bigInt({ min: -(2n ** 62n) * 1_000_000_000n, max: 2n ** 62n * 1_000_000_000n });

test('a moment written and read again is the same moment', () => {
  fc.assert(
    fc.property(anyMoment, (unixNs) => {
      expect(decodeTai64n(encodeTai64n(unixNs))).toBe(unixNs);
    }),
  );
});

test('twelve bytes with less than a second of nanoseconds are written again as they were read', () => {
  const bytes = fc
    .tuple(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.integer({ min: 0, max: 999_999_999 }))
    .map(([seconds, nanoseconds]) => {
      const view = new DataView(new ArrayBuffer(12));
      view.setBigUint64(0, seconds);
      view.setUint32(8, nanoseconds);
      return new Uint8Array(view.buffer);
    });
  fc.assert(
    fc.property(bytes, (each) => {
      expect([...encodeTai64n(decodeTai64n(each) ?? 0n)]).toEqual([...each]);
    }),
  );
});

test('labels sort as the moments do', () => {
  fc.assert(
    fc.property(anyMoment, anyMoment, (a, b) => {
      expect(formatTai64n(a) < formatTai64n(b)).toBe(a < b);
    }),
  );
});

test('the label of the first moment of Unix time is 10 seconds after 2^62', () => {
  expect(formatTai64n(0n)).toBe('@400000000000000a00000000');
  expect(formatTai64n(-1n)).toBe('@40000000000000093b9ac9ff');
});

test('fewer than twelve bytes are no moment, more do not matter', () => {
  expect(decodeTai64n(new Uint8Array(11))).toBeUndefined();
  expect(decodeTai64n(Buffer.concat([encodeTai64n(5n), Buffer.from('more')]))).toBe(5n);
});

test('nanoseconds of more than a second are shown as they stand', () => {
  expect(parseTai64n(new Uint8Array(12).fill(255))).toEqual({ seconds: 2n ** 64n - 1n, nanoseconds: 4294967295 });
});

test('TAI seconds are counted from the whole second', () => {
  expect(taiSeconds(1_999_999_999n)).toBe(2n ** 62n + 11n);
});

test('a stamp is the middle of its microsecond', () => {
  expect(toStampNs(1_234_567_890_123n)).toBe(1_234_567_890_500n);
});

test('the Unix second of a TAI64 second counts in 64 bits', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 61n), max: 2n ** 61n }), (second) => {
      expect(unixSeconds(taiSeconds(second * 1_000_000_000n))).toBe(second);
    }),
  );
  expect(unixSeconds(0n)).toBe(-(2n ** 62n) - 10n);
  expect(unixSeconds(2n ** 64n - 1n)).toBe(-(2n ** 62n) - 11n);
});
