/** What is picked from a module. */
import { expect, test } from 'vitest';
import { pickFactory, pickPreset } from './module.ts';

const factory = (name: string): object => Object.assign(() => ({}), { definition: { name, apiVersion: 1 } });
const bell = factory('bell');
const book = factory('book');
const nothing = 'it exports no plugin: its module must export what definePlugin returns';

test.each<[string, object, string | undefined, object]>([
  ['the only factory', { bell, other: () => {}, text: 'x' }, undefined, { found: bell, exportName: 'bell' }],
  ['one that is exported twice', { bell, default: bell }, undefined, { found: bell, exportName: 'bell' }],
  ['the default export', { default: bell }, undefined, { found: bell, exportName: 'default' }],
  ['the one that is named', { bell, book }, 'book', { found: book, exportName: 'book' }],
  ['none', { other: () => {}, plugin: { name: 'x', apply: () => {} } }, undefined, { problem: nothing }],
  ['none, though it is named', {}, 'bell', { problem: nothing }],
  [
    'several',
    { bell, book },
    undefined,
    { problem: 'it exports several plugins: name one of them, as in NAME#bell: bell or book' },
  ],
  [
    'another than named',
    { bell, book },
    'bel',
    { problem: 'it exports bell and book, and no bel (did you mean bell?)' },
  ],
])('of plugins: %s', (_what, exports, exportName, result) => {
  expect(pickFactory(exports, exportName)).toEqual(result);
});

test('of presets: an object with a name and plugins', () => {
  const quiet = { name: 'quiet', plugins: [] };
  expect(pickPreset({ quiet, bell, other: { name: 'x' } }, undefined)).toEqual({ found: quiet, exportName: 'quiet' });
  expect(pickPreset({ bell }, undefined)).toEqual({
    problem: 'it exports no preset: its module must export what definePreset returns',
  });
});
