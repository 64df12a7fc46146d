/**
 * Who may change a file that is about to be run. A file is safe when nobody else can write it, or put another one in
 * its place: so the directories above it count, too.
 */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { enumerate } from './problem.ts';

const ROOT = 0;
const GROUP_WRITE = 0o020;
const OTHERS_WRITE = 0o002;
const STICKY = 0o1000;

/**
 * Says why code is not safe to run as `uid`, and what would be right; `undefined` when it is. The path must be a real
 * one, without symbolic links: what it leads to is then what is run.
 *
 * As root, the file and every directory above it must be root's, and not writable for others; in a sticky directory,
 * as /tmp, nobody can rename what is another's. Other users trust root and themselves, and their own groups.
 */
export function ownershipProblem({ path, uid }: { readonly path: string; readonly uid: number }): string | undefined {
  const fileProblem = problemOf({ path, uid, isFile: true });
  if (fileProblem !== undefined) return fileProblem;
  for (let dir = dirname(path); ; dir = dirname(dir)) {
    const problem = problemOf({ path: dir, uid, isFile: false });
    if (problem !== undefined) return problem;
    if (dir === dirname(dir) || uid !== ROOT) return undefined;
  }
}

function problemOf({ path, uid, isFile }: { path: string; uid: number; isFile: boolean }): string | undefined {
  const { mode, uid: owner, gid } = statSync(path);
  const isOwned = owner === ROOT || owner === uid || (!isFile && uid !== ROOT);
  const isSticky = !isFile && (mode & STICKY) !== 0;
  const writers = [
    // The group root has root alone in it; a user's group is the user's own, or as the user wants it.
    ...(uid === ROOT && (mode & GROUP_WRITE) !== 0 && (isFile || gid !== ROOT) ? ['its group'] : []),
    ...((mode & OTHERS_WRITE) !== 0 ? ['others'] : []),
  ];
  const isWritable = writers.length > 0 && !isSticky;
  if (isOwned && !isWritable) return undefined;
  const what = isFile ? 'it' : `the directory ${path}`;
  const faults = [
    ...(isOwned ? [] : [`belongs to user id ${owner}`]),
    ...(isWritable ? [`may be written by ${enumerate(writers)}`] : []),
  ];
  const name = uid === ROOT ? 'root' : String(uid);
  const remedies = [...(isOwned ? [] : [`chown ${name} ${path}`]), ...(isWritable ? [`chmod go-w ${path}`] : [])];
  return `${what} ${faults.join(' and ')}, and would be run as ${uid === ROOT ? 'root' : `user id ${uid}`}: ${remedies.join('; ')}`;
}
