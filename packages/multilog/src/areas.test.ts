import { afterEach, expect, test, vi } from 'vitest';
import { BLOCK_MAX, giveAreaBack, lendArea, LINE_MAX } from './areas.ts';
import type { Area } from './areas.ts';

afterEach(() => {
  vi.useRealTimers();
});

test('an area has room for a full one, a block and a line', () => {
  for (const length of [1, 4096, 4097, 65_536, 65_537, BLOCK_MAX]) {
    const area = lendArea(length);
    expect(area.bytes.length).toBeGreaterThan(area.full + length + LINE_MAX);
    expect(area.view.byteLength).toBe(area.bytes.length);
    giveAreaBack(area);
  }
});

test('what is given back is lent again, and what is needed no longer is let go', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  vi.resetModules();
  const areas = await import('./areas.ts');
  const lend = (count: number): readonly Area[] => Array.from({ length: count }, () => areas.lendArea(100));
  const giveBack = (all: readonly Area[]): void => {
    for (const each of all) areas.giveAreaBack(each);
  };
  const five = lend(5);
  expect(new Set(five).size).toBe(5);
  giveBack(five);
  // As many as were needed at once are kept; after a while without, none.
  const again = lend(5);
  expect(new Set([...five, ...again]).size).toBe(5);
  giveBack(again);
  vi.advanceTimersByTime(10_000);
  giveBack(lend(2));
  vi.advanceTimersByTime(10_000);
  const later = lend(5);
  expect(later.filter((each) => five.includes(each))).toHaveLength(2);
  giveBack(later);
  vi.advanceTimersByTime(30_000);
  expect(vi.getTimerCount()).toBe(0);
  expect(lend(5).filter((each) => later.includes(each))).toEqual([]);
});
