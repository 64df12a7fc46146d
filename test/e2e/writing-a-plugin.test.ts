/** docs/writing-a-plugin.md, followed: what it shows is what is created, its code compiles and passes its tests, and the plugin works. */
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { machinePath } from './support/packages.ts';
import { run } from './support/run.ts';
import type { Outcome } from './support/run.ts';
import { start } from './support/start.ts';
import { linesOf } from './support/supervised.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

const rootDir = join(import.meta.dirname, '../..');
const page = readFileSync(join(rootDir, 'docs/writing-a-plugin.md'), 'utf8');
const creator = join(rootDir, 'packages/create-daemontap-plugin/bin/create-daemontap-plugin.js');

/** The files of the page: a block of code below a line that names it. */
const files = [...page.matchAll(/^`(src\/[^`\n]+)`\n\n```ts\n(.*?)^```$/gms)].map(([, path = '', text = '']) => ({
  path,
  text,
}));

/** Runs a program of Node as it is installed in the repository. */
function runNode(program: string, words: readonly string[], cwd: string): Promise<Outcome> {
  const env = { PATH: '/usr/bin:/bin', HOME: '/', NO_COLOR: '1' };
  return run([process.execPath, program, ...words], { cwd, env, timeoutMs: 60_000 });
}

const here = temporaryDirectory();
const dir = here.join('log-files');
beforeAll(async () => {
  expect(await runNode(creator, ['log-files', dir, '--kind', 'log-sink'], here.path)).toMatchObject({ code: 0 });
  symlinkSync(join(rootDir, 'node_modules'), join(dir, 'node_modules'));
});

afterAll(() => here[Symbol.asyncDispose]());

test('every block of TypeScript is a file', () => {
  expect(files.map(({ path }) => path)).toEqual([
    'src/index.ts',
    'src/starts.ts',
    'src/index.test.ts',
    'src/starts.test.ts',
  ]);
  expect(page.match(/^```ts$/gm)).toHaveLength(files.length);
});

test.each(['src/index.ts', 'src/index.test.ts'])('%s is as it is created', (path) => {
  const shown = files.find((file) => file.path === path);
  expect(shown?.text).toBe(readFileSync(join(dir, path), 'utf8'));
});

test('the code compiles, and its tests pass', async () => {
  for (const { path, text } of files) writeFileSync(join(dir, path), text);
  const compiled = await runNode(join(rootDir, 'node_modules/typescript/bin/tsc'), [], dir);
  expect(compiled).toEqual({ code: 0, signal: undefined, stdout: '', stderr: '' });
  const { code, stdout, stderr } = await runNode(
    join(rootDir, 'node_modules/vitest/vitest.mjs'),
    ['run', '--dir', 'src'],
    dir,
  );
  expect([code, stderr, stdout]).toEqual([0, '', expect.stringMatching(/Test Files +2 passed \(2\)/)]);
});

test('the kinds and the options that the page names are those that there are', async () => {
  const { stdout } = await runNode(creator, ['--help'], here.path);
  const kinds = [...stdout.matchAll(/--kind (\S+) {2,}/g)].map(([, kind]) => kind);
  const named = [...page.matchAll(/^\| `([a-z-]+)` \| /gm)].map(([, kind]) => kind);
  expect(kinds).not.toEqual([]);
  expect(named).toEqual(expect.arrayContaining(kinds));
});

test('what the page tells to type shows that the plugin works', async () => {
  const [, typed = ''] = /^## Try it\n.*?^```sh\n(.*?)^```$/ms.exec(page) ?? [];
  expect(typed).toMatch(/^npx daemontap up \/tmp\/try$/m);
  const script = typed
    .replaceAll('/tmp/try', here.join('try'))
    .replaceAll('npx daemontap', join(rootDir, 'packages/cli/bin/daemontap'))
    .replace(/^(?=\S*daemontap up )/m, 'exec ');
  await using shell = start(['/bin/sh', '-e', '-c', script], { cwd: dir, env: { PATH: machinePath(), HOME: dir } });
  const log = here.join('try-logs/hello.log');
  await until(() => linesOf(log)[0] === 'hello', {
    describe: 'the service has written its line',
    state: () => shell.stdout() + shell.stderr(),
  });
  expect(shell.stdout()).toContain('try/daemontap.config.yaml: 8 plugins, 1 service: well\n');
  expect(shell.stdout()).toMatch(
    /^log-files +0\.1\.0 .*\/log-files\/dist\/index\.js +plugins\[0\] in daemontap\.config\.yaml/m,
  );
  process.kill(shell.pid, 'SIGINT');
  expect(await shell.exit).toEqual({ code: 0, signal: undefined });
  expect(shell.pids()).toEqual([]);
});
