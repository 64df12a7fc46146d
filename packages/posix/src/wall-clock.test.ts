import { expect, test } from 'vitest';
import { wallClockNs } from './wall-clock.ts';

test('the wall clock is that of Date, but finer than milliseconds', () => {
  const before = BigInt(Date.now()) * 1_000_000n;
  const moments = Array.from({ length: 10 }, () => wallClockNs());
  const after = BigInt(Date.now() + 1) * 1_000_000n;
  for (const moment of moments) expect(moment >= before && moment <= after).toBe(true);
  expect(moments.every((moment) => moment % 1_000_000n === 0n)).toBe(false);
});
