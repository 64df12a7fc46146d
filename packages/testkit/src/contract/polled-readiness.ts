/** Readiness of real descriptors, looked at when a test says so: there is no thread and nothing to close. */
import type { Closeable, Readiness } from '@daemontap/kernel';
import { isReady } from '@daemontap/posix';

/** Asks poll(2) about what is watched, at every {@link PolledReadiness.look}. */
export class PolledReadiness implements Readiness {
  readonly #callbacks = new Map<number, () => void>();

  /** How many descriptors are watched. */
  get watched(): number {
    return this.#callbacks.size;
  }

  /** @throws Error when the descriptor is watched already, as epoll(7) */
  watchReadable(fd: number, callback: () => void): Closeable {
    if (this.#callbacks.has(fd)) throw new Error(`unable to watch ${fd}: it is watched already`);
    this.#callbacks.set(fd, callback);
    return {
      close: () => {
        if (this.#callbacks.get(fd) === callback) this.#callbacks.delete(fd);
      },
    };
  }

  /** Calls back for each descriptor that can be read now. */
  look(): void {
    // One callback may close what another one watches.
    for (const fd of [...this.#callbacks.keys()]) {
      if (this.#callbacks.has(fd) && isReady('readable', fd)) this.#callbacks.get(fd)?.();
    }
  }
}
