/** What /proc tells of the processes of this system, and the clock that their start times are read from. */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { check, declare } from './native.ts';

const cClockGettime = declare('int clock_gettime(int clock, void *time)');
const CLOCK_BOOTTIME = 7;
/** Of a second: USER_HZ, which is 100 wherever Linux runs that Node runs on. */
const TICKS = 100n;

/** A process at the moment it was looked at. */
export interface ProcessEntry {
  readonly pid: number;
  /** One letter: `S`, `R`, `T`, `Z` … */
  readonly state: string;
  readonly parentPid: number;
  readonly sessionId: number;
  /** Clock ticks after boot; with the pid it names this process and no other. */
  readonly startTicks: number;
  /** As wait(2) would tell it, once the process has ended; 0 for whoever may not know. */
  readonly exitStatus: number;
}

/** Now, on the clock of {@link ProcessEntry.startTicks}: what starts after this call has no smaller number. */
export function bootTicks(): number {
  const time = new BigInt64Array(2); // seconds, nanoseconds
  check(cClockGettime(CLOCK_BOOTTIME, time), 'clock_gettime');
  const [seconds = 0n, nanoseconds = 0n] = time;
  return Number(seconds * TICKS + nanoseconds / (1_000_000_000n / TICKS));
}

/** A process, ended ones that were not reaped included; `undefined` when there is none of this pid. */
export function readProcess(pid: number): ProcessEntry | undefined {
  const stat = readStat(pid);
  // The name may hold anything, so the fields are counted from its closing parenthesis.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields === undefined || fields.length < FIELDS) return undefined;
  const number = (field: number): number => Number(fields[field - 3]);
  return {
    pid,
    state: fields[0] ?? '',
    parentPid: number(4),
    sessionId: number(6),
    startTicks: number(22),
    exitStatus: number(52),
  };
}

/** All processes that this one may see. Each was looked at on its own: they are not a picture of one moment. */
export function readProcesses(): readonly ProcessEntry[] {
  const entries: ProcessEntry[] = [];
  for (const name of readdirSync('/proc')) {
    const entry = /^\d+$/.test(name) ? readProcess(Number(name)) : undefined;
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

const FIELDS = 50; // of 52, without the two in front of the state
const buffer = Buffer.alloc(2048);

function readStat(pid: number): string | undefined {
  let fd: number;
  try {
    fd = openSync(`/proc/${pid}/stat`, 'r');
  } catch {
    return undefined;
  }
  try {
    return buffer.toString('latin1', 0, readSync(fd, buffer));
  } catch {
    return undefined; // it was reaped since: ESRCH
  } finally {
    closeSync(fd);
  }
}
