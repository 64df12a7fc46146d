/** Who waits for a service to be in some state: each with a deadline, and no more of them than can be afforded. */
import type { Clock, Closeable } from '@daemontap/kernel';
import { ApiError } from './api-error.ts';
import type { Condition } from './commands.ts';
import { MOST_WAITS } from './limits.ts';
import type { Services, Supervised } from './services.ts';

/** What is waited for. */
export interface Wait {
  readonly service: Supervised;
  readonly isMet: Condition;
  readonly timeoutMs: number;
  /** Is called once, unless the wait is closed: it is met; it never will be, as nothing supervises the service; or late. */
  done(outcome: 'met' | 'released' | 'late' | 'closed'): void;
}

/** All waits of a kernel. */
export class Waits {
  readonly #clock: Clock;
  readonly #services: Services;
  readonly #pending = new Set<(outcome: 'closed') => void>();

  constructor(clock: Clock, services: Services) {
    this.#clock = clock;
    this.#services = services;
  }

  /** Waits; `done` may be called before this returns. Closing it forgets it. @throws ApiError `TOO_MANY` */
  begin({ service, isMet, timeoutMs, done }: Wait): Closeable {
    const nothing = { close() {} };
    if (isMet(service)) {
      done('met');
      return nothing;
    }
    if (this.#pending.size >= MOST_WAITS) throw new ApiError('TOO_MANY', `there are ${MOST_WAITS} waits already`);
    const forget = (): void => {
      this.#pending.delete(finish);
      watch.close();
      deadline.close();
    };
    const finish = (outcome: Parameters<Wait['done']>[0]): void => {
      forget();
      done(outcome);
    };
    const watch = this.#services.watch(service, () => {
      if (isMet(service)) finish('met');
      else if (service.isReleased) finish('released');
    });
    const deadline = this.#clock.wakeAt(this.#clock.monotonicNs() + BigInt(timeoutMs) * 1_000_000n, () =>
      finish('late'),
    );
    this.#pending.add(finish);
    return { close: forget };
  }

  /** Ends all waits. */
  close(): void {
    for (const finish of [...this.#pending]) finish('closed');
  }
}
