/**
 * Process descriptors: a process held by one is that process for ever, whatever becomes of its pid. Through syscall(2),
 * because C libraries had no names for them for long; their numbers are the same on every architecture.
 */
import { check, declare } from './native.ts';

const cSyscall = declare('long syscall(long number, long first, long second, void *third, long fourth)');
const cIoctl = declare('int ioctl(int fd, unsigned long request, void *argument)');
const PIDFD_SEND_SIGNAL = 424;
const PIDFD_OPEN = 434;
// The first edition of the struct, which every later kernel takes: its size is a part of the number.
const PIDFD_GET_INFO = 0xc040ff0bn;
const INFO_SIZE = 64;
const EXIT_STATUS_OFFSET = 60;
const PIDFD_INFO_EXIT = 8n;

/**
 * Opens a process; the descriptor becomes readable when it ends, and no program inherits it.
 * @throws `ESRCH` when there is none of this pid, `EINVAL` or `ENOENT` when it is a thread's, `EMFILE` …
 */
export function openPidfd(pid: number): number {
  return check(cSyscall(PIDFD_OPEN, pid, 0, null, 0), 'pidfd_open');
}

/**
 * Sends a signal to the process of a descriptor.
 * @throws `ESRCH` when it has ended and was reaped, `EPERM`
 */
export function sendSignal(pidfd: number, signal: number): void {
  check(cSyscall(PIDFD_SEND_SIGNAL, pidfd, signal, null, 0), 'pidfd_send_signal');
}

/** How the process of a descriptor ended, as wait(2) tells it, once it was reaped; from Linux 6.15 on. */
export function exitStatusOf(pidfd: number): number | undefined {
  const info = new DataView(new ArrayBuffer(INFO_SIZE));
  info.setBigUint64(0, PIDFD_INFO_EXIT, true);
  if (cIoctl(pidfd, PIDFD_GET_INFO, new Uint8Array(info.buffer)) < 0) return undefined;
  const isKnown = (info.getBigUint64(0, true) & PIDFD_INFO_EXIT) !== 0n;
  return isKnown ? info.getInt32(EXIT_STATUS_OFFSET, true) : undefined;
}
