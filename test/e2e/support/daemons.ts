/** Scan directories of services that put themselves into the background, and what their daemons tell of themselves. */
import { chmodSync, chownSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { start } from './start.ts';
import type { StartedProgram } from './start.ts';
import { linesOf, processState, scanDirectory, scannerOf, serverEnvironment } from './supervised.ts';
import type { Driven, ScanDirectory } from './supervised.ts';
import { until } from './until.ts';

/**
 * Puts itself into the background as its first word says, and tells of pids and signals in the file `events`. TERM ends
 * a daemon with 7, unless the word behind the first is `stays`.
 *
 * - `twice`: forks, leaves the session, forks again; each parent ends at once.
 * - `three`: forks three daemons, one after the other.
 * - `held`: as `twice`, but the first process waits until there is a file `go`.
 * - `closes`: as `twice`, and closes the descriptors from the second word to the third before it goes on.
 * - `drops`: as `twice`, and becomes another account without executing anything; the first process ends then.
 * - `execs`: as `twice`, and executes itself under another account.
 */
const DAEMON = `#!/usr/bin/perl
use POSIX;
my ($kind, @words) = @ARGV;
$^F = 2000;
open my $log, '>>', 'events' or die;
sub note { syswrite $log, "@_\\n" }
sub daemon {
  my ($name) = @_;
  for my $signal (qw(TERM HUP INT ALRM USR1)) {
    $SIG{$signal} = sub { note("$name $signal"); POSIX::_exit(7) if $signal eq 'TERM' && $words[0] ne 'stays' };
  }
  note("$name pid $$");
  while (1) { sleep 1000 }
}
daemon('daemon') if $kind eq 'executed';
note("first pid $$");
if ($kind eq 'three') {
  for my $n (1 .. 3) { daemon("daemon$n") if !fork; select undef, undef, undef, 0.03 }
  POSIX::_exit(3);
}
if ($kind eq 'held') { select undef, undef, undef, 0.005 until -e 'go' }
if ($kind eq 'closes') { POSIX::close($_) for grep { $_ != fileno $log } $words[0] .. $words[1] }
pipe my $begins, my $begun;
if (fork) {
  close $begun;
  <$begins> if $kind eq 'drops';
  POSIX::_exit(3);
}
setsid();
POSIX::_exit(0) if fork;
if ($kind eq 'drops' || $kind eq 'execs') { chmod 0666, 'events'; setgid(65534); setuid(65534) }
syswrite $begun, "\\n";
close $_ for $begins, $begun;
exec $0, 'executed' if $kind eq 'execs';
chdir '/';
daemon('daemon');
`;

/** The words that make a service's program. */
export const runs = {
  twice: 'exec ../../daemon twice',
  staying: 'exec ../../daemon twice stays',
  three: 'exec ../../daemon three',
  threeStaying: 'exec ../../daemon three stays',
  held: 'exec ../../daemon held',
  closing: (from: number, to: number) => `exec ../../daemon closes ${from} ${to}`,
  dropping: 'exec ../../daemon drops',
  executing: 'exec ../../daemon execs',
} as const;

/** A scan directory with the plugin, and more of what its services tell. */
export interface DaemonScan extends ScanDirectory {
  /** What has happened to a service's processes, in order. */
  events(name: string): readonly string[];
  /** The pids that they have told, by who they are: all of `daemon`, the last one last. */
  pids(name: string, who: string): readonly number[];
  /** Waits until a service is up as the last process that has told so, and returns its pid. */
  upAs(name: string, who?: string, count?: number): Promise<number>;
}

/** What to configure. */
export interface DaemonScanOptions {
  readonly services: Readonly<Record<string, string>>;
  /** In place of fghack alone. */
  readonly plugins?: readonly unknown[];
  /** More of the configuration. */
  readonly more?: object;
  readonly through?: readonly string[];
  /** Whether all belongs to nobody. */
  readonly isNobodys?: boolean;
  prepare?(scan: Pick<ScanDirectory, 'here' | 'path' | 'make'>): void;
}

/** Starts `daemontap up` on a new scan directory. */
export function daemonScan(driven: Driven, options: DaemonScanOptions): DaemonScan {
  const scan = scanDirectory(driven, {
    ...(options.through && { through: options.through }),
    prepare(made) {
      const { here, path, make } = made;
      writeFileSync(here.join('daemon'), DAEMON, { mode: 0o755 });
      for (const [name, command] of Object.entries(options.services)) {
        make(name, command);
        chmodSync(path(name), 0o777);
      }
      configure(path(), options);
      options.prepare?.(made);
      if (options.isNobodys === true) giveAway(here.path);
    },
  });
  return { ...scan, ...tellingOf(scan), [Symbol.asyncDispose]: () => scan[Symbol.asyncDispose]() };
}

/** Writes the configuration, with these plugins behind those of the preset. */
export function configure(scanDir: string, { plugins = ['fghack'], more = {} }: Partial<DaemonScanOptions>): void {
  writeFileSync(join(scanDir, 'daemontap.config.json'), JSON.stringify({ plugins, ...more }));
}

/** The next `daemontap up` on the same directory, with words in front of it. */
export function upAgain(
  driven: Driven,
  { here, path }: Pick<DaemonScan, 'here' | 'path'>,
  through: readonly string[] = [],
): StartedProgram {
  return start([...through, ...scannerOf(driven), path()], {
    cwd: here.path,
    env: serverEnvironment(driven.server, here),
  });
}

/**
 * A plugin that kills the kernel, once, when a file `kill-at` beside it names the moment: a hook, when among the taps, and for
 * `intended` what is. `statusChanged` is looked at where a service goes on as another process; `unrecorded` is right before
 * run-record is told of a state that is wanted.
 */
const KILLER = `import { readFileSync, rmSync } from 'node:fs';
const file = import.meta.dirname + '/kill-at';
function reach(moment) {
  let named;
  try { named = readFileSync(file, 'utf8'); } catch { return; }
  if (named !== moment) return;
  rmSync(file);
  process.kill(process.pid, 'SIGKILL');
}
const plugin = { name: 'killer', apiVersion: 1, requires: [], apply({ hooks }) {
  for (const [when, stage] of [['before', -1000], ['after', 1000]]) {
    const options = { name: 'killer', stage };
    hooks.intended.tap(options, (_service, intent) => reach('intended ' + intent + ' ' + when));
    hooks.serviceStarted.tap(options, () => reach('serviceStarted ' + when));
    hooks.findSuccessor.tap(options, (_service, pid) => pid && reach('findSuccessor ' + when));
    hooks.serviceEnded.tap(options, () => reach('serviceEnded ' + when));
    const seen = new Map();
    hooks.statusChanged.tap(options, ({ identity }, { pid }) => {
      const before = seen.get(identity);
      seen.set(identity, pid);
      if (pid !== undefined && before !== undefined && pid !== before) reach('statusChanged ' + when);
    });
  }
  hooks.statusChanged.tap({ name: 'killer', before: 'run-record' }, (_service, { want }) => reach('unrecorded ' + want));
} };
export const killer = Object.assign(() => plugin, { definition: { ...plugin, schema: undefined } });
`;

/** Makes the plugin, and returns its path. */
export function makeKiller({ here }: Pick<DaemonScan, 'here'>): string {
  writeFileSync(here.join('killer.mjs'), KILLER);
  return here.join('killer.mjs');
}

/** Names the moment at which that plugin is to kill the kernel. */
export function killAt({ here }: Pick<DaemonScan, 'here'>, moment: string): void {
  writeFileSync(here.join('kill-at.new'), moment);
  renameSync(here.join('kill-at.new'), here.join('kill-at'));
}

/** Sends a signal to one process, and never to several: @throws when there is no such pid */
export function kill(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined || !(pid > 1)) throw new Error(`${pid} is no process of a test`);
  process.kill(pid, signal);
}

/** True while the process is there and has not ended. */
export function lives(pid: number): boolean {
  const state = processState(pid);
  return state !== undefined && state !== 'Z';
}

function tellingOf(scan: ScanDirectory): Pick<DaemonScan, 'events' | 'pids' | 'upAs'> {
  const events = (name: string): readonly string[] => linesOf(scan.path(name, 'events'));
  const pids = (name: string, who: string): readonly number[] =>
    events(name)
      .filter((line) => line.startsWith(`${who} pid `))
      .map((line) => Number(line.split(' ')[2]));
  return {
    events,
    pids,
    upAs: (name, who = 'daemon', count = 1) =>
      until(
        () => {
          const known = pids(name, who);
          return known.length >= count && scan.record(name)?.pid === known.at(-1) && known.at(-1);
        },
        {
          describe: `${name} is up as its ${who}`,
          state: () => [events(name), scan.record(name), scan.svscan.stderr().slice(-2000)],
        },
      ),
  };
}

function giveAway(dir: string): void {
  chownSync(dir, 65_534, 65_534);
  for (const entry of readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
    chownSync(join(dir, entry), 65_534, 65_534);
  }
}
