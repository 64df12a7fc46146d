/** Options against schemas of any library, and what keys they tell. */
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import type { StandardSchema } from '@daemontap/kernel';
import { keysOf, optionProblems } from './options.ts';

const standard = {
  '~standard': { version: 1 as const, vendor: 'test', validate: (value: unknown) => ({ value: value as object }) },
};
const other = (more: object): StandardSchema<object, object> => ({ ...standard, ...more });
const check = (schema: StandardSchema<object, object> | undefined, value: Record<string, unknown>): readonly string[] =>
  optionProblems(schema, { value, file: 'x.json', path: ['plugins', 2, 1], noun: 'option' }).map(
    ({ place, message }) => `${place}: ${message}`,
  );

const strict = v.strictObject({
  interval: v.number(),
  greeting: v.optional(v.string()),
  deep: v.optional(v.strictObject({ at: v.number() })),
});

describe('the keys of a schema', () => {
  const shape = { a: {}, b: {} };
  test.each<[string, StandardSchema<object, object>, readonly string[] | undefined]>([
    ["valibot's", strict, ['interval', 'greeting', 'deep']],
    [
      "valibot's in a pipe",
      v.pipe(
        strict,
        v.check(() => true),
      ),
      ['interval', 'greeting', 'deep'],
    ],
    ["valibot's that is open", v.looseObject({ a: v.number() }), undefined],
    ["valibot's with a rest", v.objectWithRest({ a: v.number() }, v.number()), undefined],
    ["zod 4's", other({ shape, def: { type: 'object' } }), ['a', 'b']],
    ["zod 4's that is strict", other({ shape, def: { catchall: { def: { type: 'never' } } } }), ['a', 'b']],
    ["zod 4's that is open", other({ shape, def: { catchall: { def: { type: 'unknown' } } } }), undefined],
    [
      "zod 3's",
      other({ shape, _def: { unknownKeys: 'strip', catchall: { _def: { typeName: 'ZodNever' } } } }),
      ['a', 'b'],
    ],
    ["zod 3's that is open", other({ shape, _def: { unknownKeys: 'passthrough' } }), undefined],
    [
      "zod 3's with a rest",
      other({ shape, _def: { unknownKeys: 'strip', catchall: { _def: { typeName: 'ZodString' } } } }),
      undefined,
    ],
    ["another library's", other({}), undefined],
  ])('%s', (_what, schema, keys) => {
    expect(keysOf(schema)).toEqual(keys);
  });
});

test('every problem is told, unknown options with the nearest name, once', () => {
  expect(check(strict, { intervall: 3, greeting: 4, deep: { att: 1, at: 'x' }, other: 1 })).toEqual([
    'x.json: plugins[2][1].intervall: unknown option (did you mean interval?)',
    'x.json: plugins[2][1].other: unknown option',
    'x.json: plugins[2][1].interval: it must be given',
    'x.json: plugins[2][1].greeting: Invalid type: Expected string but received 4',
    'x.json: plugins[2][1].deep.at: Invalid type: Expected number but received "x"',
    'x.json: plugins[2][1].deep.att: Invalid key: Expected never but received "att"',
  ]);
});

test('what is right is no problem', () => {
  expect(check(strict, { interval: 3 })).toEqual([]);
  expect(check(v.looseObject({}), { anything: 3 })).toEqual([]);
});

test('without a schema there are no options', () => {
  expect(check(undefined, {})).toEqual([]);
  expect(check(undefined, { interval: 3 })).toEqual(['x.json: plugins[2][1].interval: unknown option: there are none']);
});

test('a schema that answers late, or throws, is a problem itself', () => {
  const late = { '~standard': { ...standard['~standard'], validate: () => Promise.reject(new Error('late')) } };
  const broken = {
    '~standard': {
      ...standard['~standard'],
      validate: () => {
        throw new Error('broken');
      },
    },
  };
  expect(check(late, {})).toEqual(['x.json: plugins[2][1]: its schema does not answer at once']);
  expect(check(broken, {})).toEqual(['x.json: plugins[2][1]: its schema fails: broken']);
});

test('paths of issues may be keys or objects with a key', () => {
  const issues = [{ message: 'two\n  lines', path: ['a', { key: 0 }, { key: 'b c' }] }];
  const schema = { '~standard': { ...standard['~standard'], validate: () => ({ issues }) } };
  expect(check(schema, {})).toEqual(['x.json: plugins[2][1].a[0]["b c"]: two lines']);
});
