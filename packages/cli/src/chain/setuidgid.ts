/** setuidgid: runs a program under an account's uid and gid, and in no other group. */
import { readdirSync } from 'node:fs';
import { errorText } from '@daemontap/formats';
import { findAccount, readLimit, writeLimit } from '@daemontap/posix';
import type { ProcessAccount } from '@daemontap/posix';
import { isHelped } from '../help.ts';
import { program } from '../program.ts';
import type { Call, Given, Step } from './chain.ts';

const { fatal, usage } = program('setuidgid');
const USAGE = 'setuidgid: usage: setuidgid account child';
const NO_LIMIT = 2n ** 64n - 1n;
const TEXT = 'Runs child under the uid and gid of account, and in no other group.';

/** `setuidgid account child`. Where one of the steps is refused, nothing is run. */
export function setuidgid({ words, given }: Call): Step {
  if (isHelped(words, { usage: USAGE, text: TEXT })) return { exitCode: 0 };
  const [name, ...child] = words;
  if (name === undefined || child.length === 0) return { exitCode: usage(USAGE) };
  const account = findAccount(name);
  if (account === undefined) return { exitCode: fatal('unknown account ', name) };
  const exitCode = takeAccount({ ...account, groups: [] }, given);
  return exitCode === undefined ? { child, given } : { exitCode };
}

/** Becomes an account, in its group and these others. Returns the exit code when that is refused. */
export function takeAccount({ uid, gid, groups }: ProcessAccount, given: Given): number | undefined {
  // The groups first, while that is still allowed; the user last, as it ends what is allowed.
  try {
    process.setgroups?.([...new Set([gid, ...groups])]);
    process.setgid?.(gid);
  } catch (error) {
    return fatal('unable to setgid: ', errorText(error));
  }
  try {
    withRoomForThreads(given, () => process.setuid?.(uid));
  } catch (error) {
    return fatal('unable to setuid: ', errorText(error));
  }
  return undefined;
}

/**
 * setuid(2) compares the account's processes with the limit, and lets the next exec fail when they are too many. Node's
 * threads count among them, but will be gone: for the time of the call there is room for them.
 */
function withRoomForThreads({ limits }: Given, body: () => void): void {
  const before = readLimit('nproc');
  const limit = limits.get('nproc') ?? before.soft;
  if (limit === NO_LIMIT) return body();
  const soft = limit + BigInt(readdirSync('/proc/self/task').length - 1);
  try {
    writeLimit('nproc', { soft, hard: before.hard > soft ? before.hard : soft });
  } catch {
    writeLimit('nproc', { soft: before.hard, hard: before.hard }); // root without CAP_SYS_RESOURCE
  }
  try {
    body();
  } finally {
    writeLimit('nproc', before);
  }
}
