/** A pipe into a program's standard input, whose other end the test holds: what it writes comes when it likes. */
import { closeSync, constants, openSync, rmSync, writeSync } from 'node:fs';
import { makeFifo } from './fifo.ts';
import type { TemporaryDirectory } from './temporary-directory.ts';

/** The two ends of such a pipe. */
export interface SlowPipe extends Disposable {
  /** For the program. */
  readonly reader: number;
  write(bytes: string | Uint8Array): void;
  /** The end of the input, once nobody but the program has the pipe. */
  end(): void;
}

/** Makes a pipe. */
export function slowPipe(here: TemporaryDirectory): SlowPipe {
  const path = here.join('slow-pipe');
  makeFifo(path);
  // Opened for reading alone it would wait for a writer.
  const both = openSync(path, constants.O_RDWR);
  const reader = openSync(path, constants.O_RDONLY);
  const writer = openSync(path, constants.O_WRONLY);
  closeSync(both);
  rmSync(path);
  const open = new Set([reader, writer]);
  const close = (fd: number): void => {
    if (open.delete(fd)) closeSync(fd);
  };
  return {
    reader,
    write(bytes) {
      writeSync(writer, Buffer.from(bytes));
    },
    end() {
      close(writer);
    },
    [Symbol.dispose]() {
      close(writer);
      close(reader);
    },
  };
}
