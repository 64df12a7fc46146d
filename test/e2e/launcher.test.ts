/** The sh part of every program: finds its package and its Node from anywhere, and notes what Node would change. */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cleanEnvironment, run } from './support/run.ts';
import type { Argument, Outcome, RunOptions } from './support/run.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import type { TemporaryDirectory } from './support/temporary-directory.ts';

const rootDir = join(import.meta.dirname, '../..');
const ownNode = realpathSync(join(rootDir, `node_modules/node-linux-${process.arch}/bin/node`));
/** A shell under the name sh, each reads the launcher in its own way. */
const shells = ['dash', 'bash'].filter((name) => existsSync(`/bin/${name}`));
/** For perl, which is part of every Debian: lets go of what the test run itself was started with. */
const CLOSE_ALL = 'use POSIX; POSIX::close($_) for 3 .. 1023';

interface Report {
  readonly inherited?: readonly string[];
  readonly environment: readonly string[];
  readonly words: readonly string[];
  readonly program: string;
  readonly node: string;
  readonly nodeVariables: readonly string[];
}

/** An installation of the programs `svc` (plain) and `supervise` (exact), which print what they were given. */
function installation(here: TemporaryDirectory, { node = true } = {}): string {
  const dir = here.makeDirectory('app/node_modules/@daemontap/cli');
  for (const part of ['bin', 'launch'])
    cpSync(join(rootDir, 'packages/cli', part), join(dir, part), { recursive: true });
  mkdirSync(join(dir, 'dist'));
  for (const group of ['clients', 'supervisors'])
    cpSync(join(rootDir, 'test/fixtures/report-start.cjs'), join(dir, 'dist', `${group}.cjs`));
  const modulesDir = here.join('app/node_modules');
  mkdirSync(join(modulesDir, '.bin'));
  for (const name of ['svc', 'supervise']) symlinkSync(`../@daemontap/cli/bin/${name}`, join(modulesDir, '.bin', name));
  if (node) symlinkSync(join(ownNode, '../..'), join(modulesDir, `node-linux-${process.arch}`));
  return modulesDir;
}

async function report(argv: readonly Argument[], options: RunOptions = {}): Promise<Report> {
  const outcome = await run(argv, options);
  expect({ ...outcome, stdout: '' }).toEqual({ code: 0, signal: undefined, stdout: '', stderr: '' });
  return JSON.parse(Buffer.from(outcome.stdout, 'latin1').toString()) as Report; // of the fixture's making
}

describe.each(['svc', 'supervise'])('%s', (name) => {
  test('is found directly, through node_modules/.bin, through PATH and through links', async () => {
    await using here = temporaryDirectory();
    const modulesDir = installation(here);
    const direct = join(modulesDir, '@daemontap/cli/bin', name);
    const linked = join(modulesDir, '.bin', name);
    here.makeDirectory('else where');
    symlinkSync(`../app/node_modules/.bin/${name}`, here.join('else where/relative'));
    symlinkSync(here.join('else where/relative'), here.join('absolute'));
    symlinkSync('absolute', here.join('deep'));
    for (const file of [direct, linked, here.join('else where/relative'), here.join('absolute'), here.join('deep')]) {
      expect(await report([file, 'a b'])).toMatchObject({ words: ['a b'], program: file, node: ownNode });
    }
    for (const file of [`./${name}`, `../.bin/${name}`]) {
      expect(await report([file], { cwd: join(modulesDir, '.bin') })).toMatchObject({ node: ownNode });
    }
    const binDir = join(modulesDir, '.bin');
    for (const path of [`${binDir}:/usr/bin:/bin`, `.:/usr/bin:/bin`, `:/usr/bin:/bin`]) {
      const env = { ...cleanEnvironment, PATH: path };
      expect(await report(['/bin/sh', '-c', `exec ${name} x`], { cwd: binDir, env })).toMatchObject({ words: ['x'] });
    }
    expect(await report(['/bin/sh', name], { cwd: binDir })).toMatchObject({ node: ownNode });
  });

  test('needs neither PATH nor any other variable', async () => {
    await using here = temporaryDirectory();
    const modulesDir = installation(here);
    symlinkSync(join(modulesDir, '.bin', name), here.join('far'));
    expect(await report([here.join('far')], { env: {} })).toMatchObject({ node: ownNode });
    expect(await report([here.join('far')], { env: { PATH: '/nonexist' } })).toMatchObject({ node: ownNode });
  });

  test.each(shells)('passes arguments on byte for byte (%s)', async (shell) => {
    await using here = temporaryDirectory();
    const file = join(installation(here), '.bin', name);
    const everyByte = Uint8Array.from({ length: 255 }, (_, index) => index + 1);
    const { words } = await report([`/bin/${shell}`, file, '', everyByte, '--', '-x', '*', '']);
    expect(words).toEqual(['', Buffer.from(everyByte).toString('latin1'), '--', '-x', '*', '']);
  });

  test('keeps away from Node what would change its behaviour', async () => {
    await using here = temporaryDirectory();
    const file = join(installation(here), '.bin', name);
    const env = {
      ...cleanEnvironment,
      NODE_OPTIONS: '--no-such-option',
      NODE_CHANNEL_FD: '99',
      NODE_DEBUG: 'fs,module',
      NODE_EXTRA_CA_CERTS: '/nonexist',
      NODE_PATH: '/nonexist',
      NODE_REDIRECT_WARNINGS: '/nonexist/x',
      NODE_REPL_EXTERNAL_MODULE: '/nonexist',
      NODE_V8_COVERAGE: here.join('coverage'),
      OPENSSL_CONF: '/dev/stdin',
    };
    expect(await report([file], { env })).toMatchObject({ node: ownNode, nodeVariables: [] });
  });

  test('without a Node, or with one that is too old, it says so and exits 111', async () => {
    await using here = temporaryDirectory();
    const file = join(installation(here, { node: false }), '.bin', name);
    const wrong = (stderr: string): Outcome => ({ code: 111, signal: undefined, stdout: '', stderr });
    const oldNode = join(here.makeDirectory('old'), 'node');
    writeFileSync(
      here.join('pretend.cjs'),
      "Object.defineProperty(process, 'versions', { value: { node: '12.22.9' } });\n",
    );
    writeFileSync(oldNode, `#!/bin/sh\nexec '${ownNode}' -r '${here.join('pretend.cjs')}' "$@"\n`);
    chmodSync(oldNode, 0o755);
    // Only what sh needs: the machine may have a Node of its own in /usr/bin.
    const toolDir = here.makeDirectory('tools');
    for (const tool of ['base64', 'readlink', 'cat']) symlinkSync(`/usr/bin/${tool}`, join(toolDir, tool));
    const withPath = (path: string): Promise<Outcome> => run([file], { env: { PATH: path } });
    expect(await withPath(toolDir)).toEqual(
      wrong(
        `${name}: fatal: unable to find Node: version 22.22 or later is needed, installed with daemontap or on PATH\n`,
      ),
    );
    const { stderr, ...rest } = await withPath(`${here.join('old')}:${toolDir}`);
    expect(rest).toMatchObject({ code: 111, stdout: '' });
    expect(stderr).toMatch(
      new RegExp(`^${name}: fatal: unable to run on Node v[\\d.]+: version 22.22 or later is needed\\n$`),
    );
    symlinkSync(ownNode, join(toolDir, 'node'));
    expect((await withPath(toolDir)).code).toBe(0);
    // However it is called: Node would look for a package of the name of a path that begins with none of / and ./ .
    const modulesDir = here.join('app/node_modules');
    here.makeDirectory('else where/deep');
    for (const [cwd, called] of [
      [here.path, `app/node_modules/.bin/${name}`],
      [here.join('app'), `./node_modules/.bin/${name}`],
      [here.join('else where/deep'), `../../app/node_modules/.bin/${name}`],
      [modulesDir, `@daemontap/cli/bin/${name}`],
      [join(modulesDir, '@daemontap'), `cli/bin/${name}`],
      [join(modulesDir, '@daemontap/cli/bin'), `./${name}`],
    ] as const) {
      const outcome = await report([called, 'a b'], { cwd, env: { PATH: toolDir } });
      expect(outcome).toMatchObject({ words: ['a b'], program: called });
    }
  });
});

describe.each(shells)('supervise, under %s', (shell) => {
  test('notes limit, signals and descriptors of its caller, and none of the shell', async () => {
    await using here = temporaryDirectory();
    const file = join(installation(here), '.bin/supervise');
    const caller = `${CLOSE_ALL}; POSIX::dup2(0, $_) for 9, 10, 12, 255, 300; $SIG{HUP} = $SIG{QUIT} = 'IGNORE';
      POSIX::sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM, SIGUSR2)); exec @ARGV`;
    const { inherited } = await report(
      ['/bin/sh', '-c', 'ulimit -Sn 500; exec "$@"', 'sh', '/usr/bin/perl', '-e', caller, `/bin/${shell}`, file],
      { env: cleanEnvironment },
    );
    const [limit, ignored, blocked, ...descriptors] = inherited ?? [];
    expect(limit).toBe('500');
    expect(BigInt(`0x${ignored}`)).toBe(0b101n); // HUP is 1, QUIT 3
    expect(BigInt(`0x${blocked}`)).toBe((1n << 14n) | (1n << 11n)); // TERM is 15, USR2 12
    expect(descriptors.map(Number).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 9, 10, 12, 255, 300]);
  });

  test('notes nothing that its caller has not got', async () => {
    await using here = temporaryDirectory();
    const file = join(installation(here), '.bin/supervise');
    const { inherited = [], environment } = await report(
      ['/usr/bin/perl', '-e', `${CLOSE_ALL}; exec @ARGV`, `/bin/${shell}`, file],
      { env: {} },
    );
    expect(
      inherited
        .slice(1)
        .map(Number)
        .toSorted((a, b) => a - b),
    ).toEqual([0, 0, 0, 1, 2]);
    expect(environment).toEqual([]);
  });

  test('notes an environment of any size and any names', async () => {
    await using here = temporaryDirectory();
    const file = join(installation(here), '.bin/supervise');
    const env = {
      PATH: '/nonexist',
      'a.b': '1',
      'FOO-BAR': 'x',
      PWD: '/wrong',
      SHLVL: '7',
      NODE_OPTIONS: '--no-such-option',
      TWO: 'lines\nof text',
      DAEMONTAP_INHERITED: 'stale',
      ...Object.fromEntries([1, 2, 3, 4, 5].map((index) => [`DAEMONTAP_ENVIRON${index}`, 'c3RhbGU='])),
      ...Object.fromEntries([1, 2, 3].map((index) => [`LONG${index}`, 'x'.repeat(100_000)])),
    };
    const { environment } = await report([`/bin/${shell}`, file], { env });
    expect(environment).toEqual(Object.entries(env).map(([name, value]) => `${name}=${value}`));
  });
});

test('the programs of this checkout are linked in node_modules/.bin', () => {
  expect(readlinkSync(join(rootDir, 'node_modules/.bin/svscan'))).toBe('../@daemontap/cli/bin/svscan');
});
