/**
 * A record of every service under supervision, outside of its directory: what a later kernel needs to find a process
 * again, to know that it is the same one, and never to start a second one. It is written before what it tells of is
 * done, and again afterwards.
 */
import { closeSync, constants, fstatSync, openSync, statSync, writeSync } from 'node:fs';
import { definePlugin, KernelError } from '@daemontap/kernel';
import type { LeftService, PluginFactory, ServiceDirectory } from '@daemontap/kernel';
import { bootTicks, readProcess } from '@daemontap/posix';
import { withEnd } from './record.ts';
import type { RunRecord } from './record.ts';
import { keyOf, RecordFile, recordNames } from './record-file.ts';

const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;

/** Keeps a record of each service, and tells of those that an earlier kernel has left. */
export const runRecord: PluginFactory = definePlugin({
  name: 'run-record',
  apiVersion: 1,
  apply({ hooks, log, stateDir }) {
    const records = new Map<string, RunRecord>();
    /** What was left is taken up once. */
    const recalled = new Set<string>();
    let file: RecordFile | undefined;
    let mark: Mark | undefined;
    let isComplaining = false;
    const opened = (): RecordFile => (file ??= new RecordFile(stateDir(), (message) => log.warning(message)));
    /** Services are worth more than their records: a failure is said once. */
    const attempt = (body: () => void): void => {
      try {
        body();
        isComplaining = false;
      } catch (cause) {
        if (!isComplaining) log.warning('unable to record what is running', { cause });
        isComplaining = true;
      }
    };
    const write = (service: ServiceDirectory, change: Partial<RunRecord>): void => {
      const { identity, role, label } = service;
      const before = records.get(keyOf(service));
      const directory = before?.directory ?? identityOfDirectory(service.path);
      const record = { ...nothing, ...before, ...change, identity, role, directory, label };
      records.set(keyOf(service), record);
      opened().write(record);
    };

    hooks.findRunning.tap('run-record', (service) => {
      const key = keyOf(service);
      if (recalled.has(key)) return undefined;
      let left: RunRecord | undefined;
      try {
        left = opened().found.get(key);
      } catch (cause) {
        if (!hasRecords(stateDir)) {
          attempt(() => {
            throw cause;
          });
          return undefined; // no earlier kernel has written any, either
        }
        throw new KernelError('RECORD_FAILED', `unable to read what was running as ${service.label}`, { cause });
      }
      recalled.add(key);
      if (left !== undefined) records.set(key, left);
      return left && leftService(left);
    });

    // The last of all: whatever plan it is, the new process says that it has begun.
    hooks.prepareSpawn.tap({ name: 'run-record', stage: Infinity }, (plan) => {
      attempt(() => (mark ??= openMark(opened().markPath)));
      return mark === undefined ? plan : { ...plan, markFd: mark.fd };
    });
    hooks.intended.tap('run-record', (service, intent) => {
      attempt(() => {
        if (intent === 'stop') {
          write(service, { want: 'down', intent: { type: 'stop' } });
          return;
        }
        mark?.set();
        const start = { type: 'start', fromTicks: bootTicks(), atMs: Date.now() } as const;
        write(service, { pid: undefined, startTicks: undefined, startDue: true, intent: start });
      });
    });
    hooks.serviceStarted.tap('run-record', (service, pid) => {
      attempt(() => write(service, { ...identityOf(pid), startDue: false, intent: undefined }));
    });
    hooks.serviceEnded.tap('run-record', (service, _pid, end) => {
      const before = records.get(keyOf(service));
      if (before !== undefined) records.set(keyOf(service), { ...before, ends: withEnd(before.ends, end) });
    });
    hooks.statusChanged.tap('run-record', (service, status) => {
      attempt(() => {
        const before = records.get(keyOf(service));
        const { pid, want, paused, startDue, leaving } = status;
        const known = before?.pid === pid ? {} : identityOf(pid);
        write(service, {
          ...known,
          want,
          paused,
          startDue,
          leaving,
          intent: undefined,
          sinceNs: String(status.sinceNs),
        });
      });
    });
    hooks.serviceReleased.tap('run-record', (service) => {
      attempt(() => {
        records.delete(keyOf(service));
        file?.free(service);
        if (file?.isEmpty !== true) return;
        if (mark !== undefined) closeSync(mark.fd);
        mark = undefined;
        file.remove();
        file = undefined;
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

function identityOfDirectory(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true });
  return `${dev}-${ino}`;
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

/** Opens the mark of a file of records, and says how to set it. */
function openMark(path: string): Mark {
  const fd = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  return {
    fd,
    set() {
      if (fstatSync(fd).size === 0) writeSync(fd, '1', 0);
    },
  };
}

interface Mark {
  readonly fd: number;
  set(): void;
}
