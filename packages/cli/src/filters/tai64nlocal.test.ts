import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { convertLabels } from './tai64nlocal.ts';

const LABEL = '@4000000037c219bf2ef02e94';
const DATE = '1999-08-24 04:04:05.';

/** Like UTC, but knows the years until 9999 only. */
function toUtc(unixSecond: bigint): ReturnType<Parameters<typeof convertLabels>[0]> {
  if (unixSecond < -62_167_219_200n || unixSecond > 253_402_300_799n) return undefined;
  const date = new Date(Number(unixSecond) * 1000);
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
  };
}

function convert(...blocks: readonly (string | Buffer)[]): string {
  const each = convertLabels(toUtc);
  return blocks.map((block) => each(Buffer.from(block)).toString('latin1')).join('');
}

test.each([
  ['one label', `${LABEL} mark\n`, `${DATE}787492500 mark\n`],
  ['a label alone in its line', `${LABEL}\n${LABEL}\n`, `${DATE}787492500\n${DATE}787492500\n`],
  ['what follows at once', `${LABEL}xyz`, `${DATE}787492500xyz`],
  ['two labels in a line: the first', `${LABEL}${LABEL}\n`, `${DATE}787492500${LABEL}\n`],
  ['a line of a zero byte', `\0${LABEL}\n`, `\0${LABEL}\n`],
  ['more digits: the last 24', `@00f${LABEL.slice(1)} x`, `${DATE}787492500 x`],
  ['no nanoseconds', '@4000000037c219bf00000000\n', `${DATE}000000000\n`],
  ['nanoseconds of more than a second', '@4000000037c219bfffffffff\n', `${DATE}4294967295\n`],
  ['a thousand million of them', '@4000000037c219bf3b9aca00\n', `${DATE}1000000000\n`],
  ['several seconds', `@400000000000000a00000001 a\n${LABEL} b`, `1970-01-01 00:00:00.000000001 a\n${DATE}787492500 b`],
])('converts %s', (_, input, output) => {
  expect(convert(input)).toBe(output);
});

test.each([
  ['a label that is not at the start', `x ${LABEL}\nabc`],
  ['an @ alone', '@\n@ x\n@@\n@'],
  ['capital digits', `${LABEL.toUpperCase()}\n`],
  ['too few digits', '@4000000037c219b\n@0\n'],
  ['a moment that is none', '@0000000000000000000000000000000f\n@ffffffffffffffffffffffff x\n'],
  ['nothing', ''],
])('leaves %s as it is', (_, input) => {
  // An unfinished label at the end is another matter.
  expect(convert(input)).toBe(input.replace(/@$/, ''));
});

describe('a label whose end has not been read', () => {
  test('is kept until it has, wherever it is cut', () => {
    const input = `a\n${LABEL} b\n\n${LABEL}\n`;
    const whole = convert(input);
    expect(whole).toBe(`a\n${DATE}787492500 b\n\n${DATE}787492500\n`);
    for (let cut = 0; cut <= input.length; cut++)
      expect([cut, convert(input.slice(0, cut), input.slice(cut))]).toEqual([cut, whole]);
    expect(convert(...input)).toBe(whole);
  });

  test('is lost at the end of the input', () => {
    expect([convert(LABEL), convert(`a\n${LABEL}`), convert('@')]).toEqual(['', 'a\n', '']);
  });

  test('goes through as it is when it has more than 4096 digits, which is all that is kept', () => {
    const label = (zeros: number): string => `@${'0'.repeat(zeros)}${LABEL.slice(1)}`;
    expect(convert(`${label(4072)} x`)).toBe(`${DATE}787492500 x`);
    expect(convert(`${label(4073)} x`)).toBe(`${label(4073)} x`);
    expect(convert(...`${label(4072)} x`)).toBe(`${DATE}787492500 x`);
    expect(convert(...`${label(4073)} x\n${LABEL}\n`)).toBe(`${label(4073)} x\n${DATE}787492500\n`);
    expect(convert(label(4072))).toBe('');
    expect(convert(label(4073))).toBe(label(4073));
  });
});

test('wherever the input is cut, the output is the same', () => {
  const line = fc.oneof(
    fc.constantFrom(LABEL, `${LABEL} text`, '@', '@ ', '@400000000000000a000000017', '@@', 'text', ''),
    fc.stringMatching(/^@4000000[0-9a-f]{9,20}[^\n]?$/),
  );
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat({ max: 400 })), (lines, cuts) => {
      const input = lines.join('\n');
      const places = [0, ...cuts.filter((cut) => cut < input.length).toSorted((a, b) => a - b), input.length];
      const blocks = places.slice(1).map((place, index) => input.slice(places[index], place));
      expect(convert(...blocks.filter((block) => block !== ''))).toBe(convert(input));
    }),
  );
});

test('the calendar is asked once for the labels of one second', () => {
  const asked: bigint[] = [];
  const each = convertLabels((second) => {
    asked.push(second);
    return toUtc(second);
  });
  each(Buffer.from(`${LABEL} a\n${LABEL.replace(/.$/, '5')} b\nc\n`));
  each(Buffer.from(`${LABEL} d\n@400000000000000a00000001 e\n`));
  expect(asked).toEqual([935_467_445n, 0n]);
});
