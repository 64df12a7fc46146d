/** When an svscan of the crash test is killed: at random instants, or at each system call of something it does. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastStart } from './crash-services.ts';
import type { CrashService } from './crash-services.ts';
import { RIGHT_WITHIN_MS } from './crash.ts';
import type { CrashScan } from './crash.ts';
import { start } from './start.ts';
import type { StartedProgram } from './start.ts';
import { processState, readRecord } from './supervised.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { until } from './until.ts';

/** For what a killed svscan has no part in. */
const LONG_MS = 60_000;
/** A log host is started once a second, and has much to catch up with. */
const LOGS_MS = 2000;

/** How often and by which dice an svscan is killed. */
export interface RandomKills {
  readonly rounds: number;
  /** It is printed, so that a run can be repeated; by default another each time. */
  readonly seed?: number;
  /** Within how many milliseconds of its start a svscan must be right; default 1000. */
  readonly withinMs?: number;
  /** Who is killed: one of these each time; default: the svscan. */
  readonly victims?: readonly ('svscan' | 'host' | 'both')[];
}

/**
 * Kills the svscan or log hosts at random instants, half of them while they still start, some right after a command,
 * and starts the svscan anew. Each that is left alone must be right within a second, and logs go on soon.
 * @throws what is wrong first, with the seed and the round
 */
export async function killAtRandom(
  scan: CrashScan,
  { rounds, seed = Date.now() % 1_000_000, withinMs, victims = ['svscan'] }: RandomKills,
): Promise<void> {
  console.log(`killing ${victims.join(' or ')} ${rounds} times at random, seed ${seed}`);
  const random = randomFrom(seed);
  for (let round = 1; round <= rounds; round++) {
    await naming(`round ${round}, seed ${seed}`, async () => {
      const isEarly = random() < 0.5;
      if (!isEarly) {
        await scan.right(withinMs);
        await scan.logsGoOn(LOGS_MS + (withinMs ?? RIGHT_WITHIN_MS));
        await stir(scan, random);
      }
      await sleep(random() * (isEarly ? 400 : 40));
      const victim = victims[Math.floor(random() * victims.length)];
      if (victim !== 'svscan') scan.killHosts();
      if (victim === 'host') return;
      await scan.kill();
      expectNoViolations(scan);
      scan.restart();
    });
  }
  await naming(`after all, seed ${seed}`, async () => {
    await scan.right(withinMs);
    await scan.logsGoOn(LOGS_MS + (withinMs ?? RIGHT_WITHIN_MS));
    expectNoViolations(scan);
  });
}

/** Restarts a service, stops or starts a slow one, or does nothing. */
async function stir(scan: CrashScan, random: () => number): Promise<void> {
  const pick = (kinds: readonly string[]): CrashScan['services'][number] | undefined => {
    const all = scan.services.filter(({ kind }) => kinds.includes(kind));
    return all[Math.floor(random() * all.length)];
  };
  const choice = random();
  if (choice < 0.4) {
    // Carried out or lost: it ends by it or runs on, and either is right.
    const service = pick(['plain', 'logged']);
    if (service !== undefined) await scan.svc('-t', service.name);
  } else if (choice < 0.7) {
    const service = pick(['slow']);
    if (service === undefined) return;
    const want = service.want === 'down' ? 'up' : 'down';
    await scan.svc(want === 'down' ? '-d' : '-u', service.name);
    // Known to have arrived: from now on no kill may undo it.
    await until(() => readRecord(scan.path(service.name))?.want === want, {
      describe: `${service.name} is wanted ${want}`,
      everyMs: 5,
    });
    service.want = want;
  }
}

/** A command, and how its service gets back to where it was. */
export interface Operation {
  readonly service: CrashService;
  /** As `svc` takes it. */
  readonly option: '-t' | '-d' | '-u' | '-o';
  /** What the service is wanted after it. */
  readonly want: 'up' | 'down' | 'once';
  /** Whether it leads to a start. */
  readonly starts: boolean;
  /** Takes it back; none where there is nothing to take back. */
  readonly back?: '-d' | '-u';
}

/** Which of the system calls; by default all. */
export interface SystemCalls {
  readonly from?: number;
  readonly stride?: number;
  /** As {@link RandomKills.withinMs}. */
  readonly withinMs?: number;
}

/** One system call of an operation, as strace counts them: the third `openat`. */
export interface SystemCall {
  readonly name: string;
  readonly count: number;
}

/**
 * Has a command carried out once to see which system calls the main thread of svscan makes, then again for each of them,
 * at which svscan is killed, before the call is carried out. After each kill another one must be right within a second.
 * @returns how many system calls there were
 */
export async function killAtSystemCalls(
  scan: CrashScan,
  operation: Operation,
  { from = 0, stride = 1, withinMs }: SystemCalls = {},
): Promise<number> {
  await using here = temporaryDirectory();
  const trace = here.join('trace');
  const { service, option } = operation;
  await carryOut(scan, operation, ['-o', trace]);
  await goBack(scan, operation, LONG_MS);
  const calls = countedCalls(readFileSync(trace, 'latin1'));
  for (let index = from; index < calls.length; index += stride) {
    const call = calls[index] ?? { name: '', count: 0 };
    const { name, count } = call;
    const what = `svc ${option} ${service.name}, killed at system call ${index} of ${calls.length} (${name}, ${count})`;
    await naming(what, async () => {
      // No two runs are quite the same: one that has fewer of these calls ends alive.
      const isAlive = await carryOut(scan, operation, killingAt(call));
      await goBack(scan, operation, isAlive ? LONG_MS : withinMs, isAlive);
      expectNoViolations(scan);
    });
  }
  return calls.length;
}

/** The calls in what strace has written. */
export function countedCalls(trace: string): readonly SystemCall[] {
  const counts = new Map<string, number>();
  const names = [...trace.matchAll(/^(\w+)\(/gm)].map(([, name = '']) => name);
  return names.map((name) => {
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return { name, count };
  });
}

/** True when it got to the end alive. */
async function carryOut(scan: CrashScan, operation: Operation, options: readonly string[]): Promise<boolean> {
  const { svscan } = scan;
  const { service, option, want, starts } = operation;
  const path = scan.path(service.name);
  if (option === '-o') {
    const isDown = (): boolean => readRecord(path)?.pid === 0;
    await until(isDown, { describe: `${service.name} has had its run before`, state: () => readRecord(path) });
  }
  const before = { want: service.want, pid: lastStart(path)?.pid };
  let isDead = false;
  void svscan.exit.then(() => (isDead = true));
  await using strace = await attach(svscan, options);
  await scan.trySvc(option, service.name);
  service.want = want;
  const isDone = async (): Promise<boolean> =>
    (!starts || lastStart(path)?.pid !== before.pid) && !(await scan.wrong()).has(service.name);
  await until(async () => isDead || (await isDone()), { describe: `it is killed, or svc ${option} is carried out` });
  service.want = before.want;
  const isAlive = await letGo(strace, svscan);
  if (!isAlive) scan.restart();
  return isAlive;
}

/** To where the service was. A command that had not arrived when svscan was killed is lost. */
async function goBack(
  scan: CrashScan,
  { service, want, back }: Operation,
  withinMs: number | undefined,
  isAlive = true,
): Promise<void> {
  const before = service.want;
  service.want = isAlive ? want : undefined;
  await scan.right(withinMs);
  service.want = before;
  if (back !== undefined) await scan.svc(back, service.name);
  await scan.right(LONG_MS);
}

/** The words that have strace kill a process at a call, before it is carried out. */
export function killingAt({ name, count }: SystemCall): readonly string[] {
  return ['-o', '/dev/null', '-e', `trace=${name}`, '-e', `inject=${name}:signal=KILL:when=${count}`];
}

/** The main thread does all that counts; the others only wait. Calls are counted from here on. */
export async function attach(svscan: StartedProgram, options: readonly string[]): Promise<StartedProgram> {
  const strace = start(['strace', '-qq', '-p', String(svscan.pid), ...options], { cwd: '/' });
  const isAttached = (): boolean => /^TracerPid:\s+[1-9]/m.test(statusOf(svscan.pid));
  await until(isAttached, { describe: 'strace is attached', state: strace.stderr, everyMs: 2 });
  return strace;
}

/**
 * Has strace let go of svscan. What was waited for may have been there before the call at which svscan is killed, so
 * only now is it known.
 * @returns whether svscan lives
 */
export async function letGo(strace: StartedProgram, svscan: StartedProgram): Promise<boolean> {
  if (processState(strace.pid) !== undefined) process.kill(strace.pid, 'SIGINT');
  await strace.exit;
  const state = processState(svscan.pid);
  if (state !== undefined && state !== 'Z') return true;
  await svscan.exit;
  return false;
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    return 'TracerPid:\t1'; // killed already
  }
}

function expectNoViolations(scan: CrashScan): void {
  const violations = scan.violations();
  if (violations.length > 0) throw new Error(violations.join('\n'));
}

async function naming(what: string, body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (cause) {
    throw new Error(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** The same numbers between 0 and 1 for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
