/**
 * A record of every service under supervision, outside of its directory: what a later kernel needs to find a process
 * again, to know that it is the same one, and never to start a second one. It is written before what it tells of is
 * done, and again afterwards.
 */
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { definePlugin, KernelError } from '@daemontap/kernel';
import type { Closeable, LeftService, PluginFactory, ServiceDirectory } from '@daemontap/kernel';
import { bootTicks, fileIdentity, readProcess } from '@daemontap/posix';
import { withEnd } from './record.ts';
import type { RunRecord } from './record.ts';
import { recordNames } from './open-records.ts';
import { keyOf, RecordFile } from './record-file.ts';

const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;

/** Keeps a record of each service, and tells of those that an earlier kernel has left. */
export const runRecord: PluginFactory = definePlugin({
  name: 'run-record',
  apiVersion: 1,
  meetsHelpers: true,
  apply({ hooks, log, clock, stateDir, opened }) {
    const records = new Map<string, RunRecord>();
    let open: OpenFile | undefined;
    let isHandedOver = false;
    let isComplaining = false;
    const close = (): void => {
      open?.close();
      open = undefined;
    };
    const file = (): RecordFile => {
      open ??= openFile(new RecordFile(stateDir(), (message) => log.warning(message)));
      // What it tells of stays when the plugin is replaced, for the kernel after this one or for who takes it back.
      if (!isHandedOver) opened({ close });
      isHandedOver = true;
      return open.file;
    };
    const complain = (cause: unknown): void => {
      if (!isComplaining) log.warning('unable to record what is running', { cause });
      isComplaining = true;
    };
    /** Services are worth more than their records: a failure is said once. */
    const attempt = (body: () => void): void => {
      try {
        body();
        isComplaining = false;
      } catch (cause) {
        complain(cause);
      }
    };
    /** What is on record; of an earlier kernel's it is known from then on. */
    const known = (service: ServiceDirectory): RunRecord | undefined => {
      const key = keyOf(service);
      const record = records.get(key) ?? file().take(service);
      if (record !== undefined) records.set(key, record);
      return record;
    };
    const write = (service: ServiceDirectory, change: Partial<RunRecord>): void => {
      const { identity, role, label } = service;
      const before = known(service);
      const directory = before?.directory ?? directoryOf(service);
      const record = { ...nothing, ...before, ...change, identity, role, directory, label };
      records.set(keyOf(service), record);
      file().write(record);
    };

    // Again, too, when supervision could not begin the last time.
    hooks.findRunning.tap('run-record', (service) => {
      try {
        const left = known(service);
        return left && leftService(left);
      } catch (cause) {
        if (hasRecords(stateDir)) {
          throw new KernelError('RECORD_FAILED', `unable to read what was running as ${service.label}`, { cause });
        }
        complain(cause);
        return undefined; // no earlier kernel has written any, either
      }
    });

    // The last of all: whatever plan it is, the new process says that it has begun.
    hooks.prepareSpawn.tap({ name: 'run-record', stage: Infinity }, (plan) => {
      attempt(() => {
        file();
        open?.openMark();
      });
      return {
        ...plan,
        // Read when it is used: the number may be another file's once this one is closed.
        get markFd() {
          return open?.markFd;
        },
      };
    });
    hooks.intended.tap('run-record', (service, intent) => {
      attempt(() => {
        if (intent === 'stop') {
          write(service, { want: 'down', intent: { type: 'stop' } });
          return;
        }
        open?.setMark();
        const start = { type: 'start', fromTicks: bootTicks(), atMs: Date.now() } as const;
        write(service, { pid: undefined, startTicks: undefined, startDue: true, intent: start });
      });
    });
    hooks.serviceStarted.tap('run-record', (service, pid) => {
      const sinceNs = String(clock.wallNs());
      attempt(() => write(service, { ...identityOf(pid), startDue: false, intent: undefined, sinceNs }));
    });
    hooks.serviceEnded.tap('run-record', (service, _pid, end) => {
      const before = records.get(keyOf(service));
      if (before !== undefined) records.set(keyOf(service), { ...before, ends: withEnd(before.ends, end) });
    });
    // Before anybody can see it: what was seen is not lost with the kernel.
    hooks.statusChanged.tap({ name: 'run-record', stage: -1 }, (service, status) => {
      attempt(() => {
        const { pid, want, paused, startDue, leaving, sinceNs } = status;
        const process = known(service)?.pid === pid ? {} : identityOf(pid);
        write(service, {
          ...process,
          want,
          paused,
          startDue,
          leaving,
          intent: undefined,
          sinceNs: String(sinceNs),
        });
      });
    });
    hooks.serviceReleased.tap('run-record', (service) => {
      attempt(() => {
        records.delete(keyOf(service));
        open?.file.free(service);
        if (open?.file.isEmpty === true) close();
      });
    });
  },
});

const nothing = {
  want: 'up',
  paused: false,
  startDue: false,
  leaving: false,
  sinceNs: '0',
  ends: [],
} as const satisfies Partial<RunRecord>;

function hasRecords(stateDir: () => string): boolean {
  try {
    return recordNames(stateDir()).length > 0;
  } catch {
    return false;
  }
}

function directoryOf({ role, identity, path }: ServiceDirectory): string {
  return role === 'service' ? identity : fileIdentity(path);
}

function identityOf(pid: number | undefined): Pick<RunRecord, 'pid' | 'startTicks'> {
  const startTicks = pid === undefined ? undefined : readProcess(pid)?.startTicks;
  return startTicks === undefined ? { pid: undefined, startTicks: undefined } : { pid, startTicks };
}

function leftService({ pid, startTicks, want, startDue, leaving, intent, sinceNs }: RunRecord): LeftService {
  return {
    process: pid === undefined || startTicks === undefined ? undefined : { pid, startTicks },
    want,
    startDue,
    leaving,
    stopDue: intent?.type === 'stop',
    sinceNs: BigInt(sinceNs),
  };
}

/** A file of records with its mark. */
interface OpenFile extends Closeable {
  readonly file: RecordFile;
  /** `undefined`: the mark is not open. */
  readonly markFd: number | undefined;
  openMark(): void;
  /** Writes into it what a new process takes away. */
  setMark(): void;
}

function openFile(file: RecordFile): OpenFile {
  let fd: number | undefined;
  return {
    file,
    get markFd() {
      return fd;
    },
    openMark() {
      fd ??= openSync(file.markPath, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
    },
    setMark() {
      if (fd !== undefined && fstatSync(fd).size === 0) writeSync(fd, '1', 0);
    },
    close() {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
      file.close();
    },
  };
}
