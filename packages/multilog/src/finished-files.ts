/** The finished files of a log directory: their names, and how many there may be; section 8.6 of the behaviour reference. */
import { formatTai64n, toStampNs } from '@daemontap/formats';
import { hasCode, wallClockNs } from '@daemontap/posix';
import type { HeldDirectory } from './held-directory.ts';
import { done, untilAllDone } from './need.ts';
import type { Steps } from './need.ts';

/** The mode of what is finished. The owner may execute it, which nobody wants to: that tells it from the rest. */
export const FINISHED_MODE = 0o744;
/** `@` and 24 digits. */
const STAMP_LENGTH = 25;

/** How a file was finished: by a rotation, or cut off by a crash. */
export type FinishCode = 's' | 'u';

/** Gives a file its name for good, and removes what is too much: `current` and the finished ones are at most `count`. */
export function* finishFile(
  held: HeldDirectory,
  { name, code, count }: { readonly name: string; readonly code: FinishCode; readonly count: number },
): Steps<void> {
  const stats = yield* untilAllDone(['unable to stat ', held.path, `/${name}`], () => held.statIfThere(name));
  if (stats === undefined) return;
  if (stats.nlink === 1) yield* link(held, name, code); // otherwise it has its name, and there was a crash before the next step
  yield* held.remove(name);
  // What cannot be removed is told of in these words, too, as in daemontools.
  yield* untilAllDone(['unable to read ', held.path], () => removeOldest(held, count));
}

function* link(held: HeldDirectory, name: string, code: FinishCode): Steps<void> {
  for (;;) {
    const stamped = `${formatTai64n(toStampNs(wallClockNs()))}.${code}`;
    try {
      yield* done(held.call('link', held.inside(name), held.inside(stamped)));
      return;
    } catch (cause) {
      if (hasCode(cause, 'EEXIST')) continue; // of this very microsecond
      yield { kind: 'pause', text: ['unable to link to ', held.path, `/${stamped}`], cause };
    }
  }
}

/** Removes the oldest finished files until there is room for `current` among so many. */
function* removeOldest(held: HeldDirectory, count: number): Steps<void> {
  const stampOf = (name: string): string => name.slice(0, STAMP_LENGTH);
  const names = (yield* done(held.call('readdir', held.inside('.')))).filter(
    (name) => name.startsWith('@') && name.length >= STAMP_LENGTH,
  );
  names.sort((a, b) => (stampOf(a) < stampOf(b) ? -1 : stampOf(a) > stampOf(b) ? 1 : 0));
  for (const name of names.slice(0, Math.max(0, names.length - count + 1))) {
    yield* done(held.call('unlink', Buffer.from(held.inside(name), 'latin1')));
  }
}
