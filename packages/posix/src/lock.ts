/** flock(2): the locks of daemontools, which belong to the open file and do not conflict with those of fcntl(2). */
import { check, declare } from './native.ts';

const cFlock = declare('int flock(int fd, int operation)');
const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Takes the exclusive lock of an open file, and waits for it as long as it takes, with the whole process.
 * @throws what flock(2) reports
 */
export function waitForLock(fd: number): void {
  check(cFlock(fd, LOCK_EX), 'flock');
}

/**
 * Takes the exclusive lock of an open file without waiting.
 * @throws `EAGAIN` when another open file description holds it
 */
export function tryLock(fd: number): void {
  check(cFlock(fd, LOCK_EX | LOCK_NB), 'flock');
}
