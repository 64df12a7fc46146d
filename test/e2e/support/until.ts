/** Waiting for a condition, never for time. */
import { setTimeout as sleep } from 'node:timers/promises';

/** How to wait. */
export interface UntilOptions {
  /** What is waited for, as the end of "gave up waiting until …". */
  readonly describe: string;
  /** What there is instead, for the message when it takes too long. */
  readonly state?: () => unknown;
  /** 60,000 by default. */
  readonly timeoutMs?: number;
  /** Between two questions; 20 by default. */
  readonly everyMs?: number;
}

/**
 * Asks again and again until the answer is neither `undefined` nor `false`, and returns it.
 * @throws when that takes too long: what was waited for, and the last state seen
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { describe, state, timeoutMs = 60_000, everyMs = 20 }: UntilOptions,
): Promise<Exclude<T, undefined | false>> {
  const deadlineMs = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    const isLast = performance.now() >= deadlineMs; // asked once more: this process itself may have stood still
    last = await condition();
    if (last !== undefined && last !== false) return last as Exclude<T, undefined | false>; // just excluded
    if (isLast) break;
    await sleep(everyMs);
  }
  const seen = state === undefined ? last : await state();
  const text = typeof seen === 'string' ? seen : JSON.stringify(seen);
  throw new Error(`gave up waiting until ${describe} (${timeoutMs} ms); last seen: ${text}`);
}
