/** Waiting for a descriptor that does not wait by itself: one that its caller made non-blocking. */
import { declare } from './native.ts';

const cPoll = declare('int poll(void *requests, unsigned long count, int timeout)');
const HUNG_UP = 16; // POLLHUP
const events = { readable: 1, writable: 4 } as const; // POLLIN, POLLOUT

/** Returns when the descriptor can be read or written, when that would fail, or when a signal came: try again then. */
export function waitUntil(state: keyof typeof events, fd: number): void {
  poll(state, fd, -1);
}

/** True when nobody has the writing end of a pipe any more; what is in it may still be read. */
export function isHungUp(fd: number): boolean {
  return poll('readable', fd, 0).isHungUp;
}

/** True when reading or writing would not wait: it would succeed, fail, or be at the end. */
export function isReady(state: keyof typeof events, fd: number): boolean {
  return poll(state, fd, 0).count > 0;
}

function poll(
  state: keyof typeof events,
  fd: number,
  timeoutMs: number,
): { readonly count: number; readonly isHungUp: boolean } {
  const request = new Int32Array(2);
  request[0] = fd;
  const flags = new Int16Array(request.buffer, 4);
  flags[0] = events[state];
  const count = cPoll(request, 1, timeoutMs);
  return { count, isHungUp: ((flags[1] ?? 0) & HUNG_UP) !== 0 };
}
