/** Local time by the C library: any TZ that it understands, files of zones with leap seconds included. */
import { declare } from './native.ts';

const cTzset = declare('void tzset()');
const cLocaltime = declare('intptr_t localtime_r(void *seconds, void *time)');

/** A moment on the calendar and the clock of the zone that `TZ` tells. */
export interface LocalTime {
  /** A C `int`, whose overflow shows in the last 1,900 of the years that it can count. */
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  /** 1 to 31. */
  readonly day: number;
  /** 0 to 23. */
  readonly hour: number;
  /** 0 to 59. */
  readonly minute: number;
  /** 60 in a leap second. */
  readonly second: number;
}

const seconds = new BigInt64Array(1);
const fields = new Int32Array(16); // struct tm: nine ints, and room for an offset and a pointer
let isZoneSet = false;

/** The local time of a moment in seconds of Unix time; `undefined` when its year is more than C can count. */
export function localTime(unixSeconds: bigint): LocalTime | undefined {
  if (!isZoneSet) cTzset(); // localtime_r need not look at TZ
  isZoneSet = true;
  seconds[0] = unixSeconds;
  if (cLocaltime(seconds, fields) === 0) return undefined;
  const [second = 0, minute = 0, hour = 0, day = 0, month = 0, year = 0] = fields;
  return { year: (1900 + year) | 0, month: month + 1, day, hour, minute, second };
}
