import { statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { errorText, errorTextForCode } from './error-text.ts';

test.each([
  ['ENOENT', 'file does not exist'],
  ['EACCES', 'access denied'],
  ['EPERM', 'permission denied'],
  ['EAGAIN', 'temporary failure'],
  ['ENXIO', 'device not configured'],
  ['ENOSPC', 'out of disk space'],
  ['ENOTSUP', 'operation not supported'],
  ['ENOSUCH', 'unknown error'],
])('%s reads "%s"', (code, text) => {
  expect(errorTextForCode(code)).toBe(text);
});

test('an error thrown by Node is told in the words for its code', () => {
  expect.assertions(1);
  try {
    statSync('/dev/null/x');
  } catch (error) {
    expect(errorText(error)).toBe('not a directory');
  }
});

test('an error that Node has no name for is told by its number', () => {
  const quota = Object.assign(new Error('Unknown system error -122'), {
    errno: -122,
    code: 'Unknown system error -122',
  });
  expect(errorText(quota)).toBe('disk quota exceeded');
});

test('what is no error of the system is an unknown error', () => {
  expect(errorText(new Error('no code'))).toBe('unknown error');
  expect(errorText('ENOENT')).toBe('unknown error');
  expect(errorText(undefined)).toBe('unknown error');
});
