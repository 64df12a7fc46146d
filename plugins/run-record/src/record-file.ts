/**
 * The file of records. A kernel goes on in the file of the one before, in the same lines: nothing is moved, so being
 * killed while it takes services over changes nothing. It is locked for as long as its kernel lives.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { ServiceDirectory } from '@daemontap/kernel';
import { ancestorPids, hasCode, readProcess, tryLock } from '@daemontap/posix';
import { encodeLine, encodeRecord, parseHeader, parseRecord, RECORD_SIZE } from './record.ts';
import type { RecordFileHeader, RunRecord } from './record.ts';
import { settled } from './unfinished.ts';

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;
const NAME = 'records';

/** The records of one kernel. */
export class RecordFile {
  readonly #path: string;
  readonly #fd: number;
  readonly #slots = new Map<string, number>();
  readonly #free: number[] = [];
  #lines = 1;
  /** What earlier kernels have left, by service. */
  readonly found: ReadonlyMap<string, RunRecord>;

  /**
   * Opens the file in a directory of the kernel's own, and takes over what dead kernels have left there.
   * @param warn told of what is there and cannot be used
   * @throws the system's error
   */
  constructor(dir: string, warn: (message: string) => void) {
    const found = new Map<string, RunRecord>();
    this.found = found;
    const own = takeFirst(dir, warn) ?? create(dir);
    this.#path = own.path;
    this.#fd = own.fd;
    try {
      this.#load(own, found);
      // Of kernels that had their files beside a living one's.
      for (const name of recordNames(dir)) {
        if (join(dir, name) !== own.path) this.#absorb(join(dir, name), found, warn);
      }
      this.#writeLine(0, encodeLine(JSON.stringify(currentHeader())));
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /** The file that a new process empties. One is enough: no two starts of a kernel are under way at a time. */
  get markPath(): string {
    return markPathOf(this.#path);
  }

  get isEmpty(): boolean {
    return this.#slots.size === 0;
  }

  /** Replaces the record of a service in one write. */
  write(record: RunRecord): void {
    this.#writeLine(this.#slotOf(keyOf(record)), encodeRecord(record));
  }

  /** Forgets a service. */
  free(service: Pick<ServiceDirectory, 'identity' | 'role'>): void {
    const key = keyOf(service);
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#writeLine(slot, encodeLine(''));
    this.#slots.delete(key);
    this.#free.push(slot);
  }

  remove(): void {
    rmSync(this.#path, { force: true });
    rmSync(this.markPath, { force: true });
    closeSync(this.#fd);
  }

  /** The lines of another file become lines of this one before that is removed: at no moment is one in none. */
  #absorb(path: string, found: Map<string, RunRecord>, warn: (message: string) => void): void {
    const other = take(path, warn);
    if (other === undefined) return;
    try {
      for (const { record } of settledRecords(other)) {
        if (found.has(keyOf(record))) continue;
        this.write(record);
        found.set(keyOf(record), record);
      }
      rmSync(path, { force: true });
      rmSync(markPathOf(path), { force: true });
    } finally {
      closeSync(other.fd);
    }
  }

  #load(own: Taken, found: Map<string, RunRecord>): void {
    const records = settledRecords(own);
    if (records.length === 0) {
      ftruncateSync(this.#fd); // of another boot, or nothing yet
      return;
    }
    this.#lines = Math.ceil(own.content.length / RECORD_SIZE);
    for (const { record, index } of records) {
      this.#slots.set(keyOf(record), index);
      found.set(keyOf(record), record);
      this.write(record);
    }
    const used = new Set(this.#slots.values());
    for (let index = 1; index < this.#lines; index++) if (!used.has(index)) this.#free.push(index);
  }

  #slotOf(key: string): number {
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    const slot = this.#free.pop() ?? this.#lines++;
    this.#slots.set(key, slot);
    return slot;
  }

  #writeLine(index: number, line: Buffer): void {
    if (writeSync(this.#fd, line, 0, RECORD_SIZE, index * RECORD_SIZE) < RECORD_SIZE) throw new Error('partial write');
  }
}

function markPathOf(path: string): string {
  return `${path}.mark`;
}

/** What a service is known by. */
export function keyOf({ identity, role }: Pick<ServiceDirectory, 'identity' | 'role'>): string {
  return `${identity}/${role}`;
}

interface Taken {
  readonly path: string;
  readonly fd: number;
  readonly content: Buffer;
}

/** The first file of records that no living kernel has. */
function takeFirst(dir: string, warn: (message: string) => void): Taken | undefined {
  for (const name of recordNames(dir)) {
    const taken = take(join(dir, name), warn);
    if (taken !== undefined) return taken;
  }
  return undefined;
}

/** The files of records in a directory. */
export function recordNames(dir: string): readonly string[] {
  return readdirSync(dir)
    .filter((name) => /^records(-\d+)?$/.test(name))
    .toSorted();
}

/** Opens and locks a file of records; `undefined` when a living kernel has it, or it is not to be trusted. */
function take(path: string, warn: (message: string) => void): Taken | undefined {
  let fd: number;
  try {
    fd = openSync(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) setAside(path, 'it cannot be opened', warn);
    return undefined;
  }
  const leave = (): undefined => {
    closeSync(fd);
    return undefined;
  };
  const stats = fstatSync(fd);
  if (!stats.isFile() || stats.uid !== process.geteuid?.() || stats.nlink > 1 || (stats.mode & 0o077) !== 0) {
    setAside(path, 'it is not a file that only this user can write', warn);
    return leave();
  }
  try {
    tryLock(fd);
  } catch {
    return leave();
  }
  const content = readFileSync(fd);
  const header = parseHeader(content.subarray(0, RECORD_SIZE));
  if (header === undefined || header.version !== 2) {
    setAside(path, header === undefined ? 'it has no header' : `it is of version ${String(header.version)}`, warn);
    return leave();
  }
  return { path, fd, content };
}

/** What cannot be used is kept, for who wants to know, and is in nobody's way. */
function setAside(path: string, reason: string, warn: (message: string) => void): void {
  renameSync(path, `${path}.unusable`);
  warn(`unable to use ${path}, it is kept as ${path}.unusable: ${reason}`);
}

/** There is never a file without a header, and none that is not locked by who makes it. */
function create(dir: string): Taken {
  const freshPath = join(dir, `${NAME}.new-${process.pid}`);
  rmSync(freshPath, { force: true });
  const fd = openSync(freshPath, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  tryLock(fd);
  writeSync(fd, encodeLine(JSON.stringify(currentHeader())));
  const names = new Set(readdirSync(dir));
  let name = NAME;
  for (let number = 2; names.has(name); number++) name = `${NAME}-${number}`;
  const path = join(dir, name);
  renameSync(freshPath, path);
  return { path, fd, content: Buffer.alloc(0) };
}

function recordsIn(content: Buffer): readonly { readonly record: RunRecord; readonly index: number }[] {
  const found: { readonly record: RunRecord; readonly index: number }[] = [];
  for (let index = 1; index * RECORD_SIZE < content.length; index++) {
    const record = parseRecord(content.subarray(index * RECORD_SIZE, (index + 1) * RECORD_SIZE));
    if (record !== undefined) found.push({ record, index });
  }
  return found;
}

/** The records of a dead kernel, with what it could not record any more; none when its pids mean nothing now. */
function settledRecords({ path, content }: Taken): ReturnType<typeof recordsIn> {
  const header = parseHeader(content.subarray(0, RECORD_SIZE));
  if (header === undefined || !('bootId' in header)) return [];
  const { bootId, pidNamespace, initStartTicks } = currentHeader();
  const isOurs =
    header.bootId === bootId && header.pidNamespace === pidNamespace && header.initStartTicks === initStartTicks;
  if (!isOurs) return [];
  const records = recordsIn(content);
  const pids = records.flatMap(({ record: { pid } }) => (pid === undefined ? [] : [pid]));
  const others = new Set([process.pid, ...pids]);
  return records.map(({ record, index }) => ({
    record: settled(record, { header, markPath: markPathOf(path), others }),
    index,
  }));
}

function currentHeader(): RecordFileHeader {
  return {
    version: 2,
    kernelPid: process.pid,
    sessionId: readProcess(process.pid)?.sessionId ?? 0,
    ancestorPids: ancestorPids(process.pid),
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim(),
    pidNamespace: readlinkSync('/proc/self/ns/pid'),
    initStartTicks: readProcess(1)?.startTicks ?? 0,
  };
}
