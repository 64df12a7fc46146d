/** Finding and reading a configuration that is data; code has tests of its own. */
import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { testDirectory } from './directory.test-support.ts';
import { configurationNames, findConfiguration } from './find.ts';
import { readConfiguration } from './read.ts';

const uid = process.geteuid?.() ?? 0;

async function reading(name: string, content: string): Promise<unknown> {
  using dir = testDirectory({ [name]: content });
  try {
    return await readConfiguration({ path: join(dir.path, name), label: name, environment: process.env, uid });
  } catch (error) {
    return String(error).replaceAll(dir.path, 'DIR');
  }
}

describe('finding', () => {
  test.each(configurationNames)('%s is found', (name) => {
    using dir = testDirectory({ [name]: '', 'package.json': '{}', '.daemontaprc': '{}' });
    expect(findConfiguration(dir.path)).toBe(join(dir.path, name));
  });

  test('other names and directories above are not looked at', () => {
    using dir = testDirectory({
      'daemontap.config.json': '{}',
      'below/daemontap.config.json~': '',
      'below/daemontap.config.d.ts': '',
      'below/.daemontaprc': '{}',
      'below/package.json': { daemontap: {} },
    });
    expect(findConfiguration(join(dir.path, 'below'))).toBeUndefined();
  });

  test('two at once are refused', () => {
    using dir = testDirectory({ 'daemontap.config.yml': '', 'daemontap.config.ts': '' });
    expect(() => findConfiguration(dir.path)).toThrow(
      `${dir.path}: there is more than one configuration: daemontap.config.yml and daemontap.config.ts; keep one of them`,
    );
  });

  test('a directory that is not there is named', () => {
    expect(() => findConfiguration('/nowhere')).toThrow('/nowhere: unable to read directory: file does not exist');
  });
});

describe('reading', () => {
  test('JSON and YAML are read', async () => {
    const value = { plugins: ['a', ['b', { c: 1 }]] };
    expect(await reading('x.json', `\uFEFF${JSON.stringify(value)}\n`)).toEqual(value);
    expect(await reading('x.yaml', '# mine\nplugins:\n  - a\n  - [b, { c: 1 }]\n')).toEqual(value);
    expect(await reading('x.yml', 'log: json')).toEqual({ log: 'json' });
  });

  test.each([
    ['x.json', '{"a":tru}', "x.json:1:9: unexpected token '}'"],
    ['x.json', '{\n  "plugins": [\n    "a",\n  ]\n}\n', "x.json:4:3: unexpected token ']'"],
    ['x.json', '{\n "a": 1\n "b": 2}', "x.json:3:2: expected ',' or '}' after property value"],
    ['x.json', '{"a": "b\nc"}', 'x.json:1:9: bad control character in string literal'],
    ['x.json', '{"a": 1', "x.json:1:8: expected ',' or '}' after property value"],
    ['x.json', '{"a":', 'x.json:1:6: unexpected end of JSON input'],
    ['x.json', '{} x', 'x.json:1:4: unexpected non-whitespace character after JSON'],
    ['x.yaml', 'a: 1\n b: [2\nc: 3\n', 'x.yaml:2:3: bad indentation of a mapping entry'],
    ['x.yaml', 'a: 1\na: 2\n', 'x.yaml:2:1: duplicated mapping key'],
    ['x.json', ' \n', 'x.json: it is empty; for the defaults write {}'],
    ['x.json', 'null', 'x.json: it is empty; for the defaults write {}'],
    ['x.yaml', '', 'x.yaml: it is empty; for the defaults write {}'],
    ['x.yaml', '# nothing\n', 'x.yaml: it is empty; for the defaults write {}'],
    ['x.yaml', 'a: .inf\nb: [.nan]', 'x.yaml: a: is Infinity\nx.yaml: b[0]: is NaN'],
    ['x.toml', 'a = 1', expect.stringContaining('x.toml: its name must end as in daemontap.config.json, ')],
  ])('%s %j is refused with its place', async (name, content, message) => {
    expect(await reading(name, content)).toEqual(
      typeof message === 'string' ? `ConfigurationError: ${message}` : message,
    );
  });

  test('YAML that repeats itself without end is refused', async () => {
    const lines = Array.from(
      { length: 12 },
      (_, n) =>
        `k${n}: &k${n} [${Array(12)
          .fill(n === 0 ? 'x' : `*k${n - 1}`)
          .join(', ')}]`,
    );
    expect(await reading('x.yaml', lines.join('\n'))).toMatch(/^ConfigurationError: x\.yaml: k\S+: is too large$/);
  });

  test('what is no file, or not there, is not waited for', async () => {
    using dir = testDirectory();
    mkdirSync(join(dir.path, 'x.json'));
    const read = (name: string): Promise<unknown> =>
      readConfiguration({ path: join(dir.path, name), label: name, environment: process.env, uid });
    await expect(read('x.json')).rejects.toThrow('x.json: unable to read file: it is not a file');
    await expect(read('y.json')).rejects.toThrow('y.json: unable to read file: file does not exist');
    expect(spawnSync('mkfifo', [join(dir.path, 'z.json')]).status).toBe(0);
    await expect(read('z.json')).rejects.toThrow('z.json: unable to read file: it is not a file');
  });

  test("cosmiconfig's own keys mean nothing", async () => {
    using dir = testDirectory({ 'other.json': { log: 'json' }, 'x.json': { $import: './other.json' } });
    const path = join(dir.path, 'x.json');
    expect(await readConfiguration({ path, label: 'x.json', environment: process.env, uid })).toEqual({
      $import: './other.json',
    });
  });

  test("cosmiconfig's own configuration in the current directory is not run", () => {
    using dir = testDirectory({ 'x.json': { log: 'json' }, 'package.json': '{ broken' });
    const evidence = join(dir.path, 'was-run');
    dir.write('.config/config.js', `require('node:fs').writeFileSync(${JSON.stringify(evidence)}, '')`);
    const script = `
      const { readConfiguration } = await import(${JSON.stringify(pathToFileURL(join(import.meta.dirname, 'read.ts')).href)});
      const value = await readConfiguration({ path: 'x.json', label: 'x.json', environment: {}, uid: 0 });
      console.log(JSON.stringify([value, process.cwd()]));`;
    const args = ['--conditions=@daemontap/source', '--input-type=module', '--eval', script];
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: dir.path, encoding: 'utf8' });
    expect([stderr, stdout, existsSync(evidence)]).toEqual([
      '',
      `${JSON.stringify([{ log: 'json' }, dir.path])}\n`,
      false,
    ]);
  });
});

describe('code', () => {
  test('is evaluated where its link leads', async () => {
    using dir = testDirectory({ 'real/x.mjs': 'export default { at: import.meta.dirname }' });
    symlinkSync('real/x.mjs', join(dir.path, 'x.mjs'));
    const path = join(dir.path, 'x.mjs');
    expect(await readConfiguration({ path, label: 'x.mjs', environment: process.env, uid })).toEqual({
      at: join(dir.path, 'real'),
    });
  });

  test.skipIf(uid !== 0)("as root, another's is not evaluated", async () => {
    using dir = testDirectory({ 'x.mjs': 'export default {}' });
    const path = join(dir.path, 'x.mjs');
    chownSync(path, 65_534, 65_534);
    await expect(readConfiguration({ path, label: 'x.mjs', environment: process.env, uid })).rejects.toThrow(
      `x.mjs: it belongs to user id 65534, and would be run as root: chown root ${path}`,
    );
  });
});
