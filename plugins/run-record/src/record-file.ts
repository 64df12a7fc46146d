/**
 * The file of records. A kernel goes on in the file of the one before, in the same lines: nothing is moved, so being
 * killed while it takes services over changes nothing. It is locked for as long as its kernel lives.
 */
import { closeSync, ftruncateSync, readFileSync, readlinkSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { ServiceDirectory } from '@daemontap/kernel';
import { ancestorPids, readProcess } from '@daemontap/posix';
import { createRecords, markPathOf, openRecords, recordNames } from './open-records.ts';
import type { OpenRecords } from './open-records.ts';
import { encodeLine, encodeRecord, parseHeader, parseRecord, RECORD_SIZE } from './record.ts';
import type { RecordFileHeader, RunRecord } from './record.ts';
import { settled } from './unfinished.ts';

/** As many as fit into a line. Who takes orphans in is near, or the first process. */
const ANCESTORS = 32;
/** Between two times that a file is waited for which somebody else has locked. */
const WAIT_EVERY_MS = 1000;

/** Which service, of which directory. */
export type RecordKey = Pick<ServiceDirectory, 'identity' | 'role'>;

/** The records of one kernel. */
export class RecordFile {
  readonly #dir: string;
  readonly #warn: (message: string) => void;
  readonly #path: string;
  readonly #fd: number;
  readonly #slots = new Map<string, number>();
  readonly #free: number[] = [];
  /** What earlier kernels have left and nobody has asked for, by service. */
  readonly #found = new Map<string, RunRecord>();
  #lines = 1;
  #waitedAtMs = -Infinity;
  #isOpen = true;

  /**
   * Opens the file in a directory of the kernel's own, and takes over what dead kernels have left there.
   * @param warn told of what is there and cannot be used
   * @throws the system's error
   */
  constructor(dir: string, warn: (message: string) => void) {
    this.#dir = dir;
    this.#warn = warn;
    const own = this.#openFirst() ?? createRecords(dir, currentHeader());
    this.#path = own.path;
    this.#fd = own.fd;
    try {
      this.#load(own);
      this.#absorbOthers();
      this.#writeLine(0, currentHeader());
      // What it tells of is settled.
      rmSync(this.markPath, { force: true });
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /** The file that a new process empties. One is enough: no two starts of a kernel are under way at a time. */
  get markPath(): string {
    return markPathOf(this.#path);
  }

  /**
   * What an earlier kernel has left of a service, told once. One that had its file beside this one's may have ended since.
   * @throws the system's error
   */
  take(service: RecordKey): RunRecord | undefined {
    const key = keyOf(service);
    if (!this.#slots.has(key)) this.#absorbOthers();
    const found = this.#found.get(key);
    this.#found.delete(key);
    return found;
  }

  /** Replaces the record of a service in one write. */
  write(record: RunRecord): void {
    const key = keyOf(record);
    this.#found.delete(key);
    this.#writeLine(this.#slotOf(key), encodeRecord(record));
  }

  /** Forgets a service. */
  free(service: RecordKey): void {
    const key = keyOf(service);
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#writeLine(slot, encodeLine(''));
    this.#found.delete(key);
    this.#slots.delete(key);
    this.#free.push(slot);
  }

  /**
   * Lets go of the file. It stays for a later kernel as long as it tells of anything; what nobody has asked for, and runs
   * no longer, is nothing.
   */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (this.#found.size === this.#slots.size && [...this.#found.values()].every(hasEnded)) {
      rmSync(this.#path, { force: true });
      rmSync(this.markPath, { force: true });
    }
    closeSync(this.#fd);
  }

  /** True when it tells of no service. */
  get isEmpty(): boolean {
    return this.#slots.size === 0;
  }

  /** The first file of records that no living kernel has. */
  #openFirst(): OpenRecords | undefined {
    for (const name of recordNames(this.#dir)) {
      const opened = openRecords(join(this.#dir, name), { waits: true, warn: this.#warn });
      if (opened !== undefined) return opened;
    }
    return undefined;
  }

  /** Takes over the files of kernels that were ended beside a living one. */
  #absorbOthers(): void {
    const paths = recordNames(this.#dir).map((name) => join(this.#dir, name));
    const others = paths.filter((path) => path !== this.#path);
    if (others.length === 0) return;
    const waits = performance.now() - this.#waitedAtMs > WAIT_EVERY_MS;
    for (const path of others) this.#absorb(path, waits);
    if (waits) this.#waitedAtMs = performance.now();
  }

  /** The lines of another file become lines of this one before that is removed: at no moment is one in none. */
  #absorb(path: string, waits: boolean): void {
    const other = openRecords(path, { waits, warn: this.#warn });
    if (other === undefined) return;
    try {
      for (const { record } of settledRecords(other)) {
        if (this.#slots.has(keyOf(record))) continue;
        this.write(record);
        this.#found.set(keyOf(record), record);
      }
      rmSync(path, { force: true });
      rmSync(markPathOf(path), { force: true });
    } finally {
      closeSync(other.fd);
    }
  }

  #load(own: OpenRecords): void {
    const records = settledRecords(own);
    if (records.length === 0) {
      ftruncateSync(this.#fd, RECORD_SIZE); // of another boot, or nothing yet
      return;
    }
    this.#lines = Math.ceil(own.content.length / RECORD_SIZE);
    for (const { record, index } of records) {
      if (this.#slots.has(keyOf(record))) continue; // no kernel writes a second line
      this.#slots.set(keyOf(record), index);
      this.write(record);
      this.#found.set(keyOf(record), record);
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

/** What a service is known by. */
export function keyOf({ identity, role }: RecordKey): string {
  return `${identity}/${role}`;
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
function settledRecords({ path, content }: OpenRecords): ReturnType<typeof recordsIn> {
  const header = parseHeader(content.subarray(0, RECORD_SIZE));
  if (header === undefined || !('bootId' in header)) return [];
  const place = currentPlace();
  const isOurs =
    header.bootId === place.bootId &&
    header.pidNamespace === place.pidNamespace &&
    header.initStartTicks === place.initStartTicks;
  if (!isOurs) return [];
  const records = recordsIn(content);
  const pids = records.flatMap(({ record: { pid } }) => (pid === undefined ? [] : [pid]));
  const others = new Set([process.pid, ...pids]);
  return records.map(({ record: each, index }) => {
    const record = settled(each, { header, markPath: markPathOf(path), others });
    if (record.pid !== undefined) others.add(record.pid);
    return { record, index };
  });
}

function hasEnded({ pid, startTicks }: RunRecord): boolean {
  return pid === undefined || readProcess(pid)?.startTicks !== startTicks;
}

/** Where pids mean what they mean here. */
function currentPlace(): Pick<RecordFileHeader, 'bootId' | 'pidNamespace' | 'initStartTicks'> {
  return {
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim(),
    pidNamespace: readlinkSync('/proc/self/ns/pid'),
    initStartTicks: readProcess(1)?.startTicks ?? 0,
  };
}

function currentHeader(): Buffer {
  const header: RecordFileHeader = {
    version: 2,
    kernelPid: process.pid,
    sessionId: readProcess(process.pid)?.sessionId ?? 0,
    ancestorPids: ancestorPids(process.pid).slice(0, ANCESTORS),
    ...currentPlace(),
  };
  return encodeLine(JSON.stringify(header));
}
