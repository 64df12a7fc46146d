/** The time of day. Node's own clocks count it in milliseconds, or do not follow it when it is set. */
import { check, declare } from './native.ts';

const cClockGettime = declare('int clock_gettime(int clock, void *time)');
const CLOCK_REALTIME = 0;
const time = new BigInt64Array(2); // seconds, nanoseconds

/** Nanoseconds of Unix time, as exact as the system's clock. */
export function wallClockNs(): bigint {
  check(cClockGettime(CLOCK_REALTIME, time), 'clock_gettime');
  const [seconds = 0n, nanoseconds = 0n] = time;
  return seconds * 1_000_000_000n + nanoseconds;
}
