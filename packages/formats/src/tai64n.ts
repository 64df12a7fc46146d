/**
 * TAI64N: a moment as 12 bytes, or as `@` and 24 hexadecimal digits. As in daemontools there is no table of leap
 * seconds: TAI runs a constant 10 seconds ahead of Unix time.
 */

/** How many bytes a TAI64N moment takes. */
export const TAI64N_SIZE = 12;

const SECOND_NS = 1_000_000_000n;
/** The TAI64 second at which Unix time began. */
const EPOCH_SECONDS = 2n ** 62n + 10n;

/** What the 12 bytes say, before anything is made of it. Nanoseconds of a second or more are not refused. */
export interface Tai64n {
  /** Unsigned, 64 bits. */
  readonly seconds: bigint;
  /** Unsigned, 32 bits. */
  readonly nanoseconds: number;
}

/** Writes a moment, given in nanoseconds of Unix time, as 12 bytes. */
export function encodeTai64n(unixNs: bigint): Buffer {
  const nanoseconds = ((unixNs % SECOND_NS) + SECOND_NS) % SECOND_NS; // before 1970, too, they count upwards
  const bytes = Buffer.alloc(TAI64N_SIZE);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, EPOCH_SECONDS + (unixNs - nanoseconds) / SECOND_NS));
  bytes.writeUInt32BE(Number(nanoseconds), 8);
  return bytes;
}

/** Reads 12 bytes as a moment in nanoseconds of Unix time, or `undefined` when there are fewer. */
export function decodeTai64n(bytes: Uint8Array): bigint | undefined {
  const moment = parseTai64n(bytes);
  return moment && (moment.seconds - EPOCH_SECONDS) * SECOND_NS + BigInt(moment.nanoseconds);
}

/** Reads 12 bytes as they stand, or `undefined` when there are fewer. */
export function parseTai64n(bytes: Uint8Array): Tai64n | undefined {
  if (bytes.length < TAI64N_SIZE) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, TAI64N_SIZE);
  return { seconds: view.getBigUint64(0), nanoseconds: view.getUint32(8) };
}

/** The label of a moment given in nanoseconds of Unix time: `@` and 24 lower-case hexadecimal digits. */
export function formatTai64n(unixNs: bigint): string {
  return `@${encodeTai64n(unixNs).toString('hex')}`;
}

/** The TAI64 second of a moment given in nanoseconds of Unix time: what daemontools' clients count with. */
export function taiSeconds(unixNs: bigint): bigint {
  return encodeTai64n(unixNs).readBigUInt64BE();
}

/** The second of Unix time of a TAI64 second. 64 bits wide, as C counts: what is too much for them begins anew. */
export function unixSeconds(taiSecond: bigint): bigint {
  return BigInt.asIntN(64, taiSecond - EPOCH_SECONDS);
}

/**
 * A moment as daemontools stamps it. Its clock ticks in microseconds, and it writes the middle of each: nanoseconds
 * modulo 1000 are always 500.
 */
export function toStampNs(unixNs: bigint): bigint {
  return (unixNs / 1000n) * 1000n + 500n;
}
