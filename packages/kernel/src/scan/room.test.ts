import { expect, test } from 'vitest';
import { DescriptorRoom } from './room.ts';

/** How many times nine descriptors can be taken of so many, and how often that was counted. */
function taken(left: number): { readonly times: number; readonly counts: number } {
  let [times, counts] = [0, 0];
  const descriptorsLeft = (): number => {
    counts++;
    return left - 9 * times;
  };
  // DescriptorRoom asks its files for nothing else.
  const room = new DescriptorRoom({ descriptorsLeft } as ConstructorParameters<typeof DescriptorRoom>[0]);
  while (times < 10_000 && room.take(9)) times++;
  return { times, counts };
}

test('thirty-two are kept for what a running supervisor opens for a moment', () => {
  expect(taken(40).times).toBe(0);
  expect(taken(41).times).toBe(1);
  expect(taken(32 + 9 * 500).times).toBe(500);
});

test('they are counted at the beginning and where they become few, and not each time between', () => {
  const { times, counts } = taken(32 + 9 * 5000);
  expect(times).toBe(5000);
  expect(counts).toBeLessThan(20);
});

test('what others have taken meanwhile is seen once they become few, and what they gave back, too', () => {
  let left = 200;
  const room = new DescriptorRoom({ descriptorsLeft: () => left } as ConstructorParameters<typeof DescriptorRoom>[0]);
  expect(room.take(9)).toBe(true);
  left = 20;
  const answers = Array.from({ length: 10 }, () => room.take(9));
  expect(answers.at(-1)).toBe(false);
  left = 200;
  expect(room.take(9)).toBe(true);
});
