/** Puts a question to plugins that may answer at once or later. */

/** An answer, or the promise of one. */
export type Answer<T> = T | Promise<T>;

/**
 * Calls an asking hook through its callback, which tapable calls at once when every tap has answered at once.
 * @throws what a tap throws, when it does so at once
 */
export function ask<T>(call: (done: (error?: Error | null, answer?: T) => void) => void): Answer<T> {
  let outcome: { readonly error: Error | undefined; readonly answer: T } | undefined;
  let later: ((error: Error | undefined, answer: T) => void) | undefined;
  call((failure, answer) => {
    const error = failure ?? undefined; // tapable gives either
    // A hook without an answer gives `undefined`, which its type then includes.
    const given = answer as T;
    if (later === undefined) outcome = { error, answer: given };
    else later(error, given);
  });
  if (outcome === undefined) {
    return new Promise((resolve, reject) => {
      later = (error, answer) => (error === undefined ? resolve(answer) : reject(error));
    });
  }
  if (outcome.error !== undefined) throw outcome.error;
  return outcome.answer;
}
