/**
 * A start that its kernel did not live to record. Before the start it has written an intent and marked a file, which the
 * new process has emptied: so it is known whether there was one, and it is looked for among those that nobody knows.
 */
import { statSync } from 'node:fs';
import { findOrphan } from '@daemontap/posix';
import type { RecordFileHeader, RunRecord } from './record.ts';

const TICK_MS = 10;
/** A start takes no longer, where nothing tells. */
const LONGEST_MS = 1000;
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
  if (begunAtMs === 'never') return { ...rest, startDue: true };
  const { fromTicks, atMs } = intent;
  // Both times are of the same clock, at nearly the same moment: it may have been set since.
  const tookMs = begunAtMs === undefined ? LONGEST_MS : Math.max(begunAtMs - atMs, 0);
  const found = findOrphan({
    startTicks: { from: fromTicks, to: fromTicks + Math.ceil(tookMs / TICK_MS) + SLACK_TICKS },
    parentPid: header.kernelPid,
    sessionId: header.sessionId,
    ancestorPids: header.ancestorPids,
    directory: record.directory,
    except: others,
  });
  const sinceNs = String(BigInt(Math.round(begunAtMs ?? atMs)) * 1_000_000n);
  if (found !== undefined) return { ...rest, ...found, startDue: false, sinceNs };
  // It has run and ended: that it ran must not be forgotten, as it may have been wanted once.
  return begunAtMs === undefined ? { ...rest, startDue: true } : { ...rest, startDue: false, sinceNs };
}

/** When a mark was emptied. `undefined`: somebody has removed it, or there was no room for one. */
function emptiedAtMs(markPath: string): number | 'never' | undefined {
  const stats = statSync(markPath, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  return stats.size > 0 ? 'never' : stats.ctimeMs;
}
