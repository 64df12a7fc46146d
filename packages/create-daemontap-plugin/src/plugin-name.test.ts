import { expect, test } from 'vitest';
import { parsePluginName } from './plugin-name.ts';

test.each(['log-to-disk', 'daemontap-plugin-log-to-disk'])('%s has the names that follow from it', (given) => {
  expect(parsePluginName(given)).toEqual({
    packageName: 'daemontap-plugin-log-to-disk',
    shortName: 'log-to-disk',
    pluginName: 'log-to-disk',
    factoryName: 'logToDisk',
    directory: 'daemontap-plugin-log-to-disk',
  });
});

test.each(['@our.org/rotate', '@our.org/daemontap-plugin-rotate'])('%s keeps its scope', (given) => {
  expect(parsePluginName(given)).toEqual({
    packageName: '@our.org/daemontap-plugin-rotate',
    shortName: '@our.org/rotate',
    pluginName: 'rotate',
    factoryName: 'rotate',
    directory: 'daemontap-plugin-rotate',
  });
});

test('a name that code cannot use as it is gets another word', () => {
  expect(parsePluginName('new').factoryName).toBe('newPlugin');
});

test.each([
  '',
  'Rotate',
  '2nd',
  'a_b',
  'a--b',
  'a-',
  '-a',
  'a/b',
  '@scope/',
  '@Scope/a',
  '../a',
  'a b',
  'a\n',
  'daemontap-plugin-',
])('%j is refused, with the rule', (given) => {
  const message = `unable to call a plugin ${JSON.stringify(given)}: a name has lower-case letters and digits`;
  expect(() => parsePluginName(given)).toThrow(
    expect.objectContaining({ exitCode: 100, message: expect.stringContaining(message) }),
  );
});

test('a name that is too long for npm is refused', () => {
  expect(parsePluginName('a'.repeat(197)).packageName).toHaveLength(214);
  expect(() => parsePluginName('a'.repeat(198))).toThrow('215 characters are more than npm takes');
});
