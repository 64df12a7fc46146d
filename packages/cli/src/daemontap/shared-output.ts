/**
 * What plugins write by themselves, with `console` or `process.stdout`. Services share these open files, and Node would
 * make them non-blocking: what a service writes to a reader that is slow would fail with EAGAIN.
 */
import { Writable } from 'node:stream';
import { isatty } from 'node:tty';
import { openLineOutput } from '@daemontap/posix';
import type { LineOutput } from '@daemontap/posix';

/** Leaves the files as they are from now on; `console` follows. To be called before a plugin is loaded. */
export function shareOutput(): void {
  Object.defineProperties(process, {
    stdout: { value: streamTo(1), configurable: true, enumerable: true },
    stderr: { value: streamTo(2), configurable: true, enumerable: true },
  });
}

function streamTo(fd: number): Writable {
  let output: LineOutput | undefined;
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      output ??= openLineOutput(fd, { dropped: (count) => `daemontap: warning: ${count} messages were lost\n` });
      output.write(chunk);
      done();
    },
  });
  return Object.assign(stream, { fd, isTTY: isatty(fd) });
}
