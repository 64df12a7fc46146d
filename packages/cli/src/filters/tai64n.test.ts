import fc from 'fast-check';
import { expect, test } from 'vitest';
import { labelLines } from './tai64n.ts';

/** Labels the blocks `@0`, `@1` and so on. */
function label(...blocks: readonly (string | Buffer)[]): string {
  let count = 0;
  const convert = labelLines(() => `@${count++}`);
  return blocks.map((block) => convert(Buffer.from(block)).toString('latin1')).join('');
}

test('each line gets a label and a space, an empty one and an unfinished one, too', () => {
  expect(label('one\n\ntwo')).toBe('@0 one\n@0 \n@0 two');
});

test('a line gets its label with its first byte, in the block where that is', () => {
  expect(label('one', ' more\n', 'two\n', '\n', 'x')).toBe('@0 one more\n@2 two\n@3 \n@4 x');
});

test('whatever the bytes are, and wherever they are cut, they come out behind the labels', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 })), (blocks) => {
      // A line in three or so.
      const bytes = blocks.map((block) => Buffer.from(block.map((byte) => (byte % 3 === 0 ? 0x0a : byte))));
      const convert = labelLines(() => '@label');
      const output = Buffer.concat(bytes.map(convert)).toString('latin1');
      const lines = Buffer.concat(bytes).toString('latin1').split('\n');
      const expected = lines.map((line, index) => (line === '' && index === lines.length - 1 ? '' : `@label ${line}`));
      expect(output).toBe(expected.join('\n'));
    }),
  );
});
