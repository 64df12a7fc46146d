import fc from 'fast-check';
import { expect, test } from 'vitest';
import { append } from './readproctitle.ts';

function shown(length: number, ...blocks: readonly (string | Uint8Array)[]): string {
  const bar = Buffer.alloc(length, '.');
  for (const block of blocks) append(bar, Buffer.from(block));
  return bar.toString('latin1');
}

test('the bar moves on by what comes, newlines included, without NULs', () => {
  expect(shown(10, 'ab')).toBe('........ab');
  expect(shown(10, 'ab\n', 'c\0d')).toBe('.....ab\ncd');
  expect(shown(10, '\0\0')).toBe('..........');
});

test('its first three places stay dots, however much comes', () => {
  expect(shown(10, 'abcdefg')).toBe('...abcdefg');
  expect(shown(10, 'abcdefgh')).toBe('...bcdefgh');
  expect(shown(5, 'a'.repeat(100_000), 'xyz')).toBe('...yz');
});

test('it is the same however the bytes come', () => {
  fc.assert(
    fc.property(fc.integer({ min: 5, max: 20 }), fc.array(fc.uint8Array({ max: 12 })), (length, blocks) => {
      const bytes = blocks.flatMap((block) => [...block]);
      const oneByOne = bytes.map((byte) => Uint8Array.of(byte));
      const visible = Buffer.from(bytes.filter((byte) => byte !== 0)).toString('latin1');
      const dots = '.'.repeat(length - 3);
      const expected = `...${(dots + visible).slice(-(length - 3))}`;
      expect([shown(length, ...blocks), shown(length, ...oneByOne)]).toEqual([expected, expected]);
    }),
  );
});
