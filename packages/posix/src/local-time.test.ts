import { expect, test } from 'vitest';
import { localTime } from './local-time.ts';

test('local time is that of TZ, in any year that C can count', () => {
  process.env['TZ'] = '<+0545>-5:45';
  expect(localTime(935_467_445n)).toEqual({ year: 1999, month: 8, day: 24, hour: 9, minute: 49, second: 5 });
  expect(localTime(-62_167_240_000n)).toEqual({ year: -1, month: 12, day: 31, hour: 23, minute: 58, second: 20 });
  expect(localTime(-67_768_040_609_740_800n)).toMatchObject({ year: -2_147_481_748 });
});

test('a year of which C has no number gives nothing', () => {
  expect(localTime(67_768_036_191_776_799n)).toBeUndefined();
  expect(localTime(-(2n ** 63n))).toBeUndefined();
  expect(localTime(2n ** 63n - 1n)).toBeUndefined();
});
