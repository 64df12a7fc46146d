/**
 * What a user has after `npm install -g`: the packages are packed, installed from the tarballs alone into a prefix with a
 * space in its name, and run with nothing but PATH. Needs the registry, for what daemontap depends on and for the Nodes.
 */
import { execFileSync } from 'node:child_process';
import {
  globSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { asNobody, canBeNobody } from './support/nobody.ts';
import {
  NPM_TIMEOUT_MS,
  neededBy,
  npm,
  packInto,
  registryObstacle,
  timed,
  workspaceCalled,
} from './support/packages.ts';
import type { Packed } from './support/packages.ts';
import { run } from './support/run.ts';
import type { Argument, Outcome } from './support/run.ts';
import { start } from './support/start.ts';
import { linesOf, maskStatus } from './support/supervised.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

/** What a program is given to show that it starts, and what must come of it. */
interface Job {
  readonly words?: readonly string[];
  readonly input?: string;
  readonly code?: number;
  readonly stdout?: string | RegExp;
  readonly stderr?: string;
}

/** Where programs are, and the PATH they are called with. */
interface Installation {
  readonly binDir: string;
  readonly path: string;
}

const rootDir = join(import.meta.dirname, '../..');
const SYSTEM_PATH = '/usr/bin:/bin';
const SETUP_TIMEOUT_MS = 2 * NPM_TIMEOUT_MS + 60_000;
const KERNEL_LIMIT = 60_000;

/** A job for every program in packages/cli/package.json. None needs rights or leaves anything. */
const jobs: Readonly<Record<string, Job>> = {
  daemontap: { words: ['--version'], stdout: /^\d+\.\d+\.\d+\n$/ },
  'daemontap-node': { words: ['node', '-p', 'parseInt(process.versions.node) > 20'], stdout: 'true\n' },
  envdir: usage('envdir: usage: envdir dir child', 111),
  envuidgid: { words: ['nobody', '/bin/sh', '-c', 'echo $UID'], stdout: '65534\n' },
  fghack: { words: ['/bin/sh', '-c', 'echo said; exit 7'], code: 7, stdout: 'said\n' },
  multilog: { words: ['-*', '+one*', 'e'], input: 'one\ntwo\n', stderr: 'one\n' },
  pgrphack: { words: ['/bin/echo', 'led'], stdout: 'led\n' },
  readproctitle: { words: ['.....'], input: 'x' },
  setlock: { words: ['/dev/null', '/bin/echo', 'locked'], stdout: 'locked\n' },
  setuidgid: usage('setuidgid: usage: setuidgid account child'),
  softlimit: { words: ['-o', '50', '-m', '4096000', '/bin/sh', '-c', 'ulimit -n; ulimit -v'], stdout: '50\n4000\n' },
  supervise: usage('supervise: usage: supervise dir'),
  svc: {
    words: ['-q'],
    code: 100,
    stderr:
      'svc: illegal option -- q\nsvc options: u up, d down, o once, x exit, p pause, c continue, h hup, a alarm, ' +
      'i interrupt, t term, k kill\n',
  },
  svok: usage('svok: usage: svok dir'),
  svscan: {
    words: ['/nonexist'],
    code: 111,
    stderr: 'svscan: fatal: unable to chdir to /nonexist: file does not exist\n',
  },
  svscanboot: { words: ['/nonexist'] }, // silent by design, and all is over when svscan has failed
  svstat: { words: ['/'], stdout: '/: unable to open supervise/ok: file does not exist\n' },
  tai64n: { input: 'x\n', stdout: /^@4[0-9a-f]{23} x\n$/ },
  tai64nlocal: { input: '@4000000039c97bf53afbe444 x\n', stdout: '2000-09-21 03:09:31.989586500 x\n' },
};

const neededNames = neededBy('@daemontap/cli');
const programs = Object.keys(workspaceCalled('@daemontap/cli').manifest.bin ?? {});
/** Those for which the caller's PATH decides: svscanboot sets its own, and says nothing. */
const programsOfPath = programs.filter((name) => name !== 'svscanboot');
/** Those that need a Node themselves: daemontap-node leaves it to its command. */
const programsOfNode = programsOfPath.filter((name) => name !== 'daemontap-node');

const here = temporaryDirectory();
const prefix = here.join('pre fix');
const modulesDir = join(prefix, 'lib/node_modules');
const bareModulesDir = here.join('bare prefix/lib/node_modules');
/** As it was installed, on a machine with no Node or an old one. */
const installed: Installation = { binDir: join(prefix, 'bin'), path: SYSTEM_PATH };
const bareBinDir = here.join('bare prefix/bin');
let packed: readonly Packed[] = [];
let unreachable: string | undefined;

beforeAll(async () => {
  packed = await timed('npm pack', () => packInto(here.makeDirectory('tarballs'), neededNames));
  console.log(`packed: ${packed.map(({ name, size }) => `${name} ${Math.ceil(size / 1000)} kB`).join(', ')}`);
  unreachable = await registryObstacle();
  if (unreachable !== undefined) {
    console.log(`skipped: all tests of the installed packages; ${unreachable}`);
    return;
  }
  // To the end of both: neither may run on in a directory that is gone.
  const installs = await Promise.allSettled([
    timed('npm install -g', installPacked),
    timed('npm install of Node 20, 22 and 24', installNodes),
  ]);
  for (const { reason } of installs.filter((each) => each.status === 'rejected')) throw reason;
  // Hard links: the same packages where their own Node could not be installed.
  execFileSync('cp', ['-al', prefix, here.join('bare prefix')]);
  for (const path of globSync('**/node-linux-*', { cwd: bareModulesDir }))
    rmSync(join(bareModulesDir, path), { recursive: true });
}, SETUP_TIMEOUT_MS);

afterAll(() => here[Symbol.asyncDispose]());

describe('npm pack', () => {
  test.each(neededNames)('%s: what its manifest names is there, and no tests', (name) => {
    const { dir } = workspaceCalled(name);
    const paths = packedCalled(name).files.map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining(['README.md', 'package.json']));
    const isCli = name === '@daemontap/cli';
    const wanted = isCli
      ? /^(README\.md|package\.json|bin\/[\w-]+|dist\/[\w-]+\.cjs|launch\/[\w.-]+|demo\/.*\brun)$/
      : /^(README\.md|package\.json|dist\/.*\.(js|d\.ts))$/;
    expect(paths.filter((path) => !wanted.test(path) || /\.test\.|\.map$/.test(path))).toEqual([]);
    if (isCli) {
      for (const program of programs) expect(paths).toContain(`bin/${program}`);
      for (const launcher of readdirSync(join(dir, 'launch'))) expect(paths).toContain(`launch/${launcher}`);
      const groups = globSync('*.ts', { cwd: join(dir, 'src/bin'), exclude: ['*.test.ts'] }).map(
        (file) => `dist/${basename(file, '.ts')}.cjs`,
      );
      expect(paths.filter((path) => path.startsWith('dist/')).toSorted()).toEqual(groups.toSorted());
    } else {
      expect(paths).toEqual(expect.arrayContaining(['dist/index.js', 'dist/index.d.ts']));
    }
  });

  test(`the kernel is at most ${KERNEL_LIMIT / 1000} kB packed`, () => {
    expect(packedCalled('@daemontap/kernel').size).toBeLessThanOrEqual(KERNEL_LIMIT);
  });
});

describe('installed from the tarballs', () => {
  beforeEach(({ skip }) => {
    if (unreachable !== undefined) skip(unreachable);
  });

  test('no file names a path of the machine that packed it', () => {
    const places = [rootDir, homedir()].filter((path) => path !== '/');
    // As a path of its own: the checkout may be /src, and `./src/index.ts` is in every manifest.
    const isNamedIn = (text: string, place: string): boolean =>
      text.split(place).some((after, index, parts) => {
        const before = parts[index - 1];
        return before !== undefined && /(^|[^\w./-])$/.test(before) && /^(\W|$)/.test(after);
      });
    for (const file of ourFiles()) {
      const text = readFileSync(file, 'latin1');
      expect([file, places.filter((place) => isNamedIn(text, place))]).toEqual([file, []]);
    }
  });

  test('files have the modes that every account can use them with, and no others', () => {
    const modeOf = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8);
    for (const file of ourFiles()) {
      const isProgram = /\/(bin\/[\w-]+|launch\/own-node|demo\/.*\/run)$/.test(file.slice(modulesDir.length));
      expect([file, modeOf(file)]).toEqual([file, isProgram ? '755' : '644']);
      expect([dirname(file), modeOf(dirname(file))]).toEqual([dirname(file), '755']);
    }
    const [ownNode = ''] = globSync('**/node-linux-*/bin/node', { cwd: modulesDir });
    expect(modeOf(join(modulesDir, ownNode))).toBe('755');
  });

  test('a logged service runs, with nothing but PATH in the environment', () =>
    expectToSupervise(installed, ownNodePath()));

  test('nothing is needed of PATH either', async () => {
    await using cwd = temporaryDirectory();
    expect(await run([join(installed.binDir, 'svok'), '/'], { cwd: cwd.path, env: {} })).toEqual(
      outcome({ code: 100 }),
    );
  });

  test('every program in package.json "bin" has a job here', () => {
    expect(Object.keys(jobs).toSorted()).toEqual(programs.toSorted());
    expect(readdirSync(installed.binDir).toSorted()).toEqual(programs.toSorted());
  });

  test.each(programs)('%s does its job', (name) => expectJobDone(installed, name));

  test.skipIf(!canBeNobody).each(programs)('%s does its job for an ordinary account', (name) =>
    expectJobDone(installed, name, asNobody),
  );

  test('without any Node, each program says what it needs and exits 111', async () => {
    // Only what sh needs: the machine may have a Node in /usr/bin.
    const path = here.makeDirectory('tools');
    for (const tool of ['base64', 'cat', 'readlink']) symlinkSync(`/usr/bin/${tool}`, join(path, tool));
    for (const name of programsOfNode) {
      const stderr = `${name}: fatal: unable to find Node: version 22.22 or later is needed, installed with daemontap or on PATH\n`;
      expect(await run([join(bareBinDir, name), here.path], { env: { PATH: path } })).toEqual(
        outcome({ code: 111, stderr }),
      );
    }
  });

  test('with Node 20 alone, each program says what it needs and exits 111', async () => {
    const version = execFileSync(join(nodeDir(20), 'node'), ['-v'], { encoding: 'utf8' }).trim();
    expect(version).toMatch(/^v20\./);
    for (const name of programsOfNode) {
      const stderr = `${name}: fatal: unable to run on Node ${version}: version 22.22 or later is needed\n`;
      expect(
        await run([join(bareBinDir, name), here.path], { env: { PATH: `${nodeDir(20)}:${SYSTEM_PATH}` } }),
      ).toEqual(outcome({ code: 111, stderr }));
    }
  });

  describe.each([22, 24, 26])('with Node %i from PATH', (major) => {
    const bare = (): Installation => ({ binDir: bareBinDir, path: `${nodeDir(major)}:${SYSTEM_PATH}` });

    test('a logged service runs', async () => {
      const node = realpathSync(join(nodeDir(major), 'node'));
      expect(execFileSync(node, ['-v'], { encoding: 'utf8' })).toMatch(new RegExp(`^v${major}\\.`));
      await expectToSupervise(bare(), node);
    });

    test('every program does its job', async () => {
      for (const name of programsOfPath) await expectJobDone(bare(), name);
    });
  });
});

/** Runs a service with a log from its start to its end, by svscan and all clients, in directories of a test's own. */
async function expectToSupervise({ binDir, path }: Installation, node: string): Promise<void> {
  await using own = temporaryDirectory();
  const scanDir = own.makeDirectory('scan dir');
  own.makeService('a', 'echo "$PATH"; exec sleep 1000');
  own.makeService('a/log', 'exec cat >>lines');
  symlinkSync('../a', join(scanDir, 'a'));
  await using svscan = start([join(binDir, 'svscan'), scanDir], { cwd: own.path, env: { PATH: path } });
  const client = (name: string, ...words: readonly string[]): Promise<Outcome> =>
    run([join(binDir, name), ...words], { cwd: scanDir, env: { PATH: path } });
  const says = async (name: string, wanted: RegExp): Promise<void> => {
    const answer = async (): Promise<string> => (await client('svstat', name)).stdout;
    await until(async () => wanted.test(await answer()), {
      describe: `svstat ${name} says ${wanted}`,
      state: async () => [await answer(), svscan.stderr()],
      everyMs: 50,
    });
  };

  await until(async () => (await client('svok', 'a')).code === 0, {
    describe: 'svok finds a supervise',
    state: () => svscan.stderr(),
    everyMs: 50,
  });
  await says('a', /: up \(pid \d+\) \d+ seconds\n$/);
  await until(() => linesOf(own.join('a/log/lines'))[0] === path, { describe: 'the log has the first line' });
  const both = await client('svstat', 'a', 'a/log');
  expect({ ...both, stdout: maskStatus(both.stdout) }).toEqual(
    outcome({ stdout: 'a: up (pid N) N seconds\na/log: up (pid N) N seconds\n' }),
  );

  // What pgrep -x, killall and ps go by.
  const about = (file: string): string => readFileSync(`/proc/${svscan.pid}/${file}`, 'utf8');
  expect(about('comm')).toBe('svscan\n');
  expect(about('cmdline').replace(/\0+$/, '')).toBe(`svscan ${scanDir}`);
  expect(readlinkSync(`/proc/${svscan.pid}/exe`)).toBe(node);

  expect(await client('svc', '-d', 'a')).toEqual(outcome({}));
  await says('a', /: down \d+ seconds, normally up\n$/);
  expect(await client('svc', '-u', 'a')).toEqual(outcome({}));
  await says('a', /: up /);

  // The recipe for removing a service: out of sight first.
  unlinkSync(join(scanDir, 'a'));
  expect(await client('svc', '-dx', '../a', '../a/log')).toEqual(outcome({}));
  await until(async () => (await client('svok', '../a')).code === 100, { describe: 'the service is let go' });
  symlinkSync('../a', join(scanDir, 'a'));
  await says('a', /: up /);

  const runtimeDir = join(runtimeRoot(), idOf(scanDir));
  expect([runtimeDir, existsSync(runtimeDir)]).toEqual([runtimeDir, true]);
  process.kill(svscan.pid, 'SIGTERM');
  expect(await svscan.exit).toEqual({ code: 0, signal: undefined });
  expect(svscan.pids()).toEqual([]);
  expect([svscan.stdout(), svscan.stderr()]).toEqual(['', '']);
  expect(existsSync(runtimeDir)).toBe(false);
}

async function expectJobDone(
  { binDir, path }: Installation,
  name: string,
  through = (argv: readonly Argument[]): readonly Argument[] => argv,
): Promise<void> {
  const { words = [], input = '', code = 0, stdout = '', stderr = '' } = jobs[name] ?? {};
  const env = { PATH: path, TZ: 'UTC' };
  const { stdout: written, ...rest } = await run(through([join(binDir, name), ...words]), { cwd: '/', env, input });
  expect([name, rest]).toEqual([name, { code, signal: undefined, stderr }]);
  expect(written).toEqual(typeof stdout === 'string' ? stdout : expect.stringMatching(stdout));
}

function usage(line: string, code = 100): Job {
  return { code, stderr: `${line}\n` };
}

function outcome(part: Partial<Outcome>): Outcome {
  return { code: 0, signal: undefined, stdout: '', stderr: '', ...part };
}

function packedCalled(name: string): Packed {
  const found = packed.find((each) => each.name === name);
  if (found === undefined) throw new Error(`${name} was not packed`);
  return found;
}

async function installPacked(): Promise<void> {
  const tarballs = packed.map(({ filename }) => here.join('tarballs', filename));
  await npm(['install', '--global', '--prefix', prefix, ...tarballs]);
}

async function installNodes(): Promise<void> {
  const wanted = [20, 22, 24].map((major) => `node${major}@npm:node-linux-${process.arch}@${major}`);
  mkdirSync(here.join('nodes'));
  await npm(['install', '--prefix', here.join('nodes'), ...wanted]);
}

/** Where the newest Node of a major version is; 26 is the one that daemontap brings. */
function nodeDir(major: number): string {
  return major === 26 ? dirname(ownNodePath()) : here.join('nodes/node_modules', `node${major}`, 'bin');
}

function ownNodePath(): string {
  const [path, ...others] = globSync('**/node-linux-*/bin/node', { cwd: modulesDir });
  if (path === undefined || others.length > 0)
    throw new Error(`there is not one Node of its own: ${path}, ${others.join(', ')}`);
  return join(modulesDir, path);
}

/** The installed files of our packages, without those of others inside of them. */
function ourFiles(): readonly string[] {
  return globSync('@daemontap/**', { cwd: modulesDir, exclude: ['**/node_modules/**'] })
    .map((path) => join(modulesDir, path))
    .filter((path) => lstatSync(path).isFile());
}

/** Where svscan keeps its directories when nothing in its environment says so. */
function runtimeRoot(): string {
  const uid = process.getuid?.();
  return uid === 0 ? '/run/daemontap' : `/tmp/daemontap-${uid}`;
}

function idOf(directory: string): string {
  const { dev, ino } = statSync(directory);
  return `${dev}-${ino}`;
}
