/** tai64n: puts a TAI64N label in front of each line. */
import { formatTai64n, toStampNs } from '@daemontap/formats';
import { setProcessName, wallClockNs } from '@daemontap/posix';
import { filter } from './blocks.ts';

const NEWLINE = 0x0a;

/** Exit code 0 at the end of the input, 111 when it cannot be read or the output not be written. */
export function tai64n(words: readonly Buffer[]): number {
  setProcessName({ name: 'tai64n', words });
  return filter(labelLines(() => formatTai64n(toStampNs(wallClockNs()))));
}

/**
 * A function that labels the lines of one block after the other. The lines of a block were there at one moment, and
 * get one label: asking the clock for each would say when they were copied.
 */
export function labelLines(labelNow: () => string): (block: Buffer) => Buffer {
  let isLineStart = true;
  return (block) => {
    const label = `${labelNow()} `;
    const last = block.length - 1; // a newline there ends a line, but nothing of the next one has come
    // One character for each byte; three times as fast as copying the lines one by one.
    const lines = block.toString('latin1', 0, last).replaceAll(/\n/g, `\n${label}`);
    const first = isLineStart ? label : '';
    isLineStart = block[last] === NEWLINE;
    return Buffer.from(first + lines + block.toString('latin1', last), 'latin1');
  };
}
