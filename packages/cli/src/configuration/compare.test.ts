/** What has changed, in words; the tests of loading have more of it. */
import { expect, test } from 'vitest';
import { compareConfigurations } from './compare.ts';
import type { Configuration } from './load.ts';
import { keyOf } from './plugins.ts';
import type { LoadedPlugin } from './plugins.ts';

const plugin = (name: string, more: Partial<LoadedPlugin> = {}): LoadedPlugin => {
  const { options = {}, module = `/m/${name}.js` } = more;
  return {
    plugin: { name, apiVersion: 1, apply() {} },
    ...{ name, options, module, place: '', version: undefined, schema: undefined, isStale: false },
    key: keyOf([name, module, options]),
    ...more,
  };
};
const configuration = (
  plugins: readonly LoadedPlugin[],
  values: Readonly<Record<string, unknown>> = {},
): Configuration => ({
  file: undefined,
  settings: { log: 'plain', onTerm: 'stop', stopTimeoutMs: 1, runtimeRoot: '/' },
  values: Object.entries(values).map(([key, value]) => ({ key, value, origin: 'default' })),
  plugins,
  stalePresets: [],
  serviceOptions: () => ({}),
});
const compared = (before: Configuration, after: Configuration): readonly string[] =>
  compareConfigurations({ before, after });

test('the same is no change', () => {
  const same = configuration([plugin('a', { options: { x: { y: 1, z: 2 } } })], { services: { a: {} } });
  const other = configuration([plugin('a', { options: { x: { z: 2, y: 1 } } })], { services: { a: {} } });
  expect(compared(same, other)).toEqual([]);
});

test('options are compared to the depth, and secrets not shown', () => {
  const before = plugin('a', {
    options: { on: true, at: { host: 'x', list: [1] }, password: 'old', text: 'x'.repeat(100) },
  });
  const after = plugin('a', { options: { at: { host: 'y', list: [1, 2] }, password: 'new', text: 'z' } });
  expect(compared(configuration([before]), configuration([after]))).toEqual([
    `plugin a: options changed: on true → not given, at.host x → y, at.list [1] → [1,2], password another one, text ${'x'.repeat(79)}… → z`,
  ]);
});

test('a module, an export, code and settings that change are told of', () => {
  expect(compared(configuration([plugin('a')]), configuration([plugin('a', { module: '/n/a.js' })]))).toEqual([
    'plugin a: now from /n/a.js, was /m/a.js',
  ]);
  expect(compared(configuration([plugin('a')]), configuration([plugin('a', { key: 'other' })]))).toEqual([
    'plugin a: replaced',
  ]);
  const stale = configuration([plugin('a', { isStale: true })]);
  expect(compared(configuration([plugin('a')]), stale)).toEqual([
    'plugin a: its code has changed: takes effect at the next start',
  ]);
  expect(compared(stale, stale)).toEqual([]);
  expect(compared(configuration([]), stale)).toEqual([
    'plugin a: added',
    'plugin a: its code has changed: takes effect at the next start',
  ]);
  const values = { onTerm: 'stop', services: { finger: { a: { x: 1 } } }, allow: [] };
  const others = { onTerm: 'leave', services: { finger: { a: { x: 2 } }, web: { a: {} } }, allow: ['a.x'] };
  expect(compared(configuration([], values), configuration([], others))).toEqual([
    'onTerm: stop → leave: takes effect at the next start',
    'services.finger.a.x: 1 → 2',
    'services.web: not given → {"a":{}}',
    'allow: [] → ["a.x"]',
  ]);
});
