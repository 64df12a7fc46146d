import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KINDS } from './create-plugin.ts';
import { main } from './main.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'daemontap-create-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const repositoryDir = join(import.meta.dirname, '../../..');
const read = (...names: readonly string[]): string => readFileSync(join(dir, ...names), 'utf8');
const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
const { version } = readJson(join(repositoryDir, 'lerna.json')) as { version: string }; // our own file

/** Runs the program in the test's directory. */
function create(...words: readonly string[]): { code: number; out: string; err: string } {
  let [out, err] = ['', ''];
  const code = main(words, { cwd: dir, out: (text) => (out += text), err: (text) => (err += text) });
  return { code, out, err };
}

const filesOf = (name: string): readonly string[] =>
  readdirSync(join(dir, name), { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name).slice(join(dir, name).length + 1))
    .toSorted();

describe.each(Object.keys(KINDS))('--kind %s', (kind) => {
  test('writes a whole package, with nothing left to fill in', () => {
    const { code, out, err } = create('log-to-disk', '--kind', kind);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toBe(
      'daemontap-plugin-log-to-disk: 7 files in daemontap-plugin-log-to-disk; its README.md says what they are\n' +
        'next: cd daemontap-plugin-log-to-disk && npm install && npm run build && npm test\n',
    );
    const files = filesOf('daemontap-plugin-log-to-disk');
    expect(files).toEqual([
      '.gitignore',
      'LICENSE',
      'README.md',
      'package.json',
      'src/index.test.ts',
      'src/index.ts',
      'tsconfig.json',
    ]);
    const placeholders =
      /\b(PACKAGE_NAME|SHORT_NAME|PLUGIN_NAME|factoryName|DAEMONTAP_VERSION|CURRENT_YEAR|ABOUT_THE_KIND)\b/;
    for (const file of files)
      expect([file, placeholders.exec(read('daemontap-plugin-log-to-disk', file))]).toEqual([file, null]);
    expect(read('daemontap-plugin-log-to-disk/src/index.ts')).toContain('export const logToDisk = definePlugin({');
    expect(read('daemontap-plugin-log-to-disk/README.md')).toContain('[log-to-disk, {');
  });

  test('names in code only what is not there already', () => {
    create('schema', '--kind', kind);
    const source = read('daemontap-plugin-schema/src/index.ts');
    expect(source).toContain('export const schemaPlugin = definePlugin({');
    expect(source).toContain("name: 'schema'");
  });
});

test('a scoped name is used where npm and the configuration ask for it', () => {
  create('@our-org/rotate', 'somewhere/else');
  const manifest = readJson(join(dir, 'somewhere/else/package.json'));
  expect(manifest).toMatchObject({ name: '@our-org/daemontap-plugin-rotate', publishConfig: { access: 'public' } });
  expect(read('somewhere/else/README.md')).toContain('[@our-org/rotate, {');
  expect(read('somewhere/else/src/index.ts')).toContain("name: 'rotate'");
});

test('the package asks for this version of daemontap, and for what this repository is made with', () => {
  interface Manifest {
    readonly dependencies: Readonly<Record<string, string>>;
    readonly devDependencies: Readonly<Record<string, string>>;
  }
  create('rotate');
  const created = readJson(join(dir, 'daemontap-plugin-rotate/package.json')) as Manifest; // made by our template
  const { devDependencies: ours } = readJson(join(repositoryDir, 'package.json')) as Manifest; // our own file
  const { valibot } = (readJson(join(repositoryDir, 'packages/cli/package.json')) as Manifest).dependencies; // the same
  expect(created.dependencies).toEqual({ '@daemontap/kernel': `^${version}`, valibot });
  const { '@daemontap/cli': cli, '@daemontap/testkit': testkit, ...others } = created.devDependencies;
  expect([cli, testkit]).toEqual([`^${version}`, `^${version}`]);
  expect(others).toEqual(Object.fromEntries(Object.keys(others).map((name) => [name, ours[name]])));
});

test('an empty directory is taken, also this one', () => {
  expect(create('rotate', '.')).toMatchObject({ code: 0, out: expect.stringContaining('next: npm install') });
  expect(filesOf('.')).toContain('package.json');
});

test('a directory with something in it is left as it is', () => {
  mkdirSync(join(dir, 'daemontap-plugin-rotate'));
  writeFileSync(join(dir, 'daemontap-plugin-rotate/precious'), 'as it was');
  const path = join(dir, 'daemontap-plugin-rotate');
  expect(create('rotate')).toEqual({
    code: 100,
    out: '',
    err: `create-daemontap-plugin: fatal: unable to create a plugin in ${path}: the directory is not empty\n`,
  });
  expect(filesOf('daemontap-plugin-rotate')).toEqual(['precious']);
});

test('what the system refuses is said with its reason', () => {
  writeFileSync(join(dir, 'file'), '');
  expect(create('rotate', 'file/below')).toEqual({
    code: 111,
    out: '',
    err: `create-daemontap-plugin: fatal: unable to create ${join(dir, 'file/below')}: not a directory\n`,
  });
});

const usage = 'usage: create-daemontap-plugin name [directory] [--kind control-transport|log-sink|spawn|other]';
test.each([
  [[], usage],
  [['a', 'b', 'c'], usage],
  [['a', '--colour'], `unknown option '--colour'; ${usage}`],
  [
    ['a', '--kind', 'toString'],
    'unable to make a plugin of kind "toString": the kinds are control-transport, log-sink, spawn, other',
  ],
])('%j is refused, and nothing is written', (words, reason) => {
  expect(create(...words)).toEqual({ code: 100, out: '', err: `create-daemontap-plugin: fatal: ${reason}\n` });
  expect(readdirSync(dir)).toEqual([]);
});

test('--version and --help answer and write nothing', () => {
  expect(create('--version')).toEqual({ code: 0, out: `create-daemontap-plugin ${version}\n`, err: '' });
  expect(create('--help')).toMatchObject({ code: 0, err: '' });
  for (const kind of Object.keys(KINDS)) expect(create('-h').out).toContain(`--kind ${kind}`);
  expect(readdirSync(dir)).toEqual([]);
});
