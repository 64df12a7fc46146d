/**
 * Lines to a descriptor that others share, without ever waiting for its reader: a bounded queue, and a count of what
 * did not fit. Must never change the flags of the shared open file: the next program would fail with EAGAIN.
 */
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { hasCode, systemError } from './errno.ts';
import { check, declare } from './native.ts';

const cSend = declare('int64_t send(int socket, void *bytes, size_t length, int flags)');
const cPoll = declare('int poll(void *requests, unsigned long count, int timeout)');
const POLLOUT = 4;
const EAGAIN = 11;
const PIPE_BUF = 4096;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const QUEUE_BYTES = 64 * 1024;
const RETRY_MS = 200;

/** Where lines go. */
export interface LineOutput {
  /** Queues one line, newline included, and writes what can be written at once. Never throws, never waits. */
  write(line: string | Uint8Array): void;
  /** Writes what can be written at once and lets go. */
  close(): void;
}

/** Options of a line output. */
export interface LineOutputOptions {
  /** The line that tells how many lines were dropped; written before the next one that fits. */
  readonly dropped: (count: number) => string;
}

/** Opens a line output on a descriptor, which stays the caller's. */
export function openLineOutput(fd: number, { dropped }: LineOutputOptions): LineOutput {
  const sink = openSink(fd);
  const queue: Queued[] = [];
  let queuedBytes = 0;
  let lost = 0;
  let retry: NodeJS.Timeout | undefined;
  let isOpen = true;

  const flush = (): void => {
    clearTimeout(retry);
    retry = undefined;
    for (let next = queue[0]; next !== undefined; next = queue[0]) {
      let written: number;
      try {
        written = sink.write(next.bytes);
      } catch (error) {
        if (isPassing(error)) {
          retry = setTimeout(flush, RETRY_MS);
          retry.unref();
          return;
        }
        // The reader is gone or the disk is full: these lines will not be wanted later.
        for (const { lines } of queue) lost += lines;
        queue.length = 0;
        queuedBytes = 0;
        return;
      }
      queuedBytes -= written;
      if (written < next.bytes.length) queue[0] = { ...next, bytes: next.bytes.subarray(written) };
      else queue.shift();
    }
  };
  const enqueue = (...all: readonly Queued[]): boolean => {
    const bytes = all.reduce((sum, each) => sum + each.bytes.length, 0);
    if (queuedBytes + bytes > QUEUE_BYTES) return false;
    queue.push(...all);
    queuedBytes += bytes;
    return true;
  };

  return {
    write(text) {
      if (!isOpen) return;
      if (retry !== undefined && queuedBytes > QUEUE_BYTES / 2) flush();
      const line = { bytes: Buffer.from(text), lines: 1 };
      // Only together with a line that fits: else a queue that is full would fill with these.
      const notice = lost === 0 ? [] : [{ bytes: Buffer.from(dropped(lost)), lines: lost }];
      if (enqueue(...notice, line)) lost = 0;
      else lost++;
      flush();
    },
    close() {
      if (!isOpen) return;
      flush();
      isOpen = false;
      clearTimeout(retry);
      sink.close();
    },
  };
}

/** What waits to be written. */
interface Queued {
  readonly bytes: Uint8Array;
  /** How many lines are lost with it: a notice stands for those that it tells of. */
  readonly lines: number;
}

interface Sink {
  /** @throws `EAGAIN` when the reader is slow, others when it is gone */
  write(bytes: Uint8Array): number;
  close(): void;
}

/** Finds the way of writing to a descriptor that cannot block, for the kind of file it is. */
function openSink(fd: number): Sink {
  const stat = fstatSync(fd);
  if (stat.isSocket()) {
    return {
      write: (bytes) => check(cSend(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL), 'send'),
      close() {},
    };
  }
  // A regular file does not block, and opened again it would have a position of its own.
  if (stat.isFile()) return { write: (bytes) => writeSync(fd, bytes), close() {} };
  let own: number | undefined;
  return {
    write(bytes) {
      try {
        // A pipe whose reader is gone cannot be opened (ENXIO); a named one may get another reader later.
        own ??= openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
      } catch (error) {
        if (!hasCode(error, 'EACCES')) throw error;
        return writeWhenReady(fd, bytes); // somebody else's terminal or pipe, as after su
      }
      return writeSync(own, bytes);
    },
    close() {
      if (own !== undefined) closeSync(own);
    },
  };
}

/** As much as a pipe takes at once when it takes anything. @throws `EAGAIN` when it takes nothing */
function writeWhenReady(fd: number, bytes: Uint8Array): number {
  const request = new Int32Array([fd, POLLOUT]);
  if (check(cPoll(request, 1, 0), 'poll') === 0) throw systemError(EAGAIN, 'poll');
  return writeSync(fd, bytes.subarray(0, PIPE_BUF));
}

function isPassing(error: unknown): boolean {
  return hasCode(error, 'EAGAIN') || hasCode(error, 'EINTR');
}
