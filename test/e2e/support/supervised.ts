/** Live scan directories: an svscan of one implementation and the clients of another, for tests of services that run. */
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { supervisors, implementations } from './implementations.ts';
import type { Implementation } from './implementations.ts';
import { run } from './run.ts';
import type { Argument, Outcome } from './run.ts';
import { start } from './start.ts';
import type { StartedProgram } from './start.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import type { TemporaryDirectory } from './temporary-directory.ts';
import { until } from './until.ts';

/** Whose svscan or supervise is driven by whose clients. */
export interface Combination {
  readonly server: Implementation;
  readonly client: Implementation;
  readonly title: string;
  /** True: `daemontap up` is in the place of svscan, with the preset written out in the scan directory. */
  readonly isUp?: boolean;
}

/** Who is driven by whom, where titles do not matter. */
export type Driven = Omit<Combination, 'title'>;

/** Each server with each set of clients. */
export const combinations: readonly Combination[] = supervisors
  .filter((each) => each.has('svscan'))
  .flatMap((server) =>
    implementations.map((client) => ({ server, client, title: `svscan: ${server.name}, clients: ${client.name}` })),
  );

/** As {@link combinations}, and `daemontap up` with each set of clients. */
export const scanCombinations: readonly Combination[] = [
  ...combinations,
  ...combinations
    .filter(({ server }) => server.name === 'daemontap')
    .map((each) => ({ ...each, isUp: true, title: `daemontap up, clients: ${each.client.name}` })),
];

/** One for each that looks after a scan directory, by its name; the clients are its own. */
export const scanners: readonly (Combination & { readonly name: string })[] = scanCombinations
  .filter(({ server, client }) => server === client)
  .map((each) => ({ ...each, name: each.isUp === true ? 'daemontap up' : each.server.name }));

/** Those of {@link scanners} that are ours. */
export const ourScanners: typeof scanners = scanners.filter(({ server }) => server.name === 'daemontap');

/** The status record of a service, read as its 18 bytes. */
export interface StatusRecord {
  /** 0 when it is down. */
  readonly pid: number;
  readonly want: 'up' | 'down' | 'once';
  readonly paused: boolean;
  /** Changes with every record that is written. */
  readonly version: string;
}

/** Clients that work in one directory. */
export interface Clients {
  /** Sends commands; fails when svc says anything. The words are its options and directories. */
  svc(...words: readonly Argument[]): Promise<void>;
  /** What svc did, for tests that expect it to say something. */
  trySvc(...words: readonly Argument[]): Promise<Outcome>;
  /** What svstat says of directories, a line each, without pids and seconds. */
  svstat(...directories: readonly Argument[]): Promise<readonly string[]>;
  /** The exit code of svok. */
  svok(directory: Argument): Promise<number | undefined>;
  /** Waits until svstat says this. */
  says(directory: string, line: string): Promise<void>;
}

/** A scan directory that an svscan looks after. */
export interface ScanDirectory extends Clients, AsyncDisposable {
  /** What the test has for itself; `service` in it is the scan directory. */
  readonly here: TemporaryDirectory;
  readonly svscan: StartedProgram;
  /** The path of something in the scan directory. */
  path(...names: readonly string[]): string;
  /** Makes a service directory; by default its run sleeps. */
  make(name: string, command?: string): string;
  /** The status of a service, or `undefined` while it has none. */
  record(name: string): StatusRecord | undefined;
  /** Waits until a service runs, and returns its pid; another one than `before` if that is given. */
  up(name: string, before?: number): Promise<number>;
  /** Waits until a service does not run and is wanted so. */
  down(name: string, want?: StatusRecord['want']): Promise<void>;
  /** Waits until a whole scan has begun and ended after this call. */
  scanPasses(): Promise<void>;
}

/** How to start an svscan. */
export interface ScanOptions {
  /** In place of the scan directory's path. */
  readonly argument?: Argument;
  readonly env?: Readonly<Record<string, string>>;
  /** Words in front of svscan, e.g. `prlimit`. */
  readonly through?: readonly Argument[];
  /** Fills the scan directory before svscan starts. */
  prepare?(scan: Pick<ScanDirectory, 'here' | 'path' | 'make'>): void;
}

const silent = { code: 0, signal: undefined, stdout: '', stderr: '' };

/** The environment of a server in a test: its programs are found, and what it keeps is inside of the test's directory. */
export function serverEnvironment(
  server: Implementation,
  here: TemporaryDirectory,
  more: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  return {
    PATH: `${server.programDir}:/usr/bin:/bin:/usr/sbin:/sbin`,
    LC_ALL: 'C',
    TZ: 'UTC',
    HOME: '/',
    DAEMONTAP_RUNTIME_DIR: here.join('runtime'),
    ...more,
  };
}

/** The words in front of the scan directory's path. */
export function scannerOf({ server, isUp = false }: Pick<Combination, 'server' | 'isUp'>): readonly string[] {
  return isUp ? [join(server.programDir, 'daemontap'), 'up'] : [server.path('svscan')];
}

/** Makes a directory a scan directory of `daemontap up`, with all that svscan does by itself written out. */
export function writeOutPreset(scanDir: string): void {
  writeFileSync(join(scanDir, 'daemontap.config.json'), '{ "preset": "daemontools" }\n');
}

/** Starts svscan, or `daemontap up`, on a new scan directory. */
export function scanDirectory(driven: Driven, options: ScanOptions = {}): ScanDirectory {
  const { server, client } = driven;
  const here = temporaryDirectory();
  here.makeDirectory('service');
  if (driven.isUp === true) writeOutPreset(here.join('service'));
  const path = (...names: readonly string[]): string => here.join('service', ...names);
  const make = (name: string, command?: string): string => here.makeService(join('service', name), command);
  options.prepare?.({ here, path, make });
  const svscan = start([...(options.through ?? []), ...scannerOf(driven), options.argument ?? path()], {
    cwd: here.path,
    env: serverEnvironment(server, here, options.env),
  });
  const record = (name: string): StatusRecord | undefined => readRecord(path(name));
  const seen = (name: string) => (): unknown => [record(name), svscan.stderr().slice(-2000)];
  let probes = 0;
  return {
    here,
    svscan,
    path,
    make,
    record,
    ...clientsIn(client, path()),
    up: (name, before) =>
      until(
        () => {
          const pid = record(name)?.pid;
          return pid !== undefined && pid !== 0 && pid !== before && pid;
        },
        { describe: `${name} is up`, state: seen(name) },
      ),
    async down(name, want = 'down') {
      const isDown = (): boolean => record(name)?.pid === 0 && record(name)?.want === want;
      await until(isDown, { describe: `${name} is down, wanted ${want}`, state: seen(name) });
    },
    async scanPasses() {
      // Twice: the scan that finds the first may have looked at everything else before.
      for (let count = 0; count < 2; count++) {
        const probe = `zz-probe-${++probes}`;
        here.makeService(probe);
        writeFileSync(here.join(probe, 'down'), '');
        renameSync(here.join(probe), path(probe));
        await until(() => existsSync(path(probe, 'supervise', 'ok')), { describe: 'a scan finds a new directory' });
      }
    },
    async [Symbol.asyncDispose]() {
      await svscan[Symbol.asyncDispose]();
      await here[Symbol.asyncDispose]();
    },
  };
}

/** The clients of an implementation, called in a directory. */
export function clientsIn(client: Implementation, cwd: string): Clients {
  const trySvc = (...words: readonly Argument[]): Promise<Outcome> => run([client.path('svc'), ...words], { cwd });
  const svstat = async (...directories: readonly Argument[]): Promise<readonly string[]> => {
    const { stdout } = await run([client.path('svstat'), ...directories], { cwd });
    return maskStatus(stdout).split('\n').slice(0, -1);
  };
  return {
    trySvc,
    async svc(...words) {
      const outcome = await trySvc(...words);
      if (JSON.stringify(outcome) !== JSON.stringify(silent)) {
        throw new Error(`svc ${words.join(' ')}: ${JSON.stringify(outcome)}`);
      }
    },
    svstat,
    svok: async (directory) => (await run([client.path('svok'), directory], { cwd })).code,
    async says(directory, line) {
      const says = async (): Promise<boolean> => (await svstat(directory))[0] === `${directory}: ${line}`;
      await until(says, { describe: `svstat says "${line}"`, state: () => svstat(directory), everyMs: 50 });
    },
  };
}

/** What svstat says, without what differs from run to run. */
export function maskStatus(text: string): string {
  return text.replaceAll(/\(pid \d+\)/g, '(pid N)').replaceAll(/\d+ seconds/g, 'N seconds');
}

/** The status of the service in a directory. */
export function readRecord(directory: string): StatusRecord | undefined {
  const file = join(directory, 'supervise', 'status');
  let bytes: Buffer;
  let version: string;
  try {
    bytes = readFileSync(file);
    const { ino, ctimeNs } = statSync(file, { bigint: true });
    version = `${ino}-${ctimeNs}`;
  } catch {
    return undefined;
  }
  if (bytes.length < 18) return undefined;
  const want = bytes[17] === 0x75 ? 'up' : bytes[17] === 0x64 ? 'down' : 'once';
  return { pid: bytes.readUInt32LE(12), want, paused: bytes[16] === 1, version };
}

/** The lines of a file, without one that is not finished; none when there is no file. */
export function linesOf(file: string): readonly string[] {
  try {
    return readFileSync(file, 'latin1').split('\n').slice(0, -1);
  } catch {
    return [];
  }
}

/** One letter for what a process does (`S`, `T`, `Z`), or `undefined` when there is none. */
export function processState(pid: number): string | undefined {
  return statFields(pid)?.[0];
}

/** True while a process waits in write(2) for room in its standard output. */
export function isWriting(pid: number): boolean {
  const number = process.arch === 'x64' ? '1' : '64';
  try {
    return processState(pid) === 'S' && readFileSync(`/proc/${pid}/syscall`, 'latin1').startsWith(`${number} 0x1 `);
  } catch {
    return false; // it has ended meanwhile
  }
}

/** When a process began, in clock ticks after boot; `undefined` when there is none. */
export function startTicksOf(pid: number): number | undefined {
  const fields = statFields(pid);
  return fields && Number(fields[19]);
}

/** The children of a process that have not been reaped. */
export function childrenOf(pid: number): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((each) => parentOf(each) === pid);
}

function parentOf(pid: number): number | undefined {
  const fields = statFields(pid);
  return fields && Number(fields[1]);
}

/** What /proc/PID/stat says behind the name, which may hold anything. */
function statFields(pid: number): readonly string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
