/** Descriptors as such: which ones the next program gets, and under which numbers. */
import { check, declare } from './native.ts';

const cFcntl = declare('int fcntl(int fd, int command, int argument)');
const cDup2 = declare('int dup2(int source, int target)');
const cPipe = declare('int pipe2(void *ends, int flags)');
const F_SETFD = 2;
const F_DUPFD_CLOEXEC = 1030;
const FD_CLOEXEC = 1;
const O_CLOEXEC = 0o2000000;

/** Says whether a descriptor stays open in the program that this process becomes. @throws `EBADF` */
export function keepAtExec(fd: number, keep: boolean): void {
  check(cFcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC), 'fcntl');
}

/**
 * Gives descriptors the numbers under which the next program is to find them: [its number, ours]. Whatever had such a
 * number in this process is closed, Node's own files too, so nothing but exec or exit may follow.
 * @throws `EBADF`, `EMFILE`
 */
export function placeDescriptors(pairs: readonly (readonly [target: number, source: number])[]): void {
  const free = Math.max(0, ...pairs.map(([target]) => target)) + 1;
  // Out of the way first: one's source may have the number that is another's target.
  const copies = pairs.map(([target, source]) => [target, copyDescriptor(source, free)] as const);
  for (const [target, copy] of copies) check(cDup2(copy, target), 'dup2');
}

/** Copies a descriptor, for this program alone: the lowest number that is free, and not below this one. @throws `EBADF`, `EMFILE` */
export function copyDescriptor(fd: number, from: number): number {
  return check(cFcntl(fd, F_DUPFD_CLOEXEC, from), 'fcntl');
}

/**
 * A pipe whose ends no program inherits.
 * @throws `EMFILE`, `ENFILE`
 */
export function openPipe(): { readonly readFd: number; readonly writeFd: number } {
  const ends = new Int32Array(2);
  check(cPipe(ends, O_CLOEXEC), 'pipe');
  return { readFd: ends[0] ?? -1, writeFd: ends[1] ?? -1 };
}
