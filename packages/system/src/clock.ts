/** The clock of the running system. */
import type { Clock } from '@daemontap/kernel';

const LONGEST_MS = 2 ** 31 - 1;

/** Time by Node: `process.hrtime`, `Date` and timers. */
export function nodeClock(): Clock {
  const monotonicNs = (): bigint => process.hrtime.bigint();
  const arm = (atNs: bigint, callback: () => void): (() => void) => {
    if (atNs <= monotonicNs()) {
      const immediate = setImmediate(callback);
      return () => clearImmediate(immediate);
    }
    // Node's timers may fire up to a millisecond early.
    const leftMs = Math.min(Number((atNs - monotonicNs()) / 1_000_000n) + 1, LONGEST_MS);
    let stop: () => void;
    const timer = setTimeout(() => {
      if (monotonicNs() >= atNs) callback();
      else stop = arm(atNs, callback);
    }, leftMs);
    stop = () => clearTimeout(timer);
    return () => stop();
  };
  return {
    monotonicNs,
    // Not performance.now(): it does not follow a clock that is set.
    wallNs: () => BigInt(Date.now()) * 1_000_000n,
    wakeAt: (atNs, callback) => ({ close: arm(atNs, callback) }),
  };
}
