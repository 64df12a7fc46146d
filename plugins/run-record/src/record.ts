/** The lines of the record file: JSON, each in a slot of the same size, so that one write(2) replaces one of them. */
import type { ProcessEnd, ServiceDirectory, ServiceStatus } from '@daemontap/kernel';

/** The first line: which kernel wrote the others, where its pids mean something, and whose child it was. */
export interface RecordFileHeader {
  /** Of the format. A file of another one is not read. */
  readonly version: 2;
  /** The kernel that writes, or has written, the lines. */
  readonly kernelPid: number;
  /** The kernel's session, which its services are in, too. */
  readonly sessionId: number;
  /** The processes above the kernel, nearest first: who takes in what it leaves. */
  readonly ancestorPids: readonly number[];
  /** As /proc/sys/kernel/random/boot_id says. */
  readonly bootId: string;
  /** As the link /proc/self/ns/pid says. */
  readonly pidNamespace: string;
  /** When the first process of the namespace began: a container's namespace may have the number of one before. */
  readonly initStartTicks: number;
}

/** A further line: one service. A line of blanks is free. */
export interface RunRecord {
  /** Device and inode of the service's directory, of the main one for a log. */
  readonly identity: string;
  readonly role: ServiceDirectory['role'];
  /** Device and inode of the directory that the process is started in. */
  readonly directory: string;
  readonly pid?: number | undefined;
  /** Field 22 of /proc/PID/stat, clock ticks after boot: it makes the pid unique. */
  readonly startTicks?: number | undefined;
  readonly want: ServiceStatus['want'];
  /** True after `svc -p`; whether it is so the process itself tells. */
  readonly paused: boolean;
  /** True while a start is due or under way. */
  readonly startDue: boolean;
  /** True after `svc -x`. */
  readonly leaving: boolean;
  /** What the kernel was about to do, in the words of the hook `intended`. */
  readonly intent?: Intent | undefined;
  /** Unix nanoseconds. */
  readonly sinceNs: string;
  /** The last four ends, the newest first. */
  readonly ends: readonly RecordedEnd[];
  /** For people; cut to fit. */
  readonly label: string;
}

/** An intent to start says when: what starts then has no lower number of ticks, and was given this wall time. */
export type Intent =
  | { readonly type: 'stop' }
  | { readonly type: 'start'; readonly fromTicks: number; readonly atMs: number };

/** `e0`: exit code 0; `s9`: signal 9; `?`: unknown; and when, in seconds since 1970: `e0 1795378029`. */
export type RecordedEnd = string;

/** Every line has this many bytes, its newline included. A page holds a whole number of them, so none is ever half written. */
export const RECORD_SIZE = 512;

const WANTS: ReadonlySet<unknown> = new Set(['up', 'down', 'once']);
const ROLES: ReadonlySet<unknown> = new Set(['service', 'log', 'helper']);
const ENDS = 4;

/** A line with its newline. The label is cut to what is left of it. */
export function encodeRecord(record: RunRecord): Buffer {
  const room = RECORD_SIZE - 1 - Buffer.byteLength(JSON.stringify({ ...record, label: '' }));
  return encodeLine(JSON.stringify({ ...record, label: cut(record.label, room) }));
}

/** A line with its newline, filled with blanks. */
export function encodeLine(text: string): Buffer {
  const line = Buffer.alloc(RECORD_SIZE, ' ');
  line.write(text);
  line[RECORD_SIZE - 1] = 0x0a;
  return line;
}

/** The service of a line; `undefined` for a free one, and for one that says anything that no kernel writes. */
export function parseRecord(line: Buffer): RunRecord | undefined {
  const given = parseLine(line);
  if (given === undefined) return undefined;
  const { identity, role, directory, pid, startTicks, want, paused, startDue, leaving, intent, sinceNs, ends, label } =
    given;
  const isRight =
    [identity, directory].every((each) => typeof each === 'string' && /^\d+-\d+$/.test(each)) &&
    ROLES.has(role) &&
    WANTS.has(want) &&
    [paused, startDue, leaving].every((each) => typeof each === 'boolean') &&
    (pid === undefined ? startTicks === undefined : isPid(pid) && isCount(startTicks)) &&
    (intent === undefined || isIntent(intent)) &&
    typeof sinceNs === 'string' &&
    /^\d{1,19}$/.test(sinceNs) &&
    Array.isArray(ends) &&
    ends.every((end) => typeof end === 'string') &&
    typeof label === 'string';
  // Each member was looked at.
  return isRight ? (given as unknown as RunRecord) : undefined;
}

/** The header of a file; `version` alone where it is not of ours; `undefined` where it is none. */
export function parseHeader(line: Buffer): RecordFileHeader | { readonly version: unknown } | undefined {
  const given = parseLine(line);
  if (given === undefined) return undefined;
  const { version, kernelPid, sessionId, ancestorPids, bootId, pidNamespace, initStartTicks } = given;
  if (version !== 2) return { version };
  const isRight =
    [kernelPid, sessionId, initStartTicks].every(isCount) &&
    Array.isArray(ancestorPids) &&
    ancestorPids.every(isCount) &&
    typeof bootId === 'string' &&
    typeof pidNamespace === 'string';
  return isRight ? (given as unknown as RecordFileHeader) : undefined;
}

/** The ends with one more. */
export function withEnd(ends: readonly RecordedEnd[], end: ProcessEnd | undefined): readonly RecordedEnd[] {
  const what = end === undefined ? '?' : 'exitCode' in end ? `e${end.exitCode}` : `s${end.signal}`;
  return [`${what} ${Math.floor(Date.now() / 1000)}`, ...ends].slice(0, ENDS);
}

function parseLine(line: Buffer): Readonly<Record<string, unknown>> | undefined {
  if (line.length !== RECORD_SIZE || line[RECORD_SIZE - 1] !== 0x0a) return undefined;
  try {
    const given: unknown = JSON.parse(line.toString());
    return typeof given === 'object' && given !== null ? (given as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

function isIntent(given: unknown): boolean {
  if (typeof given !== 'object' || given === null || !('type' in given)) return false;
  if (given.type === 'stop') return true;
  return (
    given.type === 'start' && 'fromTicks' in given && isCount(given.fromTicks) && 'atMs' in given && isCount(given.atMs)
  );
}

function isPid(given: unknown): boolean {
  return isCount(given) && Number(given) > 1;
}

function isCount(given: unknown): boolean {
  return Number.isSafeInteger(given) && Number(given) >= 0;
}

/** As much of a label as fits into so many bytes of JSON. */
function cut(label: string, room: number): string {
  let fitting = label.slice(0, room);
  while (Buffer.byteLength(JSON.stringify(fitting)) - 2 > room) fitting = fitting.slice(0, -1);
  return fitting.toWellFormed();
}
