/**
 * A record of every service under supervision, outside of its directory: what a later kernel needs to find a process
 * again, to know that it is the same one, and never to start a second one. It is written before what it tells of is
 * done, and again afterwards.
 */
import { closeSync, constants, fstatSync, openSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { definePlugin, KernelError } from '@daemontap/kernel';
import type { LeftService, PluginFactory, ServiceDirectory, ServiceStatus } from '@daemontap/kernel';
import { bootTicks, findOrphan, readProcess } from '@daemontap/posix';
import { withEnd } from './record.ts';
import type { RunRecord } from './record.ts';
import { keyOf, RecordFile } from './record-file.ts';
import type { FoundRecord } from './record-file.ts';

const TICK_MS = 10;

/** Keeps a record of each service, and tells of those that an earlier kernel has left. */
export const runRecord: PluginFactory = definePlugin({
  name: 'run-record',
  apiVersion: 1,
  apply({ hooks, log, stateDir }) {
    const records = new Map<string, RunRecord>();
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
      const record = { ...nothing, ...before, ...change, identity, role, label };
      records.set(keyOf(service), record);
      opened().write(record);
    };

    hooks.findRunning.tap('run-record', (service) => {
      let left: FoundRecord | undefined;
      try {
        left = records.has(keyOf(service)) ? undefined : opened().found.get(keyOf(service));
      } catch (cause) {
        throw new KernelError('RECORD_FAILED', `unable to read what was running as ${service.label}`, { cause });
      }
      if (left === undefined) return undefined;
      const record = { ...left.record, ...whatRuns(left, { service, mark: markPath(stateDir()), records }) };
      records.set(keyOf(service), record);
      return leftService(record);
    });

    // The last of all: whatever plan it is, the new process says that it has begun.
    hooks.prepareSpawn.tap({ name: 'run-record', stage: Infinity }, (plan) => {
      attempt(() => (mark ??= openMark(stateDir())));
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
        write(service, { ...known, want, paused, startDue, leaving, intent: undefined, sinceNs: String(status.sinceNs) });
      });
    });
    hooks.serviceReleased.tap('run-record', (service) => {
      attempt(() => {
        records.delete(keyOf(service));
        file?.free(service);
        if (file?.isEmpty !== true) return;
        mark?.remove();
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

function identityOf(pid: number | undefined): Pick<RunRecord, 'pid' | 'startTicks'> {
  const startTicks = pid === undefined ? undefined : readProcess(pid)?.startTicks;
  return startTicks === undefined ? { pid: undefined, startTicks: undefined } : { pid, startTicks };
}

/** A start that was begun when its kernel was killed: whether there was a process, and which. */
function whatRuns(
  { record, header }: FoundRecord,
  { service, mark, records }: { readonly service: ServiceDirectory; readonly mark: string; readonly records: ReadonlyMap<string, RunRecord> },
): Partial<RunRecord> {
  const { intent } = record;
  if (intent?.type !== 'start') return {};
  const begunAtMs = begunAt(mark);
  if (begunAtMs === undefined) return { startDue: true, intent: undefined }; // there was none
  const { dev, ino } = statSync(service.path, { bigint: true });
  const others = [...records.values()].flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  const found = findOrphan({
    startTicks: {
      from: intent.fromTicks,
      to: intent.fromTicks + Math.ceil(Math.max(begunAtMs - intent.atMs, 0) / TICK_MS) + 2,
    },
    parentPid: header.kernelPid,
    sessionId: header.sessionId,
    ancestorPids: header.ancestorPids,
    directory: `${dev}-${ino}`,
    except: new Set([process.pid, ...others]),
  });
  const sinceNs = String(BigInt(Math.round(begunAtMs)) * 1_000_000n);
  return { ...found, startDue: false, intent: undefined, sinceNs };
}

/** When the process that a mark was given to has begun; `undefined`: it has not, or nobody has marked it. */
function begunAt(mark: string): number | undefined {
  const stats = statSync(mark, { throwIfNoEntry: false });
  return stats === undefined || stats.size > 0 ? undefined : stats.ctimeMs;
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

/** A file that a new process empties. One is enough: no two starts of a kernel are under way at a time. */
interface Mark {
  readonly fd: number;
  set(): void;
  remove(): void;
}

function markPath(dir: string): string {
  return join(dir, 'mark');
}

function openMark(dir: string): Mark {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
  const fd = openSync(markPath(dir), O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  return {
    fd,
    set: () => {
      if (fstatSync(fd).size === 0) writeSync(fd, '1', 0);
    },
    remove: () => closeSync(fd),
  };
}
