/** Closing what others opened: in reverse order, all of it, whatever each of them says. */
import type { Closeable } from './ports.ts';

/** Closes all, the last one first, and reports those that fail. */
export function closeAll(opened: readonly Closeable[], report: (cause: unknown) => void): void {
  for (const each of opened.toReversed()) attempt(() => each.close(), report);
}

/** Carries something out and reports it when it fails. */
export function attempt(body: () => void, report: (cause: unknown) => void): void {
  try {
    body();
  } catch (cause) {
    report(cause);
  }
}
