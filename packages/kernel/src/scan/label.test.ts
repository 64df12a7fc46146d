import fc from 'fast-check';
import { expect, test } from 'vitest';
import { labelOf } from './label.ts';

test.each([
  ['a plain name as it is', Buffer.from('finger'), 'finger'],
  ['an empty name as nothing', Buffer.alloc(0), ''],
  ['UTF-8 of every length as it is', Buffer.from('a é € 😀'), 'a é € 😀'],
  ['a newline as \\n', Buffer.from('a\nb'), 'a\\nb'],
  ['another control character by its byte', Buffer.from('\t\x7f'), '\\x09\\x7f'],
  ['a C1 control character by its bytes', Buffer.from('\u0085'), '\\xc2\\x85'],
  ['a byte that is not UTF-8 by itself', Buffer.from([0x61, 0xff, 0x62]), 'a\\xffb'],
  ['a character that is cut off by its bytes', Buffer.from([0xe2, 0x82]), '\\xe2\\x82'],
  ['a character that another one cuts off by its bytes', Buffer.from([0xe2, 0x82, 0x61]), '\\xe2\\x82a'],
  ['an overlong form by its bytes', Buffer.from([0xc0, 0xaf]), '\\xc0\\xaf'],
  ['half of a surrogate pair by its bytes', Buffer.from([0xed, 0xa0, 0x80]), '\\xed\\xa0\\x80'],
])('it shows %s', (_what, name, label) => {
  expect(labelOf(name)).toBe(label);
});

test('any bytes make one line of well-formed text', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
      const label = labelOf(Buffer.from(bytes));
      expect(label).not.toMatch(/[\p{Cc}\ufffd]/u);
      expect(label.isWellFormed()).toBe(true);
    }),
  );
});

test('names that are UTF-8 without control characters are shown as they are', () => {
  const characters = fc.string({ unit: 'grapheme' }).filter((text) => !/[\p{Cc}\ufffd]/u.test(text));
  fc.assert(
    fc.property(characters, (name) => {
      expect(labelOf(Buffer.from(name))).toBe(name);
    }),
  );
});
