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

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;
const NAME = 'records';

/** What the file of a dead kernel says of a service. */
export interface FoundRecord {
  readonly record: RunRecord;
  readonly header: RecordFileHeader;
}

/** The records of one kernel. */
export class RecordFile {
  readonly #dir: string;
  readonly #path: string;
  readonly #fd: number;
  readonly #slots = new Map<string, number>();
  readonly #free: number[] = [];
  #lines = 1;
  /** What earlier kernels have left, by service. */
  readonly found: ReadonlyMap<string, FoundRecord>;

  /**
   * Opens the file in a directory of the kernel's own, and takes over what dead kernels have left there.
   * @param warn told of what is there and cannot be used
   * @throws the system's error
   */
  constructor(dir: string, warn: (message: string) => void) {
    this.#dir = dir;
    const found = new Map<string, FoundRecord>();
    this.found = found;
    const own = takeFirst(dir, warn) ?? create(dir);
    this.#path = own.path;
    this.#fd = own.fd;
    try {
      this.#load(own.content, found);
      // Of kernels that had their files beside a living one's.
      for (const name of others(dir, own.path)) this.#absorb(join(dir, name), found, warn);
      this.#writeLine(0, encodeLine(JSON.stringify(currentHeader())));
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
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
    closeSync(this.#fd);
  }

  /** The lines of another file become lines of this one before that is removed: at no moment is one in none. */
  #absorb(path: string, found: Map<string, FoundRecord>, warn: (message: string) => void): void {
    const other = take(path, warn);
    if (other === undefined) return;
    try {
      const header = usableHeader(other.content);
      for (const record of header === undefined ? [] : recordsIn(other.content)) {
        if (found.has(keyOf(record.record)) || header === undefined) continue;
        this.write(record.record);
        found.set(keyOf(record.record), { record: record.record, header });
      }
      rmSync(path, { force: true });
    } finally {
      closeSync(other.fd);
    }
  }

  #load(content: Buffer, found: Map<string, FoundRecord>): void {
    const header = usableHeader(content);
    if (header === undefined) {
      ftruncateSync(this.#fd); // of another boot, or nothing yet
      return;
    }
    this.#lines = Math.ceil(content.length / RECORD_SIZE);
    const used = new Set<number>();
    for (const { record, index } of recordsIn(content)) {
      used.add(index);
      this.#slots.set(keyOf(record), index);
      found.set(keyOf(record), { record, header });
    }
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
  for (const name of others(dir, '')) {
    const taken = take(join(dir, name), warn);
    if (taken !== undefined) return taken;
  }
  return undefined;
}

function others(dir: string, except: string): readonly string[] {
  return readdirSync(dir)
    .filter((name) => /^records(-\d+)?$/.test(name) && join(dir, name) !== except)
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

/** The header of a file whose pids mean something now. */
function usableHeader(content: Buffer): RecordFileHeader | undefined {
  const header = parseHeader(content.subarray(0, RECORD_SIZE));
  if (header === undefined || !('bootId' in header)) return undefined;
  const { bootId, pidNamespace, initStartTicks } = currentHeader();
  const isOurs =
    header.bootId === bootId && header.pidNamespace === pidNamespace && header.initStartTicks === initStartTicks;
  return isOurs ? header : undefined;
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
