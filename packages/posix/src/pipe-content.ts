/**
 * What is in a pipe, looked at before it is taken out: whoever does so and is killed in between has lost nothing, as the
 * next one finds it there still. Nothing here waits.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { openPipe } from './descriptors.ts';
import { isReady } from './wait.ts';
import { check, checkReady, declare } from './native.ts';

const cTee = declare('long tee(int from, int to, size_t length, unsigned int flags)');
const cSplice = declare(
  'long splice(int from, void *fromOffset, int to, void *toOffset, size_t length, unsigned int flags)',
);
const cFcntl = declare('int fcntl(int fd, int command, int argument)');

const SPLICE_F_NONBLOCK = 2;
const F_SETPIPE_SZ = 1031;
const F_GETPIPE_SZ = 1032;
const SCRATCH_SIZE = 1_048_576;

/**
 * Makes room in a pipe, as far as the system allows it, and returns how many bytes it has now. Who is not root has a
 * share of it for all pipes together.
 */
export function growPipe(fd: number, size: number): number {
  cFcntl(fd, F_SETPIPE_SZ, size);
  return pipeSize(fd);
}

/** How many bytes a pipe has room for, where they fill its pages. @throws `EBADF` */
export function pipeSize(fd: number): number {
  return check(cFcntl(fd, F_GETPIPE_SZ, 0), 'fcntl');
}

/** Looks into pipes. */
export interface PipeReader {
  /**
   * Copies what is in a pipe, as much as fits; it stays there.
   * @returns how many bytes; 0: there is nothing, and nobody who could write; `undefined`: nothing yet
   * @throws the system's error when it is no pipe
   */
  peek(fd: number, into: Buffer): number | undefined;
  /**
   * True when a writer has to wait, however few bytes are there: each piece of them may have a page for itself.
   * @throws the system's error when it is no pipe
   */
  isFull(fd: number): boolean;
  /** Takes so many bytes out of a pipe, or as many as somebody else has left there. @throws the system's error */
  discard(fd: number, length: number): void;
  /** Closes what it has open. To be called once. */
  close(): void;
}

/** Opens a reader of pipes: one is enough for any number of them. @throws `EMFILE`, `ENFILE` */
export function openPipeReader(): PipeReader {
  const scratch = openPipe();
  growPipe(scratch.readFd, SCRATCH_SIZE);
  const nowhere = openSync('/dev/null', 'w');
  /** As many pages as the pipe itself: it is full with the same content. By their sizes. */
  const copies = new Map<number, ReturnType<typeof openPipe>>();
  const copyOf = (size: number): ReturnType<typeof openPipe> => {
    const known = copies.get(size);
    if (known !== undefined) return known;
    const made = openPipe();
    growPipe(made.writeFd, size);
    copies.set(size, made);
    return made;
  };
  const discard = (fd: number, length: number): void => {
    for (let left = length; left > 0;) {
      const taken = spliced(fd, nowhere, left);
      if (taken === 0) return; // somebody else has taken it
      left -= taken;
    }
  };
  return {
    peek(fd, into) {
      const copied = checkReady(cTee(fd, scratch.writeFd, into.length, SPLICE_F_NONBLOCK), 'tee');
      if (copied === undefined) return undefined;
      for (let at = 0; at < copied;) at += readSync(scratch.readFd, into, at, copied - at, null);
      return copied;
    },
    isFull(fd) {
      const size = pipeSize(fd);
      const copy = copyOf(size);
      const copied = checkReady(cTee(fd, copy.writeFd, size, SPLICE_F_NONBLOCK), 'tee');
      if (copied === undefined) return false;
      const isFull = !isReady('writable', copy.writeFd);
      discard(copy.readFd, copied);
      return isFull;
    },
    discard,
    close() {
      const pipes = [scratch, ...copies.values()];
      for (const fd of [...pipes.flatMap(({ readFd, writeFd }) => [readFd, writeFd]), nowhere]) closeSync(fd);
    },
  };
}

/** How many bytes went from a pipe to a file; 0: there are none. */
function spliced(from: number, to: number, length: number): number {
  return checkReady(cSplice(from, null, to, null, length, SPLICE_F_NONBLOCK), 'splice') ?? 0;
}
