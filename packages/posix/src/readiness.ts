/**
 * One epoll for all descriptors that the kernel waits for: 1 KB of memory each, where a net.Socket takes 6.6.
 * The waiting is done on one thread of libuv's pool; callbacks run on the event loop.
 */
import { closeSync, writeSync } from 'node:fs';
import { check, declare } from './native.ts';

const cEpollCreate = declare('int epoll_create1(int flags)');
const cEpollCtl = declare('int epoll_ctl(int epoll, int operation, int fd, void *event)');
const cEpollWait = declare('int epoll_wait(int epoll, void *events, int max, int timeout)');
const cEventfd = declare('int eventfd(unsigned int initial, int flags)');

const CLOEXEC = 0o2000000;
const NONBLOCK = 0o4000;
const CTL_ADD = 1;
const CTL_DEL = 2;
const EPOLLIN = 1;
const EPOLLET = 0x80000000;
// The struct is packed on x86-64 alone.
const EVENT_SIZE = process.arch === 'x64' ? 12 : 16;
const DATA_OFFSET = EVENT_SIZE - 8;
const BATCH = 64;

/** Tells when descriptors can be read. */
export interface Readiness {
  /**
   * Calls back each time the descriptor can be read, for as long as it can: the callback must read it empty or close
   * the watch. The descriptor stays the caller's, to be closed after the watch.
   */
  watchReadable(fd: number, callback: () => void): { close(): void };
  /** Calls back each time something has come, and for what is there at the beginning; who leaves it is not called again. */
  watchArrivals(fd: number, callback: () => void): { close(): void };
  /** Ends the waiting thread. Without it the process could not exit. */
  close(): void;
}

/** Opens an epoll and waits on it until it is closed. @throws `EMFILE`, `ENFILE` */
export function openReadiness(onError: (error: unknown) => void): Readiness {
  const epoll = check(cEpollCreate(CLOEXEC), 'epoll_create1');
  const wake = check(cEventfd(0, CLOEXEC | NONBLOCK), 'eventfd');
  const callbacks = new Map<number, () => void>();
  const events = new Uint8Array(EVENT_SIZE * BATCH);
  const view = new DataView(events.buffer);
  let closed = false;

  const control = (operation: number, fd: number, events = EPOLLIN): void => {
    const event = new DataView(new ArrayBuffer(EVENT_SIZE));
    event.setUint32(0, events, true);
    event.setInt32(DATA_OFFSET, fd, true);
    check(cEpollCtl(epoll, operation, fd, new Uint8Array(event.buffer)), 'epoll_ctl');
  };
  const handle = (count: number): void => {
    for (let index = 0; index < count; index++) {
      // A callback may have closed another watch of this batch.
      const callback = callbacks.get(view.getInt32(index * EVENT_SIZE + DATA_OFFSET, true));
      try {
        callback?.();
      } catch (error) {
        onError(error);
      }
    }
  };
  const wait = (): void => {
    cEpollWait.async(epoll, events, BATCH, -1, (_error, count) => {
      if (closed) {
        closeSync(epoll);
        closeSync(wake);
        return;
      }
      handle(count); // -1 is EINTR
      wait();
    });
  };
  const close = (): void => {
    if (closed) return;
    closed = true;
    process.off('exit', close);
    writeSync(wake, new Uint8Array(new BigUint64Array([1n]).buffer));
  };

  control(CTL_ADD, wake);
  // process.exit() joins the threads of the pool, so it would wait for ever.
  process.on('exit', close);
  wait();
  const watch = (fd: number, callback: () => void, events?: number): { close(): void } => {
    control(CTL_ADD, fd, events);
    callbacks.set(fd, callback);
    let open = true;
    return {
      close() {
        if (!open) return;
        open = false;
        callbacks.delete(fd);
        control(CTL_DEL, fd);
      },
    };
  };
  return {
    watchReadable: (fd, callback) => watch(fd, callback),
    watchArrivals: (fd, callback) => watch(fd, callback, EPOLLIN + EPOLLET),
    close,
  };
}
