/** The status record: the 18 bytes of `supervise/status`, the same for daemontools' programs and ours. */
import { decodeTai64n, encodeTai64n, parseTai64n, TAI64N_SIZE } from './tai64n.ts';

/** How many bytes of `supervise/status` the record takes; daemontools-encore writes more behind them. */
export const STATUS_SIZE = 18;

/** What a supervise publishes about its service. */
export interface Status {
  /** Since when the pid is what it is: wall clock, nanoseconds of Unix time. */
  readonly sinceNs: bigint;
  /** `undefined` while `./run` does not run. */
  readonly pid: number | undefined;
  /** Written only while `./run` runs. */
  readonly paused: boolean;
  /** What was asked for, whatever is. */
  readonly want: 'up' | 'down' | 'once';
}

/** A record as read: nothing in it is refused, since what svstat shows is what stands there. */
export interface ParsedStatus extends Status {
  /** The TAI64 second of `sinceNs` as it is written. */
  readonly sinceTaiSeconds: bigint;
}

const PID_OFFSET = TAI64N_SIZE;
const PAUSED_OFFSET = 16;
const WANT_OFFSET = 17;
const wantBytes = { up: 0x75, down: 0x64, once: 0 } as const;

/** Writes a status as 18 bytes. */
export function encodeStatus({ sinceNs, pid = 0, paused, want }: Status): Buffer {
  const bytes = Buffer.alloc(STATUS_SIZE);
  bytes.set(encodeTai64n(sinceNs));
  bytes.writeUInt32LE(pid, PID_OFFSET);
  bytes[PAUSED_OFFSET] = paused && pid !== 0 ? 1 : 0;
  bytes[WANT_OFFSET] = wantBytes[want];
  return bytes;
}

/** Reads a status; `undefined` when there are fewer than 18 bytes, and more do not matter. */
export function parseStatus(bytes: Uint8Array): ParsedStatus | undefined {
  if (bytes.length < STATUS_SIZE) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, STATUS_SIZE);
  const pid = view.getUint32(PID_OFFSET, true);
  const want = view.getUint8(WANT_OFFSET);
  return {
    sinceNs: decodeTai64n(bytes) ?? 0n,
    sinceTaiSeconds: parseTai64n(bytes)?.seconds ?? 0n,
    pid: pid === 0 ? undefined : pid,
    paused: view.getUint8(PAUSED_OFFSET) !== 0,
    want: want === wantBytes.up ? 'up' : want === wantBytes.down ? 'down' : 'once',
  };
}
