/**
 * Scan directories of `daemontap up` with a configuration of plugins, whose kernel and log hosts a test may end and
 * have started anew; and what can be seen of the hosts from outside.
 */
import { chownSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { daemontap as ours } from './implementations.ts';
import { start } from './start.ts';
import type { Exit, StartedProgram } from './start.ts';
import { clientsIn, readRecord, serverEnvironment } from './supervised.ts';
import type { Clients, StatusRecord } from './supervised.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import type { TemporaryDirectory } from './temporary-directory.ts';
import { until } from './until.ts';

/** What stands in the configuration. */
export interface StackConfiguration {
  /** By default daemontools'. */
  readonly preset?: readonly string[];
  readonly plugins: readonly (string | readonly [name: string, options: object])[];
  readonly services?: object;
  /** In seconds. */
  readonly stopTimeout?: number;
}

/** How to start one. */
export interface StackOptions extends StackConfiguration {
  /** Words in front of daemontap, e.g. what makes it run as nobody. */
  readonly through?: readonly string[];
  /** Whose all that is made is to be; by default that of who makes it. */
  readonly owner?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Fills the scan directory before it is supervised. */
  prepare?(stack: Pick<Stack, 'here' | 'path' | 'make'>): void;
}

/** A log host, as its directory tells. */
export interface HostSeen {
  /** The plugin's name. */
  readonly plugin: string;
  /** Behind `host-`. */
  readonly name: string;
  readonly dir: string;
  /** 0: it does not run. */
  readonly pid: number;
}

/** A scan directory that `daemontap up` looks after. */
export interface Stack extends Clients, AsyncDisposable {
  /** What the test has for itself; `service` in it is the scan directory. */
  readonly here: TemporaryDirectory;
  /** The kernel of the moment. */
  readonly up: StartedProgram;
  /** The path of something in the scan directory. */
  path(...names: readonly string[]): string;
  /** Makes a service directory; by default its run sleeps. */
  make(name: string, command?: string): string;
  /** The status of a service, or `undefined` while it has none. */
  record(name: string): StatusRecord | undefined;
  /** Waits until a service runs, and returns its pid; another one than `before` if that is given. */
  runs(name: string, before?: number): Promise<number>;
  /** Writes the configuration; it counts from the next start or {@link Stack.hangUp} on. */
  configure(configuration: StackConfiguration): void;
  /** Has the configuration taken up, and waits until it is. */
  hangUp(): Promise<void>;
  /** Kills the kernel. */
  kill(): Promise<void>;
  /** Starts another kernel; it returns at once. */
  start(): void;
  /** Waits until a kernel, the one of the moment or one before, has said this on standard error. */
  speaks(text: string | RegExp): Promise<void>;
  /** All that kernels have said until now. */
  said(): string;
  /** All log hosts whose directories are there. */
  hosts(): readonly HostSeen[];
  /** Waits until the only host, or the one called so, runs, as another process than `before` if that is given. */
  host(options?: { readonly name?: string; readonly before?: number }): Promise<HostSeen>;
  /** Ends the kernel in order. */
  stop(): Promise<Exit>;
  /** The processes that live: kernel, hosts, services, and all that these have started. */
  pids(): readonly number[];
  /** What is left in the runtime directory. */
  left(): readonly string[];
}

/** Starts `daemontap up` on a new scan directory. */
export function stack({ through = [], owner, env = {}, prepare, ...configuration }: StackOptions): Stack {
  const here = temporaryDirectory();
  const path = (...names: readonly string[]): string => here.join('service', ...names);
  const make = (name: string, command?: string): string => {
    const made = here.makeService(join('service', name), command);
    if (owner !== undefined) chownSync(made, owner, owner);
    return made;
  };
  const configure = (given: StackConfiguration): void =>
    writeFileSync(path('daemontap.config.json'), JSON.stringify(given));
  const programs: StartedProgram[] = [];
  const startOne = (): void => {
    const words = [...through, join(ours.programDir, 'daemontap'), 'up', path()];
    programs.unshift(start(words, { cwd: here.path, env: serverEnvironment(ours, here, env) }));
  };
  const current = (): StartedProgram => {
    const [up] = programs;
    if (up === undefined) throw new Error('nothing is started');
    return up;
  };
  const said = (): string =>
    programs
      .map((each) => each.stderr())
      .toReversed()
      .join('');
  const hosts = (): readonly HostSeen[] => hostsIn(here.join('runtime'));
  const clients = clientsIn(ours, path());
  for (const name of ['service', 'runtime']) {
    here.makeDirectory(name);
    if (owner !== undefined) chownSync(here.join(name), owner, owner);
  }
  configure(configuration);
  prepare?.({ here, path, make });
  startOne();
  return {
    ...clients,
    here,
    get up() {
      return current();
    },
    path,
    make,
    configure,
    start: startOne,
    said,
    hosts,
    record: (name) => readRecord(path(name)),
    runs: (name, before) =>
      until(
        () => {
          const pid = readRecord(path(name))?.pid;
          return pid !== undefined && pid !== 0 && pid !== before && pid;
        },
        { describe: `${name} runs`, state: () => [readRecord(path(name)), said().slice(-2000)] },
      ),
    async hangUp() {
      const before = said().length;
      process.kill(current().pid, 'SIGHUP');
      const isTaken = (): boolean => said().slice(before).includes('configuration: ');
      await until(isTaken, { describe: 'the configuration is taken up', state: said });
    },
    async kill() {
      current(); // there is one
      try {
        process.kill(current().pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
      await current().exit;
    },
    async speaks(text) {
      const isSaid = (): boolean => (typeof text === 'string' ? said().includes(text) : text.test(said()));
      await until(isSaid, { describe: `it says ${text}`, state: () => said().slice(-3000) });
    },
    host({ name, before } = {}) {
      const running = (): HostSeen | undefined => {
        const [seen, ...others] = hosts().filter((each) => name === undefined || each.name === name);
        return others.length > 0 || seen === undefined || [0, before].includes(seen.pid) ? undefined : seen;
      };
      return until(running, { describe: 'its log host runs', state: () => [hosts(), said().slice(-2000)] });
    },
    stop() {
      process.kill(current().pid, 'SIGTERM');
      return current().exit;
    },
    pids: () => programs.flatMap((each) => each.pids()),
    left: () => readdirSync(here.join('runtime')),
    async [Symbol.asyncDispose]() {
      for (const each of programs) await each[Symbol.asyncDispose]();
      await here[Symbol.asyncDispose]();
    },
  };
}

/** The log hosts of all kernels that have this runtime directory. */
function hostsIn(runtimeDir: string): readonly HostSeen[] {
  const found: HostSeen[] = [];
  for (const kernel of namesIn(runtimeDir)) {
    for (const plugin of namesIn(join(runtimeDir, kernel))) {
      for (const entry of namesIn(join(runtimeDir, kernel, plugin))) {
        if (!entry.startsWith('host-')) continue;
        const dir = join(runtimeDir, kernel, plugin, entry);
        found.push({ plugin, name: entry.slice('host-'.length), dir, pid: readRecord(dir)?.pid ?? 0 });
      }
    }
  }
  return found;
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch {
    return []; // gone, or no directory
  }
}
