/** Names to files. */
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packageFiles, testDirectory } from './directory.test-support.ts';
import { packageNames, resolveModule, versionOf } from './resolve.ts';

test.each([
  ['plugin', 'x', ['daemontap-plugin-x', '@daemontap/x', 'x']],
  ['plugin', '@me/x', ['@me/daemontap-plugin-x', '@me/x']],
  ['plugin', 'daemontap-plugin-x', ['daemontap-plugin-x']],
  ['plugin', '@me/daemontap-plugin-x', ['@me/daemontap-plugin-x']],
  ['preset', 'x', ['daemontap-preset-x', '@daemontap/preset-x', 'x']],
  ['preset', '@me/x', ['@me/daemontap-preset-x', '@me/x']],
] as const)('a %s called %s may be %j', (kind, name, names) => {
  expect(packageNames(kind, name)).toEqual(names);
});

describe('a package', () => {
  const entry = (manifest: object): unknown => {
    using dir = testDirectory({
      ...packageFiles('x', '', manifest),
      'node_modules/x/lib/a.js': '',
      'node_modules/x/lib/b.js': '',
    });
    const resolved = resolveModule({ kind: 'plugin', name: 'x', fromDir: dir.path });
    const text = 'file' in resolved ? resolved.file : resolved.problem;
    return text.replaceAll(dir.path, 'DIR').replace('DIR/node_modules/x/', '');
  };

  test.each([
    [{ exports: './lib/a.js' }, 'lib/a.js'],
    [{ exports: { '.': './lib/a.js' } }, 'lib/a.js'],
    [{ exports: { import: './lib/a.js' } }, 'lib/a.js'],
    [{ exports: { '.': { require: './lib/b.js', import: './lib/a.js' } } }, 'lib/a.js'],
    [{ exports: { '.': { types: './lib/a.d.ts', default: './lib/a.js' } } }, 'lib/a.js'],
    [
      { exports: { '.': { browser: './lib/b.js', node: { require: './lib/b.js' }, default: './lib/a.js' } } },
      'lib/a.js',
    ],
    [{ exports: { '.': { node: { import: { default: './lib/a.js' } }, default: './lib/b.js' } } }, 'lib/a.js'],
    [{ exports: { '.': ['other:thing', { require: './lib/b.js' }, './lib/a.js'] } }, 'lib/a.js'],
    [{ main: 'lib/a.js' }, 'lib/a.js'],
    [{ main: './lib/a' }, 'lib/a.js'],
    [{}, 'index.js'],
    [{ exports: null, main: 'lib/a.js' }, 'lib/a.js'],
  ])('with %j is entered at %s', (manifest, file) => {
    expect(entry(manifest)).toBe(file);
  });

  const useless = 'the package in DIR/node_modules/x exports nothing that can be imported';
  const lacking = 'the package in DIR/node_modules/x lacks the file that its package.json names; was it built?';
  test.each([
    [{ exports: {} }, useless],
    [{ exports: { require: './lib/a.js' } }, useless],
    [{ exports: { './sub': './lib/a.js' } }, useless],
    [{ exports: { '.': null } }, useless],
    [{ exports: { import: null, default: './lib/a.js' } }, useless],
    [{ exports: './../y/a.js' }, useless],
    [{ exports: 'lib/a.js' }, useless],
    [{ exports: './dist/index.js' }, lacking],
  ])('with %j is of no use', (manifest, problem) => {
    expect(entry(manifest)).toBe(problem);
  });

  test('with a broken package.json is named', () => {
    using dir = testDirectory({ 'node_modules/x/package.json': '{' });
    expect(resolveModule({ kind: 'plugin', name: 'x', fromDir: dir.path })).toEqual({
      problem: expect.stringMatching(/^the package in .*\/node_modules\/x has a package\.json that cannot be read: ./),
    });
  });
});

test('packages are found in the directory and above it, the nearest first, and each name in turn', () => {
  using dir = testDirectory({
    ...packageFiles('daemontap-plugin-x', ''),
    'in/node_modules/x/index.js': '',
    'in/node_modules/y/index.js': '',
    'node_modules/y/index.js': '',
  });
  const file = (name: string): unknown => resolveModule({ kind: 'plugin', name, fromDir: join(dir.path, 'in') });
  expect(file('x')).toEqual({ file: join(dir.path, 'node_modules/daemontap-plugin-x/index.js') });
  expect(file('y')).toEqual({ file: join(dir.path, 'in/node_modules/y/index.js') });
});

test('then where the programs are installed', () => {
  using dir = testDirectory();
  expect(resolveModule({ kind: 'plugin', name: 'pino', fromDir: dir.path })).toEqual({
    file: expect.stringMatching(/\/node_modules\/pino\/pino\.js$/),
  });
});

test('the file is the one that links lead to', () => {
  using dir = testDirectory({ 'real/index.js': '', 'real/package.json': '{}' });
  mkdirSync(join(dir.path, 'node_modules'));
  symlinkSync('../real', join(dir.path, 'node_modules/linked'));
  expect(resolveModule({ kind: 'plugin', name: 'linked', fromDir: dir.path })).toEqual({
    file: join(dir.path, 'real/index.js'),
  });
});

test('paths begin where the configuration lies', () => {
  using dir = testDirectory({ 'a.js': '', 'package/package.json': { exports: './b.js' }, 'package/b.js': '' });
  const resolved = (name: string): unknown =>
    resolveModule({ kind: 'plugin', name, fromDir: join(dir.path, 'package') });
  expect(resolved('../a.js')).toEqual({ file: join(dir.path, 'a.js') });
  expect(resolved(join(dir.path, 'a.js'))).toEqual({ file: join(dir.path, 'a.js') });
  expect(resolved('../package')).toEqual({ file: join(dir.path, 'package/b.js') });
  expect(resolved('./')).toEqual({ file: join(dir.path, 'package/b.js') });
  expect(resolved('./c.js')).toEqual({ problem: `there is no file ${join(dir.path, 'package/c.js')}` });
});

test.each(['a/b', '@a', '.x', 'a b', '@a/b/c', '..'])('%j is no name of a package', (name) => {
  expect(resolveModule({ kind: 'plugin', name, fromDir: '/' })).toEqual({
    problem: `${JSON.stringify(name)} is no name of a package; that of a file begins with ./ or /`,
  });
});

test('the version is that of the nearest package.json that has one', () => {
  using dir = testDirectory({ 'package.json': { version: '4.5.6' }, 'dist/package.json': { type: 'module' } });
  expect(versionOf(join(dir.path, 'dist/x.js'))).toBe('4.5.6');
  expect(versionOf('/nowhere/x.js')).toBeUndefined();
});
