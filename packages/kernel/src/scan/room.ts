/**
 * Sees to it that what is supervised can be started, too: new services are begun only while some descriptors are left
 * over for pipes, status files and whatever else a running supervisor opens for a moment.
 */
import type { Files } from '../ports.ts';

/** Kept free. */
const RESERVE = 32;
/** Counting takes a millisecond with thousands open, so it is done when it may matter. */
const COUNT_BELOW = 128;

/** How many descriptors may still be taken. */
export class DescriptorRoom {
  readonly #files: Files;
  #left = 0;

  constructor(files: Files) {
    this.#files = files;
  }

  /** Takes room for so many descriptors. False when they would have to come from the reserve. */
  take(count: number): boolean {
    if (this.#left - count < COUNT_BELOW) this.#left = this.#files.descriptorsLeft();
    if (this.#left - count < RESERVE) return false;
    this.#left -= count;
    return true;
  }
}
