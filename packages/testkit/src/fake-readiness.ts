/** Descriptors that become readable when a test says so. */
import type { Closeable, Readiness } from '@daemontap/kernel';

/**
 * Watches nothing; `ready` calls back as the system would.
 * @example
 * const readiness = new FakeReadiness();
 * const watch = readiness.watchReadable(7, () => console.log('7 can be read'));
 * readiness.ready(7);
 * watch.close();
 */
export class FakeReadiness implements Readiness {
  readonly #callbacks = new Map<number, () => void>();

  /** The descriptors that are watched, ascending. */
  get watched(): readonly number[] {
    return [...this.#callbacks.keys()].toSorted((a, b) => a - b);
  }

  /** As {@link Readiness}. @throws Error when the descriptor is watched already, as epoll(7) */
  watchReadable(fd: number, callback: () => void): Closeable {
    if (this.#callbacks.has(fd)) throw new Error(`unable to watch ${fd}: it is watched already`);
    this.#callbacks.set(fd, callback);
    return {
      close: () => {
        if (this.#callbacks.get(fd) === callback) this.#callbacks.delete(fd);
      },
    };
  }

  /** Says that a descriptor can be read. Without a watch on it nothing happens. */
  ready(fd: number): void {
    this.#callbacks.get(fd)?.();
  }
}
