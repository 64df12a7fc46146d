/**
 * What the engine needs before it can go on. It never waits by itself: its operations are generators that yield what
 * they need, and whoever runs them waits in the way that suits it, for one stream or among many.
 */
import { fileCall } from './calls.ts';
import type { Answer, FileCall, FileCalls, Place } from './calls.ts';
import type { ProcessorPlan } from './processor.ts';

/** Words of a message, and bytes of paths. */
export type Text = readonly (string | Uint8Array)[];

/** Something to do before the next step. What keeps it from being done is thrown into the steps. */
export type Need =
  /** A call of the file system, which may take as long as its device pleases. Its answer is what the call returns. */
  | FileCall
  /** To be told, and tried again a while later (5 seconds, as in daemontools). */
  | { readonly kind: 'pause'; readonly text: Text; readonly cause: unknown }
  /** To be told, and that is all. */
  | { readonly kind: 'tell'; readonly text: Text; readonly cause: unknown }
  /** To be run to its end, which is the answer: a `ProcessEnd` of @daemontap/posix. */
  | { readonly kind: 'process'; readonly plan: ProcessorPlan };

/** An operation that may have needs. Each step is given the answer to what the one before has yielded. */
export type Steps<T> = Generator<Need, T, unknown>;

/** Does a call, once. @throws what keeps it from being done */
export function* done<Name extends keyof FileCalls>(call: FileCall<Name>): Steps<Answer<Name>> {
  const { calls } = call.place;
  // As whoever drives the steps promises.
  return calls === undefined ? ((yield call) as Answer<Name>) : doNow(calls, call);
}

/** Does a call until it succeeds, with a pause after each failure. */
export function* untilDone<Name extends keyof FileCalls>(text: Text, call: FileCall<Name>): Steps<Answer<Name>> {
  for (;;) {
    try {
      const { calls } = call.place;
      return calls === undefined ? ((yield call) as Answer<Name>) : doNow(calls, call);
    } catch (cause) {
      yield { kind: 'pause', text, cause };
    }
  }
}

/** As {@link untilDone}, with something that takes several calls. */
export function* untilAllDone<T>(text: Text, body: () => Steps<T>): Steps<T> {
  for (;;) {
    try {
      return yield* body();
    } catch (cause) {
      yield { kind: 'pause', text, cause };
    }
  }
}

/** Lets go of a descriptor. It is gone whatever is reported, and what has to be on the disk was brought there before. */
export function* close(place: Place, fd: number): Steps<void> {
  try {
    yield* done(fileCall(place, 'close', fd));
  } catch {
    // Nothing is left to be done.
  }
}

/** What makes a start impossible. */
export class SetUpError extends Error {
  static {
    this.prototype.name = 'SetUpError';
  }
  /** The message's words, with the bytes of paths as they are. */
  readonly text: Text;
  constructor(text: Text, cause: unknown) {
    super(textOf(text), { cause });
    this.text = text;
  }
}

/** Does something that has to succeed. @throws SetUpError */
export function* required<T>(text: Text, steps: Steps<T>): Steps<T> {
  try {
    return yield* steps;
  } catch (cause) {
    throw new SetUpError(text, cause);
  }
}

/** A message to be shown: bytes that are no UTF-8 are lost. */
export function textOf(text: Text): string {
  return text.map((part) => (typeof part === 'string' ? part : Buffer.from(part).toString())).join('');
}

function doNow<Name extends keyof FileCalls>(calls: FileCalls, { name, args }: FileCall<Name>): Answer<Name> {
  const body = calls[name] as (...args: readonly unknown[]) => unknown; // both are of that name
  return body(...args) as Answer<Name>;
}
