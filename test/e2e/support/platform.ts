/**
 * What somebody has who uses daemontap with plugins of others: our packages and two plugins that `npm create
 * daemontap-plugin` began, all installed from their tarballs into a directory that is nothing else, and scan directories
 * in it.
 */
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createPlugins } from './created-plugins.ts';
import { neededBy, npm, packDir, timed } from './packages.ts';
import { run } from './run.ts';
import type { Argument, Outcome } from './run.ts';
import { start } from './start.ts';
import type { StartedProgram } from './start.ts';
import { linesOf, readRecord } from './supervised.ts';
import type { TemporaryDirectory } from './temporary-directory.ts';
import { until } from './until.ts';

/** All that a program finds in its environment, as from `env -i`. */
const environment = { PATH: '/usr/bin:/bin' };

const LOG_FILES = 'daemontap-plugin-log-files';
const COMMAND_SOCKET = '@our-org/daemontap-plugin-command-socket';

/** The installation. */
export interface Site {
  readonly dir: string;
  /** The path of an installed program. */
  program(name: string): string;
  /** The module of an installed plugin, as messages name it. */
  moduleOf(plugin: 'log-files' | 'command-socket'): string;
  /** Writes the module of a plugin again, with each text replaced by another, and returns its path. */
  changed(plugin: 'log-files' | 'command-socket', edits: Readonly<Record<string, string>>): string;
}

/** Makes the plugins and installs everything. */
export async function installSite(here: TemporaryDirectory): Promise<Site> {
  const wishes = [
    { kind: 'log-sink', name: 'log-files' },
    { kind: 'control-transport', name: '@our-org/command-socket' },
  ];
  const created = await createPlugins({ here, wishes });
  const dir = here.makeDirectory('site');
  const tarballs = await Promise.all(
    wishes.map(async ({ name }) => {
      const built = await created.runScript(name, 'build');
      if (built.code !== 0) throw new Error(`unable to build ${name}: ${JSON.stringify(built)}`);
      return packDir(created.dirOf(name), created.tarballDir);
    }),
  );
  // Into the empty directory, and from the tarballs alone: the registry has none of these packages.
  const ours = neededBy('@daemontap/cli').map((name) => created.tarballOf(name));
  await timed('npm install of daemontap and two plugins', () =>
    npm(['install', '--prefix', dir, ...ours, ...tarballs]),
  );
  const moduleOf: Site['moduleOf'] = (plugin) =>
    join(dir, 'node_modules', plugin === 'log-files' ? LOG_FILES : COMMAND_SOCKET, 'dist/index.js');
  let written = 0;
  return {
    dir,
    program: (name) => join(dir, 'node_modules/.bin', name),
    moduleOf,
    changed(plugin, edits) {
      const path = join(dir, `changed-${++written}.mjs`);
      const text = Object.entries(edits).reduce(
        (before, [from, to]) => {
          if (!before.includes(from)) throw new Error(`${plugin} has no ${from}`);
          return before.replace(from, () => to);
        },
        readFileSync(moduleOf(plugin), 'utf8'),
      );
      writeFileSync(path, text);
      return path;
    },
  };
}

/** Who runs daemontap. */
export interface Account {
  readonly title: string;
  readonly uid: number;
  /** The command line with which the account runs a program. */
  through(argv: readonly Argument[]): readonly Argument[];
}

/** A scan directory, what its plugins write to, and the daemontap that looks after it. */
export interface Platform extends AsyncDisposable {
  readonly dir: string;
  readonly logDir: string;
  readonly socketDir: string;
  readonly runtimeDir: string;
  /** Writes the configuration; an object as YAML that is JSON. */
  configure(config: string | object, name?: string): void;
  /** Runs `daemontap COMMAND DIR …` to its end. */
  daemontap(command: string, ...words: readonly string[]): Promise<Outcome>;
  /** Starts `daemontap up`. */
  up(): StartedProgram;
  /** Writes a configuration, sends HUP, and waits until something has been said that was not said before. */
  takeUp(up: StartedProgram, config: string | object, says: RegExp): Promise<string>;
  /** Waits until a service runs, and returns its pid; another one than `before` if that is given. */
  pid(service: string, before?: number): Promise<number>;
  /** Waits until a service does not run. */
  down(service: string): Promise<void>;
  /** The pids of services as their status says, now. */
  pids(): Readonly<Record<string, number | undefined>>;
  /** The lines that the log sink has of a service, as soon as there are so many. */
  logged(service: string, atLeast: number): Promise<readonly string[]>;
  /** Sends a command through the control transport, and resolves with the answer. */
  command(service: string, letter: string): Promise<string>;
  /** TERM; resolves once it has ended well and nothing is left of it. */
  stop(up: StartedProgram): Promise<{ readonly left: readonly string[]; readonly code: number | undefined }>;
}

/** What a {@link Platform} is made of. */
export interface PlatformOptions {
  readonly name: string;
  readonly account: Account;
  /** The services, and what each says when it is started. */
  readonly services: Readonly<Record<string, string>>;
}

/** Makes a scan directory in the installation, with services that say something and then stay. */
export function platform(site: Site, { name, account, services }: PlatformOptions): Platform {
  const root = join(site.dir, name);
  const [dir, logDir, socketDir, runtimeDir] = ['scan', 'logs', 'sockets', 'runtime'].map((each) => join(root, each));
  if (dir === undefined || logDir === undefined || socketDir === undefined || runtimeDir === undefined)
    throw new Error('four names are four paths');
  const make = (path: string): void => {
    mkdirSync(path);
    chownSync(path, account.uid, account.uid);
  };
  for (const path of [root, dir, logDir, socketDir, runtimeDir]) make(path);
  for (const [service, says] of Object.entries(services)) {
    make(join(dir, service));
    writeFileSync(join(dir, service, 'run'), `#!/bin/sh\necho ${says}\nexec sleep 1000\n`, { mode: 0o755 });
  }
  const pidOf = (service: string): number | undefined => readRecord(join(dir, service))?.pid;
  const configure: Platform['configure'] = (config, file = 'daemontap.config.yaml') =>
    writeFileSync(join(dir, file), typeof config === 'string' ? config : JSON.stringify(config));
  return {
    ...{ dir, logDir, socketDir, runtimeDir, configure },
    daemontap: (command, ...words) =>
      run(account.through([site.program('daemontap'), command, dir, ...words]), { cwd: dir, env: environment }),
    up: () => start(account.through([site.program('daemontap'), 'up', dir]), { cwd: dir, env: environment }),
    async takeUp(up, config, says) {
      const before = up.stderr().length;
      configure(config);
      process.kill(up.pid, 'SIGHUP');
      const said = (): string => Buffer.from(up.stderr().slice(before), 'latin1').toString();
      await until(() => says.test(said()), { describe: `after HUP it says ${says}`, state: said });
      return said();
    },
    pid: (service, before) =>
      until(
        () => {
          const pid = pidOf(service);
          return pid !== undefined && pid !== 0 && pid !== before && pid;
        },
        { describe: `${service} runs`, state: () => readRecord(join(dir, service)) },
      ),
    async down(service) {
      await until(() => pidOf(service) === 0, { describe: `${service} is down`, state: () => pidOf(service) });
    },
    pids: () => Object.fromEntries(Object.keys(services).map((service) => [service, pidOf(service)])),
    async logged(service, atLeast) {
      const lines = (): readonly string[] => linesOf(join(logDir, `${service}.log`));
      await until(() => lines().length >= atLeast, { describe: `${service}.log has ${atLeast} lines`, state: lines });
      return lines();
    },
    command: (service, letter) => ask(join(socketDir, service), letter),
    async stop(up) {
      process.kill(up.pid, 'SIGTERM');
      const { code } = await up.exit;
      const files = [runtimeDir, socketDir].flatMap((each) => readdirSync(each).map((file) => join(each, file)));
      return { code, left: [...up.pids().map((pid) => `process ${pid}`), ...files] };
    },
    async [Symbol.asyncDispose]() {
      if (existsSync(root)) rmSync(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Writes a letter to a socket, and resolves with the first line that comes back. */
function ask(path: string, letter: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(letter));
    socket.setTimeout(10_000, () => socket.destroy(new Error(`${path} does not answer`)));
    socket.on('error', reject).once('data', (bytes) => {
      socket.destroy();
      resolve(bytes.toString());
    });
  });
}
