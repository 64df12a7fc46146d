import fc from 'fast-check';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { parseScript } from './script.ts';
import type { Action, Script } from './script.ts';
import { compileScript } from './selector.ts';
import type { Decide } from './selector.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const selector = (...words: readonly string[]): Decide => compileScript(parseScript(words.map(bytes)));
function decide(
  chosen: Decide,
  line: string,
): { readonly shown: number; readonly kept: number[]; readonly logged: number[] } {
  const { shown, kept, logged } = chosen(bytes(`>${line}<`), 1, line.length + 1);
  const indices = (flags: readonly boolean[]): number[] => [...flags.keys()].filter((index) => flags[index]);
  return { shown, kept: indices(kept), logged: indices(logged) };
}
const isMatched = (pattern: string, line: string): boolean =>
  decide(selector('-*', `+${pattern}`, 'e'), line).shown > 0;

/** The rule as the behaviour reference tells it: pattern by pattern, byte by byte. */
function matches(pattern: string, line: string): boolean {
  let at = 0;
  for (let index = 0; index < pattern.length; index++) {
    const wanted = pattern[index];
    if (wanted !== '*') {
      if (line[at++] !== wanted) return false;
      continue;
    }
    if (index === pattern.length - 1) return true;
    while (at < line.length && line[at] !== pattern[index + 1]) at++;
    if (at === line.length) return false;
  }
  return at === line.length;
}

describe('a pattern', () => {
  test.each([
    ['*ab', ['ab', 'xab'], ['aab', 'abx', '']],
    ['foo[*]: *', ['foo[1]: x', 'foo[]: y', 'foo[1]: '], ['foo[1]:x', 'foo1: x']],
    ['a**b', ['a*b', 'a**b', 'a*xb'], ['axb', 'ab']],
    ['**', ['x*', 'x**', '**', '*'], ['x', '']],
    ['***', ['*', 'x*y'], ['x']],
    ['*', ['', 'x', '\0'], []],
    ['', [''], ['x']],
    ['a*', ['a', 'abc'], ['', 'ba']],
    ['?[\\', ['?[\\'], ['x[\\']],
    ['a*b*c', ['abc', 'axbxc', 'abxc'], ['axbxcx', 'acb', 'ab']],
    ['a*\xff', ['a\0\xff'], ['a']],
  ])('%s matches %j, not %j', (pattern, yes, no) => {
    for (const line of yes) expect([line, isMatched(pattern, line)]).toEqual([line, true]);
    for (const line of no) expect([line, isMatched(pattern, line)]).toEqual([line, false]);
  });
});

describe('a script', () => {
  test('acts in order, on a line that is selected at that place', () => {
    const chosen = selector('e', '-one*', 'e', './a', '=x', '+*e', './b', '=y', '=z', '-two', 'e');
    expect(decide(chosen, 'two')).toEqual({ shown: 2, kept: [0, 1, 2], logged: [0, 1] });
    expect(decide(chosen, 'one')).toEqual({ shown: 2, kept: [1, 2], logged: [1] });
    expect(decide(chosen, 'ones')).toEqual({ shown: 1, kept: [], logged: [] });
    expect(decide(chosen, '')).toEqual({ shown: 3, kept: [0, 1, 2], logged: [0, 1] });
  });

  test('without patterns selects every line', () => {
    expect(decide(selector('./a', 'e'), 'x')).toEqual({ shown: 1, kept: [], logged: [0] });
    expect(decide(selector(), 'x')).toEqual({ shown: 0, kept: [], logged: [] });
  });

  test('is compiled once for all streams that have it, also when there are many scripts', () => {
    expect(selector('-*', '+x', './a')).toBe(selector('-*', '+x', './b'));
    expect(selector('-*', '+x', './a')).not.toBe(selector('t', '-*', '+*x', './a'));
    const many = Array.from({ length: 300 }, (_, index) => `${index}`);
    const all = many.map((word) => selector('-*', `+${word}`, 'e'));
    for (const [index, each] of all.entries()) {
      expect(many.filter((word) => decide(each, word).shown > 0)).toEqual([many[index]]);
    }
  });

  test.each([false, true])('decides as the rule says, however many patterns it has (stamps: %s)', (stamps) => {
    const unit = fc.constantFrom('a', 'b', '*', 'c', ' ', 'x');
    const text = fc.string({ unit, maxLength: 8 });
    const patterns = fc.array(fc.tuple(fc.constantFrom('+', '-'), text), { maxLength: 9 });
    fc.assert(
      fc.property(patterns, fc.array(text), (script, lines) => {
        const chosen = selector(...(stamps ? ['t'] : []), ...script.map((words) => words.join('')), 'e');
        for (const rest of lines) {
          const line = stamps ? `@4000000037c219bf2ef02e94 ${rest}` : rest;
          let isSelected = true;
          for (const [sign, pattern] of script) if (matches(pattern, line)) isSelected = sign === '+';
          expect([line, decide(chosen, line).shown]).toEqual([line, isSelected ? 1 : 0]);
        }
      }),
    );
  });
});

test('the types of a script say what belongs to each action', () => {
  expectTypeOf(parseScript).toEqualTypeOf<(words: readonly Buffer[]) => Script>();
  expectTypeOf<Extract<Action, { does: 'log' | 'keep' }>['index']>().toEqualTypeOf<number>();
  expectTypeOf<Extract<Action, { pattern: Buffer }>['does']>().toEqualTypeOf<'select' | 'deselect'>();
  // @ts-expect-error: the words of a script are bytes
  expect(() => parseScript(['t'])).toThrow(TypeError);
});
