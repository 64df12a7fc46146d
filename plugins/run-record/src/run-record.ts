/**
 * A record of every service under supervision, in the runtime directory: what a later kernel needs to find a process
 * again and to know that it is the same one. All records of a kernel are lines of one file, each replaced in place by
 * one write(2) of fixed length: 5 µs where a file for each service would take 100.
 */
import {
  closeSync,
  constants,
  ftruncateSync,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { definePlugin } from '@daemontap/kernel';
import type { PluginFactory, ServiceDirectory, ServiceStatus } from '@daemontap/kernel';
import { tryLock } from '@daemontap/posix';

/** The first line of the file: which kernel wrote it, and where its pids mean something. */
export interface RecordFileHeader {
  /** Of the form of the file. */
  readonly version: 1;
  /** Whose file it is. */
  readonly kernelPid: number;
  /** /proc/sys/kernel/random/boot_id: another one, and no pid means anything any more. */
  readonly bootId: string;
  /** Where /proc/self/ns/pid leads. */
  readonly pidNamespace: string;
}

/** A further line: one service. A line of blanks is free. */
export interface RunRecord {
  /** Device and inode of the service's directory, of the main one for a log. */
  readonly identity: string;
  readonly role: ServiceDirectory['role'];
  readonly pid?: number;
  /** Field 22 of /proc/PID/stat, clock ticks after boot: with the header it makes the pid unique. */
  readonly startTicks?: string;
  readonly want: ServiceStatus['want'];
  /** True after `svc -p`, until `svc -c` or the next start. */
  readonly paused: boolean;
  /** Unix nanoseconds. */
  readonly sinceNs: string;
  /** For people; cut to fit. */
  readonly label: string;
}

/** Every line has this many bytes, its newline included. */
export const RECORD_SIZE = 256;

/** Keeps a record of each service. A failure is said once: services are worth more than their records. */
export const runRecord: PluginFactory = definePlugin({
  name: 'run-record',
  apiVersion: 1,
  apply({ hooks, log, stateDir, opened }) {
    let file: RecordFile | undefined;
    let isComplaining = false;
    const attempt = (body: () => void): void => {
      try {
        body();
        isComplaining = false;
      } catch (cause) {
        if (!isComplaining) log.warning('unable to record what is running', { cause });
        isComplaining = true;
      }
    };
    hooks.statusChanged.tap('run-record', (service, status) => {
      attempt(() => {
        if (file === undefined) {
          const made = new RecordFile(`${stateDir()}/records-${process.pid}`);
          opened({ close: () => made.remove() });
          file = made;
        }
        file.write(service, status);
      });
    });
    hooks.serviceReleased.tap('run-record', (service) => {
      attempt(() => {
        file?.free(service);
        if (file?.isEmpty !== true) return;
        file.remove();
        file = undefined;
      });
    });
  },
});

interface Slot {
  readonly index: number;
  pid: number | undefined;
  startTicks: string | undefined;
}

/** The file, locked for as long as its kernel lives: an unlocked one is for the next kernel to read. */
class RecordFile {
  readonly #path: string;
  readonly #fd: number;
  readonly #slots = new Map<string, Slot>();
  readonly #free: number[] = [];
  #isRemoved = false;

  constructor(path: string) {
    this.#path = path;
    this.#fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    try {
      tryLock(this.#fd);
      ftruncateSync(this.#fd); // left by a kernel of the same pid
      const header: RecordFileHeader = {
        version: 1,
        kernelPid: process.pid,
        bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim(),
        pidNamespace: readlinkSync('/proc/self/ns/pid'),
      };
      this.#writeLine(0, JSON.stringify(header));
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  get isEmpty(): boolean {
    return this.#slots.size === 0;
  }

  write({ identity, role, label }: ServiceDirectory, { pid, want, paused, sinceNs }: ServiceStatus): void {
    const slot = this.#slotOf(`${identity}/${role}`);
    if (slot.pid !== pid) slot.startTicks = pid === undefined ? undefined : readStartTicks(pid);
    slot.pid = pid;
    const { startTicks } = slot;
    const process = pid === undefined || startTicks === undefined ? {} : { pid, startTicks };
    const record: RunRecord = { identity, role, ...process, want, paused, sinceNs: String(sinceNs), label: '' };
    const room = RECORD_SIZE - 1 - Buffer.byteLength(JSON.stringify(record));
    this.#writeLine(slot.index, JSON.stringify({ ...record, label: cut(label, room) }));
  }

  free({ identity, role }: ServiceDirectory): void {
    const slot = this.#slots.get(`${identity}/${role}`);
    if (slot === undefined) return;
    this.#writeLine(slot.index, '');
    this.#slots.delete(`${identity}/${role}`);
    this.#free.push(slot.index);
  }

  /** The second time it does nothing. */
  remove(): void {
    if (this.#isRemoved) return;
    this.#isRemoved = true;
    rmSync(this.#path, { force: true });
    closeSync(this.#fd);
  }

  #slotOf(key: string): Slot {
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    const slot = { index: this.#free.pop() ?? this.#slots.size + 1, pid: undefined, startTicks: undefined };
    this.#slots.set(key, slot);
    return slot;
  }

  #writeLine(index: number, text: string): void {
    const line = Buffer.alloc(RECORD_SIZE, ' ');
    line.write(text);
    line[RECORD_SIZE - 1] = 0x0a;
    const written = writeSync(this.#fd, line, 0, RECORD_SIZE, index * RECORD_SIZE);
    if (written < RECORD_SIZE) throw new Error('partial write');
  }
}

/** As much of a label as fits into so many bytes of JSON. */
function cut(label: string, room: number): string {
  let fitting = label.slice(0, room);
  while (Buffer.byteLength(JSON.stringify(fitting)) - 2 > room) fitting = fitting.slice(0, -1);
  return fitting.toWellFormed();
}

const statBuffer = Buffer.alloc(1024);

/** The command name in front may hold anything, so the fields are counted from its closing parenthesis. */
function readStartTicks(pid: number): string | undefined {
  const fd = openSync(`/proc/${pid}/stat`, constants.O_RDONLY);
  try {
    const stat = statBuffer.toString('latin1', 0, readSync(fd, statBuffer));
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ', 20)[19];
  } finally {
    closeSync(fd);
  }
}
