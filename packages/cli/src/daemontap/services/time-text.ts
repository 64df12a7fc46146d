/** Times for people and for machines. */

const SECOND_NS = 1_000_000_000n;
const units = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const;

/** How long something takes, in its two largest units: `3d 4h`, `12s`. What is to come has taken no time yet. */
export function durationText(ns: bigint): string {
  const seconds = Number(ns > 0n ? ns / SECOND_NS : 0n);
  const largest = units.findIndex(([, size]) => seconds >= size);
  const [first, second] = largest === -1 ? [units[3]] : units.slice(largest, largest + 2);
  if (first === undefined) return '0s';
  const text = `${Math.floor(seconds / first[1])}${first[0]}`;
  const rest = second === undefined ? 0 : Math.floor((seconds % first[1]) / second[1]);
  return second === undefined || rest === 0 ? text : `${text} ${rest}${second[0]}`;
}

/** ISO 8601 with nine digits of a second. `undefined` for what is no time: a record may hold anything. */
export function isoTime(unixNs: bigint): string | undefined {
  const date = new Date(Number(unixNs / 1_000_000n));
  if (Number.isNaN(date.getTime()) || unixNs < 0n) return undefined;
  return `${date.toISOString().slice(0, -4)}${String(unixNs % SECOND_NS).padStart(9, '0')}Z`;
}
