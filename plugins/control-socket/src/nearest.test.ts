import { expect, test } from 'vitest';
import { nearestName } from './nearest.ts';

const names = ['finger', 'finger/log', 'nntp', 'a', 'Web'];

test.each([
  ['fingre', 'finger'],
  ['fingerd', 'finger'],
  ['finge', 'finger'],
  ['FINGER', 'finger'],
  ['finger/lgo', 'finger/log'],
  ['web', 'Web'],
  ['ntp', 'nntp'],
  ['np', undefined],
  ['smtp', undefined],
  ['b', undefined],
  ['', undefined],
  ['x'.repeat(65), undefined],
])('%s: %s', (word, expected) => {
  expect(nearestName(word, names)).toBe(expected);
});

test('of two the nearer one, and ten thousand long names are looked at in no time', () => {
  expect(nearestName('fingers', ['finder', 'finger', 'fingers2'])).toBe('finger');
  const many = Array.from({ length: 10_000 }, (_, index) => `${'x'.repeat(56)}${index}`);
  const beginMs = performance.now();
  expect(nearestName(`${'x'.repeat(56)}!!!!`, many)).toBeUndefined();
  expect(performance.now() - beginMs).toBeLessThan(1000); // each of them in full would take several
});
