/**
 * A start that its kernel did not live to record. Before the start it has written an intent and marked a file, which the
 * new process has emptied: so it is known whether there was one, and it is looked for among those that nobody knows.
 */
import { statSync } from 'node:fs';
import { findOrphan } from '@daemontap/posix';
import type { RecordFileHeader, RunRecord } from './record.ts';

const TICK_MS = 10;
/** Clocks are read one after the other, and ticks are counted in whole ones. */
const SLACK_TICKS = 2;

/** What is known of the kernel that is gone. */
export interface GoneKernel {
  readonly header: RecordFileHeader;
  /** Its mark. */
  readonly markPath: string;
  /** Processes that are known to be others. */
  readonly others: ReadonlySet<number>;
}

/** The record as it would be, had its kernel lived to write it. */
export function settled(record: RunRecord, { header, markPath, others }: GoneKernel): RunRecord {
  const { intent } = record;
  if (intent?.type !== 'start') return record;
  const { intent: _, ...rest } = record;
  const begunAtMs = emptiedAtMs(markPath);
  if (begunAtMs === undefined) return { ...rest, startDue: true };
  const { fromTicks, atMs } = intent;
  const found = findOrphan({
    // Both times are of the same clock, at nearly the same moment: it may have been set since.
    startTicks: { from: fromTicks, to: fromTicks + Math.ceil(Math.max(begunAtMs - atMs, 0) / TICK_MS) + SLACK_TICKS },
    parentPid: header.kernelPid,
    sessionId: header.sessionId,
    ancestorPids: header.ancestorPids,
    directory: record.directory,
    except: others,
  });
  // Where there is none it has run and ended: that it ran must not be forgotten, as it may have been wanted once.
  return { ...rest, ...found, startDue: false, sinceNs: String(BigInt(Math.round(begunAtMs)) * 1_000_000n) };
}

/** When a mark was emptied; `undefined`: it was not. */
function emptiedAtMs(markPath: string): number | undefined {
  const stats = statSync(markPath, { throwIfNoEntry: false });
  return stats === undefined || stats.size > 0 ? undefined : stats.ctimeMs;
}
