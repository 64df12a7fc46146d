/** Files for tests of configurations: a directory of each test's own, and modules of plugins in it. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A directory with these files, by path and text; gone when it is disposed of. */
export interface TestDirectory extends Disposable {
  readonly path: string;
  /** Writes a file, and the directories above it, and gives its path. */
  write(name: string, content: string | object): string;
}

/** Makes an empty directory, which is this user's alone, with these files in it. */
export function testDirectory(files: Readonly<Record<string, string | object>> = {}): TestDirectory {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'daemontap-test-')));
  const write = (name: string, content: string | object): string => {
    const place = join(path, name);
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, typeof content === 'string' ? content : JSON.stringify(content));
    return place;
  };
  for (const [name, content] of Object.entries(files)) write(name, content);
  return { path, write, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/**
 * The module of a plugin, as definePlugin would make it, that depends on nothing. Its options are numbers, of these
 * names; -1 is no valid one.
 */
export function pluginModule(
  name: string,
  { options, requires, apiVersion = 1, as = 'plugin' }: PluginModule = {},
): string {
  const schema =
    options &&
    `{
      entries: ${JSON.stringify(Object.fromEntries(options.map((each) => [each, {}])))},
      '~standard': { version: 1, vendor: 'test', validate: (value) => {
        const issues = Object.keys(value).filter((key) => value[key] === -1)
          .map((key) => ({ message: 'must not be negative', path: [key] }));
        return issues.length > 0 ? { issues } : { value };
      } },
    }`;
  const definition = `{ name: '${name}', apiVersion: ${apiVersion}, schema: ${schema}, requires: ${JSON.stringify(requires)} }`;
  return `export const ${as} = Object.assign(
    (options = {}) => ({ name: '${name}', apiVersion: ${apiVersion}, requires: ${JSON.stringify(requires)}, given: options, apply() {} }),
    { definition: ${definition} },
  );\n`;
}

/** What is not as usual about a plugin. */
export interface PluginModule {
  readonly options?: readonly string[];
  readonly requires?: readonly string[];
  readonly apiVersion?: number;
  /** The name of the export. */
  readonly as?: string;
}

/** A package in `node_modules` of a directory, whose entry is this text. */
export function packageFiles(
  name: string,
  content: string,
  manifest: object = { exports: { '.': { types: './index.d.ts', default: './index.js' } } },
): Readonly<Record<string, string | object>> {
  const dir = `node_modules/${name}`;
  return {
    [`${dir}/package.json`]: { name, version: '1.2.3', type: 'module', ...manifest },
    [`${dir}/index.js`]: content,
  };
}
