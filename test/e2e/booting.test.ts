/**
 * The examples of docs/operations.md, "Booting", taken from there: an init that reads them starts svscan. Each runs as
 * process 1 of a small machine of its own, with its own processes and mounts, where the programs are in /usr/local.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { daemontap } from './support/implementations.ts';
import { run } from './support/run.ts';
import type { Outcome } from './support/run.ts';
import { start } from './support/start.ts';
import type { StartedProgram } from './support/start.ts';
import { childrenOf, clientsIn, linesOf } from './support/supervised.ts';
import type { Clients } from './support/supervised.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import type { TemporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

/** Those of Debian, with where the packages have them; neither may be installed on a machine with another init. */
const inits = [
  { name: 'busybox', debianPackage: 'busybox-static', path: 'bin/busybox', entry: /^::respawn:.*$/m, rest: '' },
  {
    name: 'System V',
    debianPackage: 'sysvinit-core',
    path: 'sbin/init',
    entry: /^SV:\d+:respawn:.*$/m,
    rest: 'id:2:initdefault:\n',
  },
] as const;

const APT_TIMEOUT_MS = 60_000;
const rootDir = join(import.meta.dirname, '../..');
const document = readFileSync(join(rootDir, 'docs/operations.md'), 'utf8');
/** As an init has it: without /usr/local. */
const INIT_PATH = '/sbin:/usr/sbin:/bin:/usr/bin';
const SVSCANBOOT_PATH = '/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin';

/** Makes $root a machine: the system's programs, ours as `npm install -g --prefix /usr/local` links them, nothing else. */
const MACHINE = `set -e
root=$1 checkout=$2 etc=$3 services=$4; shift 4
mount -t tmpfs -o mode=755 tmpfs "$root"
cd "$root"
mkdir dev etc proc run tmp usr
for name in bin sbin lib lib32 lib64 libx32; do
  if [ -h "/$name" ]; then ln -s "$(readlink "/$name")" "$name"
  elif [ -d "/$name" ]; then mkdir "$name" && mount --rbind "/$name" "$name"; fi
done
mount --rbind /usr usr
mount -t tmpfs -o mode=755 tmpfs usr/local
mkdir usr/local/bin usr/local/lib
mount --rbind "$checkout" usr/local/lib
for file in "$checkout"/packages/cli/bin/*; do
  ln -s "../lib/node_modules/@daemontap/cli/bin/\${file##*/}" usr/local/bin
done
for name in null zero random urandom; do
  : >"dev/$name"
  mount --bind "/dev/$name" "dev/$name"
done
for name in passwd group ld.so.cache; do
  if [ -f "/etc/$name" ]; then cp "/etc/$name" etc; fi
done
cp -r "$etc/." etc
mkdir etc/service
mount --bind "$services" etc/service
mount -t proc proc proc
exec env - "PATH=${INIT_PATH}" chroot "$root" "$@"`;

/** A machine that runs, until the test ends. */
interface Machine extends Clients, AsyncDisposable {
  readonly program: StartedProgram;
  /** The path of something in its scan directory. */
  path(...names: readonly string[]): string;
  /** The pids here of its processes of this name. */
  pidsOf(name: string): readonly number[];
  /** The only one of them. */
  pidOf(name: string): number;
  /** The lines that the service `a` has logged, once there are so many. */
  lines(count: number): Promise<readonly string[]>;
}

const canIsolate = tryIsolate();
if (!canIsolate)
  console.log('skipped: all tests of booting; they need root, and the right to unshare mounts and processes');

test('the document has an example for each init', () => {
  for (const { entry } of inits) expect(textOf(entry)).not.toBe('');
  expect(unit()).toContain('ExecStart=/usr/local/bin/svscan ');
  expect(rcLocal()).toContain('/usr/local/bin/svscanboot');
});

describe.skipIf(!canIsolate).each(inits)(
  'the inittab line for the init of $name',
  ({ name, debianPackage, path, entry, rest }) => {
    const downloads = temporaryDirectory();
    let init: string | undefined;
    beforeAll(async () => {
      init = await programOf(debianPackage, path, downloads);
      if (init === undefined)
        console.log(`skipped: the init of ${name}; ${debianPackage} is neither here nor to be had`);
      return () => downloads[Symbol.asyncDispose]();
    }, 4 * APT_TIMEOUT_MS);

    /** A machine for this init to boot. */
    function boot(): Machine {
      return machineOf(['/etc/init'], (etcDir) => {
        spawnSync('cp', [init ?? '', join(etcDir, 'init')]);
        writeFileSync(join(etcDir, 'inittab'), `${rest}${textOf(entry)}\n`);
      });
    }

    test('svscan runs with PATH alone, and what is not logged is in the arguments of readproctitle', async ({
      skip,
    }) => {
      if (init === undefined) skip();
      await using machine = boot();
      await machine.says('a', 'up (pid N) N seconds');
      expect(await machine.lines(1)).toEqual(['start']);
      await until(() => titleOf(machine)?.endsWith('not logged\n'), {
        describe: 'readproctitle shows it',
        state: () => titleOf(machine),
      });
      expect(linesOf(machine.path('b/environment')).toSorted()).toEqual([
        `PATH=${SVSCANBOOT_PATH}`,
        'PWD=/etc/service/b',
      ]);
    });

    test('svscan that gets TERM ends everything in order, and is started anew', async ({ skip }) => {
      if (init === undefined) skip();
      await using machine = boot();
      await machine.lines(1);
      const svscan = machine.pidOf('svscan');
      process.kill(svscan, 'SIGTERM');
      expect(await machine.lines(3)).toEqual(['start', 'end', 'start']);
      expect(machine.pidsOf('svscan')).not.toContain(svscan);
    });

    test('svscan that was killed is started anew when its services have ended, and not before', async ({ skip }) => {
      if (init === undefined) skip();
      await using machine = boot();
      await machine.lines(1);
      const svscan = machine.pidOf('svscan');
      const services = await until(() => childrenOf(svscan).length === 3 && childrenOf(svscan), {
        describe: 'both services and the log run',
        state: () => childrenOf(svscan),
      });
      const boots = machine.pidsOf('svscanboot');
      process.kill(svscan, 'SIGKILL');
      await machine.says('a', 'supervise not running');
      expect([machine.pidsOf('svscanboot'), machine.pidsOf('svscan')]).toEqual([boots, []]);
      // The log ends by itself, at the end of its input.
      const isLog = (pid: number): boolean => readlinkSync(`/proc/${pid}/cwd`).endsWith('/log');
      for (const pid of services.filter((each) => !isLog(each))) process.kill(pid, 'SIGTERM');
      expect(await machine.lines(3)).toEqual(['start', 'end', 'start']);
    });
  },
);

describe.skipIf(!canIsolate)('the line for rc.local', () => {
  test('svscan runs, and goes on when rc.local has ended', async () => {
    const first = '/bin/sh /etc/rc.local; : >/etc/service/.over; exec sleep 1000';
    await using machine = machineOf(['/bin/sh', '-c', first], (etcDir) => {
      writeFileSync(join(etcDir, 'rc.local'), rcLocal());
    });
    await until(() => existsSync(machine.path('.over')), { describe: 'rc.local has ended' });
    await machine.says('a', 'up (pid N) N seconds');
    expect(await machine.lines(1)).toEqual(['start']);
  });
});

describe.skipIf(!canIsolate)('the unit for systemd', () => {
  test('systemd-analyze has nothing to say about it', async ({ skip }) => {
    const isInstalled = existsSync('/usr/bin/systemd-analyze');
    if (!isInstalled) console.log('skipped: the check of the unit; systemd-analyze is not installed');
    skip(!isInstalled);
    const path = '/etc/systemd/system/svscan.service';
    expect(
      await runInMachine(['systemd-analyze', 'verify', '--man=no', path], (etcDir) => {
        mkdirSync(join(etcDir, 'systemd/system'), { recursive: true });
        writeFileSync(join(etcDir, 'systemd/system/svscan.service'), unit());
      }),
    ).toEqual({ code: 0, signal: undefined, stdout: '', stderr: '' });
  });

  test('svscan has the time that its services may take, twice', () => {
    const [, seconds] = /^TimeoutStopSec=(\d+)$/m.exec(unit()) ?? [];
    const [, perService] = /`DAEMONTAP_STOP_TIMEOUT`.*\| `(\d+)` \|/.exec(document) ?? [];
    expect(Number(seconds)).toBeGreaterThan(2 * Number(perService));
  });
});

/** A machine with two services: `a`, which has a log, and `b`, which has none. */
function machineOf(argv: readonly string[], fill: (etcDir: string) => void): Machine {
  const here = temporaryDirectory();
  here.makeService('service/a', "trap 'echo end; exit' TERM; echo start; while :; do sleep 0.1; done");
  here.makeService('service/a/log', 'exec cat >>lines');
  here.makeService('service/b', 'env >environment; echo not logged; exec sleep 1000');
  const path = (...names: readonly string[]): string => here.join('service', ...names);
  const program = start(isolated(here, argv, fill), { cwd: here.path });
  const pidsOf = (name: string): readonly number[] =>
    descendantsOf(program.pid).filter((pid) => about(pid, 'comm') === `${name}\n`);
  return {
    program,
    path,
    pidsOf,
    pidOf(name) {
      const [pid, ...others] = pidsOf(name);
      if (pid === undefined || others.length > 0)
        throw new Error(`there is not one ${name}: ${pidsOf(name).join(' ')}`);
      return pid;
    },
    lines: (count) =>
      until(() => linesOf(path('a/log/lines')).length >= count && linesOf(path('a/log/lines')), {
        describe: `${count} lines are logged`,
        state: () => [linesOf(path('a/log/lines')), program.stdout(), program.stderr()],
      }),
    ...clientsIn(daemontap, path()),
    async [Symbol.asyncDispose]() {
      // Process 1 goes with the one that has started it, and with process 1 the machine.
      const pids = descendantsOf(program.pid);
      process.kill(program.pid, 'SIGKILL');
      await program.exit;
      await until(() => pids.every((pid) => !existsSync(`/proc/${pid}`)), {
        describe: 'nothing of the machine runs any more',
        state: () => pids.filter((pid) => existsSync(`/proc/${pid}`)),
      });
      await program[Symbol.asyncDispose]();
      await here[Symbol.asyncDispose]();
    },
  };
}

/** Runs a program in a machine to its end. */
async function runInMachine(argv: readonly string[], fill: (etcDir: string) => void): Promise<Outcome> {
  await using here = temporaryDirectory();
  here.makeDirectory('service');
  return await run(isolated(here, argv, fill));
}

/** The command line that makes a machine and runs a program as its process 1; `fill` has what is in its /etc. */
function isolated(
  here: TemporaryDirectory,
  argv: readonly string[],
  fill: (etcDir: string) => void,
): readonly string[] {
  const etcDir = here.makeDirectory('etc');
  fill(etcDir);
  const unshare = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private'];
  return [
    ...unshare,
    '/bin/sh',
    '-c',
    MACHINE,
    'sh',
    here.makeDirectory('root'),
    rootDir,
    etcDir,
    here.join('service'),
    ...argv,
  ];
}

function tryIsolate(): boolean {
  if (process.getuid?.() !== 0) return false;
  const words = ['--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private'];
  return spawnSync('unshare', [...words, 'mount', '-t', 'tmpfs', 'tmpfs', '/tmp']).status === 0;
}

/** A program of a Debian package that is installed, or unpacked here; `undefined` where there is no Debian or no network. */
async function programOf(debianPackage: string, path: string, here: TemporaryDirectory): Promise<string | undefined> {
  // An init of another kind has this name on most machines.
  if (path !== 'sbin/init' && existsSync(`/${path}`)) return `/${path}`;
  const env = process.env as Record<string, string>; // apt may have to know a proxy; what is undefined is not in it
  const succeeds = async (...argv: readonly string[]): Promise<boolean> =>
    (await run(argv, { cwd: here.path, env, timeoutMs: APT_TIMEOUT_MS })).code === 0;
  if (!existsSync('/usr/bin/apt-get')) return undefined;
  const isHere =
    (await succeeds('apt-get', 'download', debianPackage)) ||
    ((await succeeds('apt-get', 'update')) && (await succeeds('apt-get', 'download', debianPackage)));
  const [archive = ''] = globSync('*.deb', { cwd: here.path });
  const unpackedDir = here.join('unpacked');
  if (!isHere || !(await succeeds('dpkg-deb', '--extract', here.join(archive), unpackedDir))) return undefined;
  return join(unpackedDir, path);
}

function unit(): string {
  return textOf(/(?<=^```ini\n)\[Unit\]\n[^`]*(?=^```$)/m);
}

function rcLocal(): string {
  return textOf(/^.*svscanboot &\n/m);
}

function textOf(pattern: RegExp): string {
  return pattern.exec(document)?.[0] ?? '';
}

/** The last argument of readproctitle, which is its display. */
function titleOf(machine: Machine): string | undefined {
  const [pid] = machine.pidsOf('readproctitle');
  return pid === undefined ? undefined : about(pid, 'cmdline').split('\0').at(-2);
}

function descendantsOf(pid: number): readonly number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

function about(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return ''; // It has just ended.
  }
}
