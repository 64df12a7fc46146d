/**
 * A scan directory whose svscan is killed and started anew, again and again: what svstat says is compared with what the
 * services themselves tell, and what they tell with what must never happen.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  crashServices,
  daemonsOf,
  lastStart,
  linesGoneWrong,
  makeCrashServices,
  startsGoneWrong,
} from './crash-services.ts';
import type { CrashService, Start } from './crash-services.ts';
import { compareLines, compareWithSent, linesIn } from './numbered.ts';
import type { LinesSeen } from './numbered.ts';
import { run } from './run.ts';
import { start } from './start.ts';
import type { StartedProgram } from './start.ts';
import { clientsIn, processState, scannerOf, serverEnvironment, startTicksOf } from './supervised.ts';
import type { Clients, Combination } from './supervised.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { until } from './until.ts';

/** Within so long after its start a supervisor must be right about every service. */
export const RIGHT_WITHIN_MS = 1000;

/** So much of each stream is written twice at most when a log host is killed. */
const HOST_BLOCK_SIZE = 262_144;

/** A scan directory of such services. */
export interface CrashScan extends Clients, AsyncDisposable {
  readonly services: readonly CrashService[];
  /** The svscan of the moment. */
  readonly svscan: StartedProgram;
  /** The path of something in the scan directory. */
  path(...names: readonly string[]): string;
  /** Kills the svscan with KILL, if it has not ended, and waits for its end. */
  kill(): Promise<void>;
  /** Starts another svscan; it returns at once. */
  restart(): void;
  /** Where svstat is wrong at this moment: by the service's name, what it says and what is true. */
  wrong(): Promise<ReadonlyMap<string, string>>;
  /**
   * Waits until svstat was right about each service once: some change all the time.
   * @throws when that takes longer than so many milliseconds after the start of this svscan, or the last kill of hosts;
   * 1000 by default
   */
  right(withinMs?: number): Promise<void>;
  /** What has happened until now that never must. */
  violations(): readonly string[];
  /** Kills the log hosts with KILL, if they run. */
  killHosts(): void;
  /** How often that was so. */
  readonly hostKills: number;
  /** Waits until what services write at this moment is in their logs; logs of log hosts alone. */
  logsGoOn(withinMs: number): Promise<void>;
  /** What is wrong until now with the lines in the logs of log hosts, where a killed host may have written a block twice. */
  hostedLines(): readonly string[];
  /** Ends every service and the svscan in order; then all lines must be there. */
  end(): Promise<readonly string[]>;
}

/** Fills a scan directory, starts svscan on it, and brings every service into the state that it is to be in. */
export async function crashScan(
  { server, client }: Pick<Combination, 'server' | 'client'>,
  services: readonly CrashService[] = crashServices(),
  logs: 'log services' | 'log hosts' = 'log services',
): Promise<CrashScan> {
  const hasLogServices = logs === 'log services';
  const here = temporaryDirectory();
  here.makeDirectory('service');
  const path = (...names: readonly string[]): string => here.join('service', ...names);
  makeCrashServices(services, {
    programPath: here.join('service.pl'),
    fghackPath: server.path('fghack'),
    hasLogServices,
    make: (name, command) => here.makeService(join('service', name), command),
  });
  if (!hasLogServices) {
    const account = process.geteuid?.() === 0 ? { account: 'nobody' } : {};
    const plugins = [['log-multilog', { script: ['t', 's999999', 'n99999', './main'], ...account }]];
    writeFileSync(path('daemontap.config.json'), JSON.stringify({ plugins }));
  }
  const programs: StartedProgram[] = [];
  let hostKills = 0;
  let startedAtMs = 0;
  const restart = (): void => {
    startedAtMs = performance.now();
    // In a session of its own: what others leave at the same moment is none of its business.
    const words = ['setsid', ...scannerOf({ server, isUp: !hasLogServices }), path()];
    programs.unshift(start(words, { cwd: here.path, env: serverEnvironment(server, here) }));
  };
  const current = (): StartedProgram => {
    const [svscan] = programs;
    if (svscan === undefined) throw new Error('there is no svscan');
    return svscan;
  };
  const allPaths = services.flatMap(({ name, hasLog }) =>
    hasLog && hasLogServices ? [path(name), path(name, 'log')] : [path(name)],
  );
  const violations = (): readonly string[] => allPaths.flatMap(startsGoneWrong);
  const wrong = async (): Promise<ReadonlyMap<string, string>> => {
    const before = services.map(({ name }) => lastStart(path(name)));
    const { stdout } = await run([client.path('svstat'), ...services.map(({ name }) => name)], { cwd: path() });
    const lines = stdout.split('\n');
    const found = new Map<string, string>();
    for (const [index, service] of services.entries()) {
      const [said = '', known] = [lines[index], before[index]];
      if (isRight(service, said, known)) continue;
      found.set(service.name, `svstat says "${said}", but it is ${describeTruth(service, known)}`);
    }
    return found;
  };
  const hosted = hasLogServices ? [] : services.filter(({ hasLog }) => hasLog);
  const problemsOf = (name: string, { problems, repeatedBytes }: LinesSeen): readonly string[] => {
    const most = hostKills * HOST_BLOCK_SIZE;
    const repeats = repeatedBytes > most ? [`${repeatedBytes} bytes twice after ${hostKills} kills of the host`] : [];
    return [...problems, ...repeats].map((problem) => `${name}: ${problem}`);
  };
  const scan: CrashScan = {
    services,
    get svscan() {
      return current();
    },
    path,
    ...clientsIn(client, path()),
    restart,
    wrong,
    violations,
    async kill() {
      try {
        process.kill(current().pid, 'SIGKILL');
      } catch {
        // It has ended by itself, or by strace.
      }
      await current().exit;
    },
    get hostKills() {
      return hostKills;
    },
    killHosts() {
      startedAtMs = performance.now(); // what that does to svstat is to be over as soon
      for (const pid of hostsAmong(programs.flatMap((program) => program.pids()))) {
        process.kill(pid, 'SIGKILL');
        hostKills++;
      }
    },
    async logsGoOn(withinMs) {
      const sizeOf = (name: string): number => sizeIn(path(name, 'main'));
      const running = hosted.filter(({ kind, want }) => want === 'up' && !kind.startsWith('crashing'));
      const before = new Map(running.map(({ name }) => [name, sizeOf(name)]));
      const still = (): readonly string[] =>
        running.flatMap(({ name }) => (sizeOf(name) > (before.get(name) ?? 0) ? [] : [name]));
      await until(() => still().length === 0, {
        describe: 'all logs go on',
        state: () => [still(), current().stderr().slice(-2000)],
        timeoutMs: withinMs,
      });
    },
    hostedLines: () => hosted.flatMap(({ name }) => problemsOf(name, compareLines(linesIn(path(name, 'main'))))),
    async right(withinMs = RIGHT_WITHIN_MS) {
      let never: readonly string[] = services.map(({ name }) => name);
      const look = async (): Promise<boolean> => {
        const found = await wrong();
        never = never.filter((name) => found.has(name));
        return never.length === 0;
      };
      await until(look, {
        describe: 'svstat is right about every service',
        state: async () => [Object.fromEntries(await wrong()), violations(), current().stderr().slice(-2000)],
        // Who is given more than a second is given it from now on.
        timeoutMs: withinMs > RIGHT_WITHIN_MS ? withinMs : Math.max(startedAtMs + withinMs - performance.now(), 1),
        everyMs: 30,
      });
    },
    async end() {
      const paused = services.filter(({ isPaused }) => isPaused).map(({ name }) => name);
      if (paused.length > 0) await scan.svc('-c', ...paused);
      process.kill(current().pid, 'SIGTERM');
      await current().exit;
      // C's leaves its supervises: the services are told, their logs end with them.
      await scan.trySvc('-dx', ...services.map(({ name }) => name));
      const logs = services.filter(({ hasLog }) => hasLog && hasLogServices).map(({ name }) => `${name}/log`);
      if (logs.length > 0) await scan.trySvc('-x', ...logs);
      const left = (): readonly number[] => programs.flatMap((program) => program.pids());
      const daemons = services.flatMap(({ name }) => daemonsOf(path(name)));
      for (const pid of left()) if (daemons.includes(pid)) process.kill(pid, 'SIGTERM');
      await until(() => left().length === 0, { describe: 'nothing runs any more', state: left });
      const others = services.filter((each) => !hosted.includes(each));
      return [
        ...violations(),
        ...others.flatMap(({ name, hasLog }) => linesGoneWrong(path(name), hasLog)),
        ...hosted.flatMap(({ name, kind }) => {
          const lines = linesIn(path(name, 'main'));
          // A pipe that nobody has open is empty: neither svscan nor a host, nor a service that has ended by itself.
          const mayBeLost = kind.startsWith('crashing') && hostKills > 0;
          return problemsOf(name, mayBeLost ? compareLines(lines) : compareWithSent(path(name), lines));
        }),
      ];
    },
    async [Symbol.asyncDispose]() {
      for (const program of programs) await program[Symbol.asyncDispose]();
      await here[Symbol.asyncDispose]();
    },
  };
  try {
    restart();
    await bringAbout(scan);
  } catch (error) {
    await scan[Symbol.asyncDispose]();
    throw error;
  }
  return scan;
}

/** Gives the commands that lead to the states of the services, and waits for these. */
async function bringAbout(scan: CrashScan): Promise<void> {
  const { services, path } = scan;
  const namesOf = (which: (service: CrashService) => boolean): readonly string[] =>
    services.filter(which).map(({ name }) => name);
  const awaited = namesOf(({ want }) => want !== 'down');
  const once = namesOf(({ want }) => want === 'once');
  const paused = namesOf(({ isPaused }) => isPaused);
  await until(
    async () => (await Promise.all(services.map(({ name }) => scan.svok(name)))).every((code) => code === 0),
    {
      describe: 'svscan has begun with every service',
      state: () => scan.svscan.stderr(),
    },
  );
  if (once.length > 0) await scan.svc('-o', ...once);
  const missing = (): readonly string[] => awaited.filter((name) => lastStart(path(name)) === undefined);
  await until(() => missing().length === 0, { describe: 'all have started', state: missing });
  if (paused.length > 0) await scan.svc('-p', ...paused);
  await scan.right(100_000);
}

function hostsAmong(pids: readonly number[]): readonly number[] {
  return pids.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('log-multilog');
    } catch {
      return false; // ended meanwhile
    }
  });
}

function sizeIn(dir: string): number {
  return readdirSync(dir).reduce(
    (sum, name) => sum + (statSync(join(dir, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

/** What is true, by the service's own word. */
function isAlive(known: Start | undefined): known is Start {
  if (known === undefined) return false;
  const state = processState(known.pid);
  return state !== undefined && state !== 'Z' && startTicksOf(known.pid) === known.ticks;
}

function isRight(service: CrashService, said: string, known: Start | undefined): boolean {
  const { name, want, isNormallyUp, isPaused } = service;
  const [, what, pid, seconds] = /^(?:.*): (up|down) (?:\(pid (\d+)\) )?(\d+) seconds/.exec(said) ?? [];
  if (what === undefined) return false;
  const notes = said.slice(said.indexOf(' seconds') + ' seconds'.length);
  // It has begun again since it was last heard of, and has not told yet; whether it should have, its starts tell.
  const isUnheard = what === 'up' && want !== 'down' && (startTicksOf(Number(pid)) ?? -1) > (known?.ticks ?? Infinity);
  if (isUnheard) return true;
  if (!isAlive(known)) {
    const expected = isNormallyUp ? ', normally up' : '';
    return said.startsWith(`${name}: down `) && isNoted(notes, expected, want, 'up');
  }
  const expected = `${isNormallyUp ? '' : ', normally down'}${isPaused ? ', paused' : ''}`;
  const ageSeconds = Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]) - known.ticks / 100;
  const isSince = Math.abs(Number(seconds) - ageSeconds) <= 2;
  return what === 'up' && Number(pid) === known.pid && isNoted(notes, expected, want, 'down') && isSince;
}

/** What svstat adds is this, and `, want …` where what is wanted is not what is. */
function isNoted(notes: string, expected: string, want: CrashService['want'], other: 'up' | 'down'): boolean {
  const wanted = `${expected}, want ${other}`;
  return want === undefined ? notes === expected || notes === wanted : notes === (want === other ? wanted : expected);
}

function describeTruth({ want, isPaused }: CrashService, known: Start | undefined): string {
  const what = isAlive(known) ? `up (pid ${known.pid}, since tick ${known.ticks})` : 'down';
  return `${what}, wanted ${want ?? 'either way'}${isPaused ? ', paused' : ''}`;
}
