/**
 * daemontap as a platform: packed, installed from the tarballs outside of the repository together with a log sink and a
 * control transport that `npm create daemontap-plugin` began, configured, run with nothing but PATH in the environment;
 * and the same plugins broken, which are named and stop no service. Needs the registry.
 */
import { chownSync, existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { daemontools } from './support/implementations.ts';
import { asNobody, canBeNobody } from './support/nobody.ts';
import { NPM_TIMEOUT_MS, registryObstacle } from './support/packages.ts';
import { installSite, platform } from './support/platform.ts';
import type { Account, Platform, Site } from './support/platform.ts';
import { run } from './support/run.ts';
import { maskStatus } from './support/supervised.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

const uid = process.getuid?.() ?? -1;
const self: Account = { title: uid === 0 ? 'root' : 'an ordinary account', uid, through: (argv) => argv };
const accounts: readonly Account[] = [
  self,
  ...(canBeNobody ? [{ title: 'an ordinary account', uid: 65534, through: asNobody }] : []),
];

const here = temporaryDirectory();
let installed: Site | undefined;
let unreachable: string | undefined;
let platforms = 0;

beforeAll(async () => {
  unreachable = await registryObstacle();
  if (unreachable === undefined) installed = await installSite(here);
  else console.log(`skipped: all tests of daemontap with plugins of others; ${unreachable}`);
}, 3 * NPM_TIMEOUT_MS);

afterAll(() => here[Symbol.asyncDispose]());

beforeEach(({ skip }) => {
  if (unreachable !== undefined) skip(unreachable);
});

const site = (): Site => {
  if (installed === undefined) throw new Error('nothing was installed');
  return installed;
};

/** A scan directory of a test's own. */
function newPlatform(services: Readonly<Record<string, string>>, account = self): Platform {
  return platform(site(), { name: `platform-${++platforms}`, account, services });
}

/** What differs from the configuration of both plugins. */
interface Difference {
  /** In place of the log sink that is installed: its name, or a changed copy's path. */
  readonly logFiles?: string;
  readonly logOptions?: object;
  readonly commandSocket?: string;
  readonly socketOptions?: object;
  readonly further?: readonly unknown[];
  readonly log?: string;
}

/** The configuration of most tests. */
function configOf({ logDir, socketDir, runtimeDir }: Platform, difference: Difference = {}): object {
  const { logFiles = 'log-files', logOptions = {}, socketOptions = {}, further = [], log = 'plain' } = difference;
  const { commandSocket = '@our-org/command-socket' } = difference;
  const plugins = [
    [logFiles, { dir: logDir, ...logOptions }],
    [commandSocket, { dir: socketDir, ...socketOptions }],
    ...further,
  ];
  return { runtimeDir, log, plugins };
}

/** The one line that names a plugin with its place, the hook and the service. */
function warning({ plugin, what }: { readonly plugin: string; readonly what: string }): RegExp {
  return new RegExp(`^supervise: warning: plugin ${escaped(`${plugin} in daemontap.config.yaml) ${what}`)}\n$`);
}

const ended = { code: 0, left: [] };
const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll(/[.*+?^${}()|[\]]/g, '\\$&');

describe.concurrent.each(accounts)('as $title', (account) => {
  test('a YAML configuration of two plugins: they work beside all that daemontools has', async () => {
    await using scan = newPlatform({ chatty: 'hello', quiet: 'and hello' }, account);
    const { dir, logDir, socketDir, runtimeDir } = scan;
    scan.configure(`
runtimeDir: ${runtimeDir}
plugins:
  - [log-files, { dir: ${logDir} }]
  - ['@our-org/command-socket', { dir: ${socketDir} }]
`);
    expect(await scan.daemontap('check')).toEqual({
      code: 0,
      signal: undefined,
      stdout: `${dir}/daemontap.config.yaml: 9 plugins, 2 services: well\n`,
      stderr: '',
    });
    expect((await scan.daemontap('plugins')).stdout).toMatch(/^not running/);

    await using up = scan.up();
    const [chatty, quiet] = [await scan.pid('chatty'), await scan.pid('quiet')];
    expect(await scan.logged('chatty', 1)).toEqual(['hello']);
    expect(await scan.logged('quiet', 1)).toEqual(['and hello']);

    expect(await scan.command('chatty', 'd')).toBe('ok d\n');
    await scan.down('chatty');
    expect(await scan.command('chatty', 'u')).toBe('ok u\n');
    const again = await scan.pid('chatty', chatty);
    expect(await scan.logged('chatty', 2)).toEqual(['hello', 'hello']);
    expect(await scan.command('chatty', '?')).toBe('unknown command\n');

    const clients = [
      ...(daemontools.has('svc') ? [daemontools.programDir] : []),
      join(site().dir, 'node_modules/.bin'),
    ];
    let before = again;
    for (const programDir of clients) {
      const { stdout } = await run([join(programDir, 'svstat'), 'chatty', 'quiet'], { cwd: dir });
      expect(maskStatus(stdout)).toBe('chatty: up (pid N) N seconds\nquiet: up (pid N) N seconds\n');
      expect(stdout).toContain(`(pid ${quiet})`);
      expect(await run([join(programDir, 'svc'), '-t', 'chatty'], { cwd: dir })).toMatchObject({ code: 0, stderr: '' });
      before = await scan.pid('chatty', before);
    }

    const shown = await scan.daemontap('plugins');
    expect(shown).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(`^running, pid ${up.pid}\n`) });
    const rows = [
      `log-files +0\\.1\\.0 +${escaped(realpathSync(site().moduleOf('log-files')))} +plugins\\[0\\] in daemontap\\.config\\.yaml +${escaped(JSON.stringify({ dir: logDir }))}`,
      `command-socket +0\\.1\\.0 +${escaped(realpathSync(site().moduleOf('command-socket')))} +plugins\\[1\\] in daemontap\\.config\\.yaml +${escaped(JSON.stringify({ dir: socketDir }))}`,
      'control-fifo +\\d+\\.\\d+\\.\\d+ +built in +preset daemontools',
      'log-files +openLogSink +2 +0( +\\d+\\.\\d{3}){3}',
      'command-socket +openControl +2 +0( +\\d+\\.\\d{3}){3}',
    ];
    for (const row of rows) expect(shown.stdout).toMatch(new RegExp(`^${row}$`, 'm'));

    expect(await scan.stop(up)).toEqual(ended);
    expect([up.stdout(), up.stderr()]).toEqual(['', '']);
  });

  test('a configuration in TypeScript with defineConfig', async () => {
    await using scan = newPlatform({ chatty: 'hello' }, account);
    const code = `
import { join } from 'node:path';
import { defineConfig } from '@daemontap/kernel';
import type { Config } from '@daemontap/kernel';

const inside = (name: string): string => join(import.meta.dirname, '..', name);
const plugins: Config['plugins'] = [
  ['log-files', { dir: inside('logs') }],
  ['@our-org/command-socket', { dir: inside('sockets') }],
];
export default defineConfig({ runtimeDir: inside('runtime'), plugins });
`;
    scan.configure(code, 'daemontap.config.ts');
    expect(await scan.daemontap('check')).toMatchObject({ code: 0, stderr: '' });
    await using up = scan.up();
    const pid = await scan.pid('chatty');
    expect(await scan.logged('chatty', 1)).toEqual(['hello']);
    expect(await scan.command('chatty', 't')).toBe('ok t\n');
    await scan.pid('chatty', pid);
    expect(await scan.stop(up)).toEqual(ended);
    expect([up.stdout(), up.stderr()]).toEqual(['', '']);
  });
});

test(
  'as root, code that belongs to somebody else is not run, and what is in force stays',
  { concurrent: true, skip: uid !== 0 },
  async () => {
    await using scan = newPlatform({ chatty: 'hello' });
    const name = 'daemontap.config.mjs';
    const config = join(scan.dir, name);
    const proof = join(scan.logDir, 'was-run');
    scan.configure(`export default ${JSON.stringify(configOf(scan))};`, name);
    await using up = scan.up();
    const pid = await scan.pid('chatty');
    writeFileSync(config, `import { writeFileSync } from 'node:fs';\nwriteFileSync(${JSON.stringify(proof)}, '');\n`);
    chownSync(config, 65534, 65534);
    const refusal = `${name}: it belongs to user id 65534, and would be run as root: chown root ${realpathSync(config)}`;
    process.kill(up.pid, 'SIGHUP');
    await until(() => up.stderr().includes(refusal), { describe: 'it is refused at HUP', state: () => up.stderr() });
    expect(await scan.daemontap('check')).toMatchObject({ code: 100, stderr: `daemontap: fatal: ${refusal}\n` });
    expect([existsSync(proof), scan.pids()]).toEqual([false, { chatty: pid }]);
    expect(await scan.stop(up)).toEqual(ended);
    expect(await scan.daemontap('up')).toMatchObject({ code: 100, stderr: `daemontap: fatal: ${refusal}\n` });
  },
);

test.concurrent('HUP takes up what has changed without a service noticing, and says what that is', async () => {
  await using scan = newPlatform({ a: 'hello', b: 'hello' });
  const { dir } = scan;
  const witness = join(scan.logDir, 'witness');
  writeFileSync(
    join(dir, 'witness.mjs'),
    `
import { appendFileSync } from 'node:fs';
import { definePlugin } from '@daemontap/kernel';
import * as v from 'valibot';
export const witness = definePlugin({
  name: 'witness',
  apiVersion: 1,
  schema: v.strictObject({ file: v.string() }),
  apply({ hooks }, { file }) {
    hooks.statusChanged.tap('witness', ({ label }, { pid }) => appendFileSync(file, label + ' ' + pid + '\\n'));
  },
});
`,
  );
  scan.configure(configOf(scan, { log: 'json' }));
  await using up = scan.up();
  const before = { a: await scan.pid('a'), b: await scan.pid('b') };
  await scan.logged('a', 1);

  // An option: another size, so that the next start puts the file away.
  const smaller = { log: 'json', logOptions: { maxBytes: 1 } };
  await scan.takeUp(
    up,
    configOf(scan, smaller),
    /configuration: plugin log-files: options changed: maxBytes not given → 1\b/,
  );
  expect(scan.pids()).toEqual(before);
  expect(await scan.command('a', 't')).toBe('ok t\n');
  const a = await scan.pid('a', before.a);
  await until(() => existsSync(join(scan.logDir, 'a.log.old')), { describe: 'the option is in force' });

  // A control transport with another option: the same socket, from another plugin.
  const patient = { ...smaller, socketOptions: { idleTimeoutMs: 20_000 } };
  const changed = /configuration: plugin command-socket: options changed: idleTimeoutMs not given → 20000/;
  await scan.takeUp(up, configOf(scan, patient), changed);
  expect(await scan.command('a', 'c')).toBe('ok c\n');
  expect(scan.pids()).toEqual({ a, b: before.b });

  const refused = await scan.takeUp(up, '{ plugins: [', /the old one stays in force/);
  expect(JSON.parse(refused)).toMatchObject({
    reason: expect.stringMatching(/^daemontap\.config\.yaml:1:13: /),
    msg: 'unable to take up the configuration, the old one stays in force',
  });
  expect(scan.pids()).toEqual({ a, b: before.b });

  const third = { ...patient, further: [['./witness.mjs', { file: witness }]] };
  await scan.takeUp(up, configOf(scan, third), /configuration: plugin witness: added/);
  const heard = (): readonly string[] => readFileSync(witness, 'utf8').trim().split('\n').toSorted();
  expect(heard()).toEqual([`a ${a}`, `b ${before.b}`]);
  expect(await scan.command('b', 'd')).toBe('ok d\n');
  await scan.down('b');
  await until(() => heard().includes('b undefined'), { describe: 'the third hears of an end', state: heard });

  // And away again.
  await scan.takeUp(up, configOf(scan, patient), /configuration: plugin witness: removed/);
  const last = heard();
  expect(await scan.command('b', 'u')).toBe('ok u\n');
  await scan.pid('b');
  expect(heard()).toEqual(last);
  expect(scan.pids()).toMatchObject({ a });
  expect(await scan.stop(up)).toEqual(ended);
});

/** What is wrong with the log sink before it can do anything, and what is said of it. */
const unusable: readonly {
  readonly title: string;
  readonly difference: () => Difference;
  /** Default: both. */
  readonly refusedBy?: readonly string[];
  readonly says: RegExp;
}[] = [
  {
    title: 'is made for another version of the plugin API',
    difference: () => ({ logFiles: site().changed('log-files', { 'apiVersion: 1': 'apiVersion: 2' }) }),
    says: /plugins\[0\].*plugin log-files: it is made for version 2 of the plugin API, and this is 1/,
  },
  {
    title: 'has an option that there is not',
    difference: () => ({ logOptions: { maxByte: 7 } }),
    says: /plugins\[0\]\[1\]\.maxByte: plugin log-files: unknown option \(did you mean maxBytes\?\)/,
  },
  {
    title: 'needs a plugin that is missing',
    difference: () => ({
      logFiles: site().changed('log-files', { 'apiVersion: 1': "apiVersion: 1, requires: ['bell']" }),
    }),
    says: /plugins\[0\].*plugin log-files is of no use without plugin bell, which is not there/,
  },
  {
    title: 'throws when it is imported',
    difference: () => ({
      logFiles: site().changed('log-files', { 'const schema': "throw new Error('not today');\nconst schema" }),
    }),
    says: /plugins\[0\]: unable to load plugin \S+\/changed-\d+\.mjs from \S+: Error: not today \(\S+\.mjs:\d+\)/,
  },
  {
    title: 'throws when it is applied',
    difference: () => ({
      logFiles: site().changed('log-files', { 'optionsFor }) {': "optionsFor }) { throw new Error('not today');" }),
    }),
    says: /unable to apply plugin log-files \(plugins\[0\] in daemontap\.config\.yaml\): .*not today/,
  },
  {
    title: 'waits for ever at its top level',
    refusedBy: ['check'],
    difference: () => ({
      logFiles: site().changed('log-files', { 'export const': 'await new Promise(() => {});\nexport const' }),
    }),
    says: /plugins\[0\].*unable to load plugin .*it is still being loaded after 10 seconds/,
  },
  {
    title: 'is not installed',
    difference: () => ({ logFiles: 'log-flies' }),
    says: /plugins\[0\]: there is no plugin log-flies: tried daemontap-plugin-log-flies, then @daemontap\/log-flies, then log-flies, in node_modules of \S+/,
  },
  {
    title: 'has the name of another',
    difference: () => ({ logFiles: site().changed('log-files', { "name: 'log-files'": "name: 'status-file'" }) }),
    says: /plugins\[0\].*plugin status-file is there already: preset daemontools/,
  },
];

describe.concurrent('a plugin that cannot be used', () => {
  test.each(unusable)(
    'is named and nothing is started: it $title',
    async ({ difference, says, refusedBy = ['check', 'up'] }) => {
      await using scan = newPlatform({ a: 'hello' });
      scan.configure(configOf(scan, difference()));
      for (const command of refusedBy) {
        const { code, stdout, stderr } = await scan.daemontap(command);
        expect({ command, code, stdout, stderr }).toEqual({
          ...{ command, code: 100, stdout: '' },
          stderr: expect.stringMatching(new RegExp(`^daemontap: fatal: .*${says.source}`)),
        });
        expect(stderr).toContain('daemontap.config.yaml');
      }
      expect([readdirSync(join(scan.dir, 'a')), readdirSync(scan.logDir)]).toEqual([['run'], []]);
    },
  );

  test('is named at HUP, and the one before goes on with its services', async () => {
    await using scan = newPlatform({ a: 'hello', b: 'hello' });
    const right = configOf(scan);
    scan.configure(right);
    await using up = scan.up();
    const before = { a: await scan.pid('a'), b: await scan.pid('b') };
    expect(await scan.logged('a', 1)).toEqual(['hello']);
    for (const { title, difference, says } of unusable) {
      const line = await scan.takeUp(up, configOf(scan, difference()), /in force.*\n/);
      expect([title, line]).toEqual([title, expect.stringMatching(says)]);
      expect(line).toContain('daemontap.config.yaml');
      expect(await scan.command('a', 'c')).toBe('ok c\n');
      expect([title, scan.pids()]).toEqual([title, before]);
    }
    // What is in force is what there was: it logs the next start, too.
    await scan.command('a', 't');
    await scan.pid('a', before.a);
    expect(await scan.logged('a', 2)).toEqual(['hello', 'hello']);
    expect((await scan.daemontap('plugins', '--config', configFile(scan, right))).stdout).toContain(
      realpathSync(site().moduleOf('log-files')),
    );
    expect(scan.pids()).toMatchObject({ b: before.b });
    expect(await scan.stop(up)).toEqual(ended);
  });
});

describe.concurrent('a plugin that fails while services run', () => {
  const openSink = "hooks.openLogSink.tap('log-files', (service) => {";
  const applied = 'optionsFor }) {';

  test('in openLogSink, by silence: it is named after ten seconds, until which others have long been started', async () => {
    await using scan = newPlatform({ sick: 'hello', well: 'hello' });
    const changed = site().changed('log-files', {
      [openSink]:
        "hooks.openLogSink.tapPromise('log-files', async (service) => { if (service.label === 'sick') await new Promise(() => {});",
    });
    scan.configure(configOf(scan, { logFiles: changed }));
    await using up = scan.up();
    expect(await scan.logged('well', 1)).toEqual(['hello']);
    expect([up.stderr(), scan.pids()]).toEqual(['', expect.objectContaining({ sick: 0 })]);
    await scan.pid('sick');
    expect(up.stderr()).toMatch(
      warning({ plugin: 'log-files (plugins[0]', what: 'has not answered openLogSink for sick for 10 seconds' }),
    );
    await until(() => up.stdout() === 'hello\n', { describe: "its output goes where the kernel's own goes" });
    expect(await scan.stop(up)).toEqual(ended);
  });

  test.each([
    ['silence', 'new Promise(() => {})', 'has not answered prepareSpawn for sick for 10 seconds'],
    ['a throw', "Promise.reject(new Error('not today'))", 'failed in prepareSpawn for sick: not today'],
    ['no plan', 'undefined', 'failed in prepareSpawn for sick: its answer must be the plan, and is undefined'],
  ])('in prepareSpawn, by %s: that service is not started, and others are', async (_how, answer, reason) => {
    await using scan = newPlatform({ sick: 'hello', well: 'hello' });
    const changed = site().changed('log-files', {
      [applied]: `${applied} hooks.prepareSpawn.tapPromise('log-files', async (plan, { label }) => label === 'sick' ? ${answer} : plan);`,
    });
    scan.configure(configOf(scan, { logFiles: changed }));
    await using up = scan.up();
    expect(await scan.logged('well', 1)).toEqual(['hello']);
    await until(() => up.stderr() !== '', { describe: 'the plugin is named', state: () => scan.pids() });
    expect(up.stderr().split('\n')[0]).toMatch(/^supervise: (warning|fatal): /);
    expect(up.stderr()).toContain(`plugin log-files (plugins[0] in daemontap.config.yaml) ${reason}`);
    // Never once: its run would have said something, to the log or to where the kernel's output goes.
    expect([scan.pids()['sick'], existsSync(join(scan.logDir, 'sick.log')), up.stdout()]).toEqual([0, true, '']);
    expect(readFileSync(join(scan.logDir, 'sick.log'), 'utf8')).toBe('');

    scan.configure(configOf(scan)); // without the part that fails
    process.kill(up.pid, 'SIGHUP');
    expect(await scan.logged('sick', 1)).toEqual(['hello']);
    expect(await scan.stop(up)).toEqual(ended);
  });

  test('in openLogSink, by a throw: the service is named, and runs without that sink', async () => {
    await using scan = newPlatform({ sick: 'hello', well: 'hello' });
    const changed = site().changed('log-files', {
      [openSink]: `${openSink} if (service.label === 'sick') throw new Error('not today');`,
    });
    scan.configure(configOf(scan, { logFiles: changed }));
    await using up = scan.up();
    const sick = await scan.pid('sick');
    expect(await scan.logged('well', 1)).toEqual(['hello']);
    expect(up.stderr()).toMatch(
      warning({ plugin: 'log-files (plugins[0]', what: 'failed in openLogSink for sick: not today' }),
    );
    await until(() => up.stdout() === 'hello\n', { describe: "its output goes where the kernel's own goes" });

    expect((await scan.daemontap('plugins')).stdout).toMatch(/^log-files +openLogSink +2 +1 /m); // two calls, one failure

    // Mended, it is asked again at the next start.
    scan.configure(configOf(scan));
    process.kill(up.pid, 'SIGHUP');
    await until(async () => (await scan.daemontap('plugins')).stdout.includes(site().moduleOf('log-files')), {
      describe: 'the mended plugin is in force',
    });
    expect(await scan.command('sick', 't')).toBe('ok t\n');
    await scan.pid('sick', sick);
    expect(await scan.logged('sick', 1)).toEqual(['hello']);
    expect(await scan.stop(up)).toEqual(ended);
  });

  test('in openControl, by a throw: the service is named, and can be told by the other transport', async () => {
    await using scan = newPlatform({ sick: 'hello', well: 'hello' });
    const tap = "hooks.openControl.tap('command-socket', (service, control) => {";
    const changed = site().changed('command-socket', {
      [tap]: `${tap} if (service.label === 'sick') throw new Error('not today');`,
    });
    scan.configure(configOf(scan, { commandSocket: changed }));
    await using up = scan.up();
    const sick = await scan.pid('sick');
    await scan.pid('well');
    expect(up.stderr()).toMatch(
      warning({ plugin: 'command-socket (plugins[1]', what: 'failed in openControl for sick: not today' }),
    );
    expect(await scan.command('well', 'c')).toBe('ok c\n');
    expect(existsSync(join(scan.socketDir, 'sick'))).toBe(false);
    expect(await run([site().program('svc'), '-t', join(scan.dir, 'sick')])).toMatchObject({ code: 0, stderr: '' });
    await scan.pid('sick', sick);
    expect(await scan.stop(up)).toEqual(ended);
  });

  test('in a hook that tells, by a rejection: it is named each time, and all goes on', async () => {
    await using scan = newPlatform({ sick: 'hello', well: 'hello' });
    const changed = site().changed('log-files', {
      [applied]: `${applied} hooks.statusChanged.tap('log-files', async ({ label }) => { if (label === 'sick') throw new Error('not today'); });`,
    });
    scan.configure(configOf(scan, { logFiles: changed }));
    await using up = scan.up();
    const sick = await scan.pid('sick');
    expect(await scan.logged('sick', 1)).toEqual(['hello']);
    expect(await scan.command('sick', 't')).toBe('ok t\n');
    await scan.pid('sick', sick);
    const lines = (): readonly string[] => up.stderr().split('\n').slice(0, -1);
    await until(() => lines().length > 1, { describe: 'it has failed twice', state: lines });
    for (const line of lines()) {
      expect(`${line}\n`).toMatch(
        warning({ plugin: 'log-files (plugins[0]', what: 'failed in statusChanged for sick: not today' }),
      );
    }
    expect(await scan.logged('sick', 2)).toEqual(['hello', 'hello']);
    expect(await scan.stop(up)).toEqual(ended);
  });
});

/** Writes a configuration beside the one of the scan directory, which is broken. */
function configFile({ logDir }: Platform, config: object): string {
  const path = join(logDir, 'config.json');
  writeFileSync(path, JSON.stringify(config));
  return path;
}
