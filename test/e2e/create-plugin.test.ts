/**
 * What `npm create daemontap-plugin` makes: every kind of plugin builds, passes the linter and its contract suite, with
 * our packages as npm would have them. Needs the registry, for what these depend on.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createPlugins, runCreator } from './support/created-plugins.ts';
import type { CreatedPlugins } from './support/created-plugins.ts';
import { NPM_TIMEOUT_MS, machinePath, npm, registryObstacle } from './support/packages.ts';
import { run } from './support/run.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

const wishes = [
  { kind: 'control-transport', name: 'command-socket', tests: 'controlTransportContract({', atLeast: 20 },
  { kind: 'log-sink', name: '@our-org/log-files', tests: 'logSinkContract({', atLeast: 17 },
  { kind: 'spawn', name: 'variables', tests: 'spawnPluginContract({', atLeast: 13 },
  { kind: 'other', name: 'new', tests: 'simulateScan({', atLeast: 3 },
];

const here = temporaryDirectory();
const node20Dir = here.join('node20/node_modules/node20/bin');
let created: CreatedPlugins | undefined;
let unreachable: string | undefined;

beforeAll(async () => {
  unreachable = await registryObstacle();
  if (unreachable !== undefined) {
    console.log(`skipped: all tests of what npm create daemontap-plugin makes; ${unreachable}`);
    return;
  }
  mkdirSync(here.join('node20'));
  await npm(['install', '--prefix', here.join('node20'), `node20@npm:node-linux-${process.arch}@20`]);
  created = await createPlugins({ here, wishes, nodeDir: node20Dir });
  rmSync(ownNodeLink(), { force: true });
}, 3 * NPM_TIMEOUT_MS);

afterAll(() => here[Symbol.asyncDispose]());

beforeEach(({ skip }) => {
  if (unreachable !== undefined) skip(unreachable);
});

const plugins = (): CreatedPlugins => {
  if (created === undefined) throw new Error('the plugins were not created');
  return created;
};

/** npm 11 puts the Node that comes with the package in the way of all scripts; npm 10 and older make no such link. */
function ownNodeLink(): string {
  return join(plugins().dir, 'node_modules/.bin/node');
}

describe.each(wishes)('a plugin of kind $kind', ({ name, tests, atLeast }) => {
  test('builds, without its tests being published', async () => {
    expect(await plugins().runScript(name, 'build')).toEqual({ code: 0, signal: undefined, stdout: '', stderr: '' });
    const [packed] = Object.values(
      JSON.parse(await npm(['pack', '--dry-run', '--json'], { cwd: plugins().dirOf(name) })) as readonly {
        readonly files: readonly { readonly path: string }[];
      }[], // npm's own
    );
    expect(packed?.files.map(({ path }) => path).toSorted()).toEqual([
      'LICENSE',
      'README.md',
      'dist/index.d.ts',
      'dist/index.js',
      'package.json',
    ]);
  });

  test('passes the linter', async () => {
    expect(await plugins().runScript(name, 'lint')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Found 0 warnings and 0 errors.'),
    });
  });

  test('passes its tests, the contract suite of its kind among them', async () => {
    const { code, stdout, stderr } = await plugins().runScript(name, 'test');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [, passed] = /Tests +(\d+) passed \(\1\)/.exec(stdout) ?? [];
    expect(Number(passed)).toBeGreaterThanOrEqual(atLeast);
    expect(readFileSync(join(plugins().dirOf(name), 'src/index.test.ts'), 'utf8')).toContain(tests);
  });
});

test('a plugin that breaks its contract fails its tests', async () => {
  const file = join(plugins().dirOf('variables'), 'src/index.ts');
  const source = readFileSync(file, 'utf8');
  writeFileSync(file, source.replace('...plan,', ''));
  try {
    const { code, stdout } = await plugins().runScript('variables', 'test');
    expect([code, stdout]).toEqual([1, expect.stringContaining('hands on fields of a plan that it does not know')]);
  } finally {
    writeFileSync(file, source);
  }
});

test('the scripts above have run on Node 20, with the tests alone on the Node that comes with the package', async () => {
  const env = { PATH: [node20Dir, machinePath()].join(delimiter) };
  const versionOf = async (...words: readonly string[]): Promise<string> =>
    (await run([...words, 'node', '--version'], { cwd: plugins().dir, env })).stdout;
  expect(await versionOf('/usr/bin/env')).toMatch(/^v20\./);
  const daemontapNode = join(plugins().dir, 'node_modules/.bin/daemontap-node');
  expect(await versionOf(daemontapNode)).toMatch(/^v2[6-9]\./);
  expect(existsSync(ownNodeLink())).toBe(false);
});

test('on Node 20, a second call overwrites nothing and says so', async () => {
  const before = readdirSync(plugins().dirOf('variables'));
  expect(await runCreator(here, ['variables', plugins().dirOf('variables')], { nodeDir: node20Dir })).toEqual({
    code: 100,
    signal: undefined,
    stdout: '',
    stderr: `create-daemontap-plugin: fatal: unable to create a plugin in ${plugins().dirOf('variables')}: the directory is not empty\n`,
  });
  expect(readdirSync(plugins().dirOf('variables'))).toEqual(before);
});
