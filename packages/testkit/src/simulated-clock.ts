/** Time that stands still until a test moves it. It never looks at the real clock. */
import type { Clock, Closeable } from '@daemontap/kernel';

/** Where a simulated clock begins. */
export interface SimulatedClockOptions {
  /** The wall clock's first reading, Unix nanoseconds; default 1,700,000,000 seconds. */
  readonly wallNs?: bigint;
}

interface Timer {
  readonly atNs: bigint;
  readonly callback: () => void;
}

/**
 * A clock that only a test moves: timers fire while it is moved, in the order of their times.
 * @example
 * const clock = new SimulatedClock();
 * clock.wakeAt(clock.monotonicNs() + 1_000_000_000n, () => console.log('a second has passed'));
 * clock.advanceMs(1000);
 */
export class SimulatedClock implements Clock {
  #monotonicNs = 1_000_000_000_000n;
  #wallNs: bigint;
  readonly #timers = new Set<Timer>();

  constructor({ wallNs = 1_700_000_000_000_000_000n }: SimulatedClockOptions = {}) {
    this.#wallNs = wallNs;
  }

  /** How many timers wait. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** When the next timer is due, on the monotonic clock; `undefined`: none waits. */
  get nextTimerAtNs(): bigint | undefined {
    return this.#next()?.atNs;
  }

  monotonicNs(): bigint {
    return this.#monotonicNs;
  }

  wallNs(): bigint {
    return this.#wallNs;
  }

  wakeAt(atNs: bigint, callback: () => void): Closeable {
    const timer: Timer = { atNs, callback };
    this.#timers.add(timer);
    return { close: () => void this.#timers.delete(timer) };
  }

  /**
   * Moves both clocks on and fires what is due on the way, timers that are set meanwhile included.
   * @param ns nanoseconds; 0 fires what is due already
   * @throws RangeError when negative: a monotonic clock is never set back
   */
  advanceNs(ns: bigint): void {
    if (ns < 0n) throw new RangeError('unable to advance a clock: the time is negative');
    const targetNs = this.#monotonicNs + ns;
    for (let timer = this.#next(); timer !== undefined && timer.atNs <= targetNs; timer = this.#next()) {
      if (timer.atNs > this.#monotonicNs) this.#moveTo(timer.atNs);
      this.#timers.delete(timer);
      timer.callback();
    }
    this.#moveTo(targetNs);
  }

  /** As {@link SimulatedClock.advanceNs}, in milliseconds. */
  advanceMs(ms: number): void {
    this.advanceNs(BigInt(Math.round(ms * 1e6)));
  }

  /** Sets the wall clock alone, forwards or back, as an administrator does. Unix nanoseconds. */
  setWallNs(wallNs: bigint): void {
    this.#wallNs = wallNs;
  }

  /** The earliest timer; of two with one time, the one that was set first. */
  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (next === undefined || timer.atNs < next.atNs) next = timer;
    return next;
  }

  #moveTo(atNs: bigint): void {
    // A callback may itself have advanced the clock.
    if (atNs <= this.#monotonicNs) return;
    this.#wallNs += atNs - this.#monotonicNs;
    this.#monotonicNs = atNs;
  }
}
