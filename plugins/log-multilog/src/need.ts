/**
 * What the engine needs before it can go on. It never waits by itself: its operations are generators that yield what
 * they need, and whoever runs them waits in the way that suits it, for one stream or among many.
 */
import type { ProcessEnd } from '@daemontap/posix';
import type { ProcessorPlan } from './processor.ts';

/** Words of a message, and bytes of paths. */
export type Text = readonly (string | Uint8Array)[];

/** Something to do before the next step. */
export type Need =
  /** To be told, and tried again a while later (5 seconds, as in daemontools). */
  | { readonly kind: 'pause'; readonly text: Text; readonly cause: unknown }
  /** To be run to its end, which is the answer. */
  | { readonly kind: 'process'; readonly plan: ProcessorPlan };

/** An operation that may have needs. */
export type Steps<T> = Generator<Need, T, ProcessEnd | undefined>;

/** Does something until it succeeds, with a pause after each failure. */
export function* untilDone<T>(text: Text, body: () => T): Steps<T> {
  for (;;) {
    try {
      return body();
    } catch (cause) {
      yield { kind: 'pause', text, cause };
    }
  }
}

/** What makes a start impossible. */
export class SetUpError extends Error {
  static {
    this.prototype.name = 'SetUpError';
  }
  readonly text: Text;
  constructor(text: Text, cause: unknown) {
    super('unable to set up', { cause });
    this.text = text;
  }
}

/** Does something that has to succeed. @throws SetUpError */
export function required<T>(text: Text, body: () => T): T {
  try {
    return body();
  } catch (cause) {
    throw new SetUpError(text, cause);
  }
}
