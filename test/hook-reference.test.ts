/** That docs/hooks.md is what the kernel's sources say, and that what the sources leave out is an error. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createHooks } from '../packages/kernel/src/hooks.ts';
import { declaredHooks, hookPage, hookReference, kernelSource } from './hook-reference.ts';
import type { ReadSource } from './hook-reference.ts';

const page = readFileSync(join(import.meta.dirname, '../docs/hooks.md'), 'utf8');

test('docs/hooks.md is what `npm run docs` makes', () => {
  expect(page).toBe(hookPage(page));
});

test('a change of the page between its marks is undone, and one before them is kept', () => {
  const changed = page.replace('# Hooks', '# All hooks').replace('| deadline | none |', '| deadline | a day |');
  expect(hookPage(changed)).toBe(page.replace('# Hooks', '# All hooks'));
});

describe('the hooks of KernelHooks', () => {
  const declared = declaredHooks(kernelSource);

  test('are those that createHooks makes, of the classes that their types name', () => {
    const made = Object.entries(createHooks()).map(([name, hook]) => [name, hook.constructor.name]);
    expect(made).toEqual(declared.map(({ name, hookClass }) => [name, hookClass]));
  });

  test.each(declared)('$name is of the kind that its guard and its first word say', ({ hookClass, guard, doc }) => {
    expect(hookClass.startsWith('Async')).toBe(guard === 'ASKING');
    expect(doc.text.split(' ')[0]).toBe(guard === 'TELLING' ? 'Tells' : 'Asks');
  });
});

describe('hooks.ts is refused', () => {
  test.each([
    ['without a tag that a row needs', '   * @calledBy A service or its log', '   * A service or its log', /called by/],
    [
      'with a tag that no row shows',
      '@failure This start is refused, never',
      '@fails This start is refused, never',
      /@fails/,
    ],
    [
      'with a tag that is there twice',
      '@failure This start is refused, never',
      '@before This start',
      /two tags @before/,
    ],
    ['with an argument that has no name', '[watch: ScanWatch]', '[ScanWatch]', /has no name/],
    ['with a class that is not known', 'SyncHook<[watch', 'SyncLoopHook<[watch', /SyncLoopHook/],
    ['with a hook that guard.ts does not know', 'readonly reported:', 'readonly said:', /guard of said/],
  ])('%s', (_title, from, to, message) => {
    expect(kernelSource('hooks.ts')).toContain(from);
    const read: ReadSource = (path) =>
      path === 'hooks.ts' ? kernelSource(path).replace(from, to) : kernelSource(path);
    expect(() => hookReference(read)).toThrow(message);
  });
});

test('the deadline and the types are those of the code', () => {
  const read: ReadSource = (path) =>
    kernelSource(path)
      .replace('ANSWER_DEADLINE_NS = 10_000_000_000n', 'ANSWER_DEADLINE_NS = 2_500_000_000n')
      .replace('[service: ServiceDirectory, pid: number]', '[service: ServiceDirectory, pid: bigint]');
  expect(hookReference(read)).toContain('| deadline | 2.5 seconds for each tap |');
  expect(hookReference(read)).toContain(
    '| arguments | `service`: [`ServiceDirectory`](#servicedirectory); `pid`: `bigint` |',
  );
});
