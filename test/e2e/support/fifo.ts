/** FIFOs with or without a reader: what the clients of a supervise meet. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  renameSync,
  rmdirSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A FIFO that the test itself has open for reading, and for writing so that it never ends. */
export interface HeldFifo extends Disposable {
  /** Takes out what is in it now, at most so many bytes. */
  read(size?: number): string;
  /** Fills it with dots, up to the last byte, and returns how many it took. */
  fill(): number;
}

/** Makes a FIFO, and the directories above it. */
export function makeFifo(path: string | Buffer): void {
  const bytes = Buffer.from(path);
  mkdirSync(bytes.subarray(0, bytes.lastIndexOf('/')), { recursive: true });
  // Made elsewhere and moved: an argument of mkfifo must be UTF-8.
  const workshop = mkdtempSync(join(tmpdir(), 'daemontap-fifo-'));
  execFileSync('mkfifo', [join(workshop, 'fifo')]);
  renameSync(join(workshop, 'fifo'), bytes);
  rmdirSync(workshop);
}

/** Makes a FIFO and holds it, as a supervise does. */
export function heldFifo(path: string | Buffer): HeldFifo {
  makeFifo(path);
  let fd: number | undefined = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const held = (): number => {
    if (fd === undefined) throw new Error('the FIFO was let go');
    return fd;
  };
  return {
    read(size = 65_536) {
      const bytes = Buffer.alloc(size);
      return bytes.toString(
        'latin1',
        0,
        orEmpty(() => readSync(held(), bytes)),
      );
    },
    fill() {
      let filled = 0;
      for (const size of [4096, 1]) {
        const dots = Buffer.alloc(size, '.');
        for (let taken = -1; taken !== 0; filled += taken) taken = orEmpty(() => writeSync(held(), dots));
      }
      return filled;
    },
    [Symbol.dispose]() {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}

/** What an attempt moved; 0 when it would have to wait. */
function orEmpty(attempt: () => number): number {
  try {
    return attempt();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return 0;
    throw error;
  }
}
