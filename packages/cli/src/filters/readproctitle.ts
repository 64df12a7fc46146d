/** readproctitle: shows the end of what it reads in its own command line, where ps finds it. */
import { openCommandLine, setProcessName } from '@daemontap/posix';
import { eachBlock } from './blocks.ts';

const WRONG_USE = 100;
const DOT = 0x2e;
const DOTS_KEPT = 3;
const LENGTH_MIN = 5;

/** Exit code 0 at the end of the input, 111 when it cannot be read, 100 when the arguments leave no room. Never a word. */
export function readproctitle(words: readonly Buffer[]): number {
  const length = words.at(-1)?.length ?? 0;
  if (length < LENGTH_MIN) return WRONG_USE;
  const name = 'readproctitle';
  setProcessName({ name, words: [] });
  const { bytes, update } = openCommandLine([Buffer.from(name), ...words]);
  const bar = bytes.subarray(-1 - length, -1);
  bar.fill(DOT);
  update();
  return eachBlock((block) => {
    append(bar, block);
    update();
  });
}

/** Moves the bar on by what has come. NULs would end it for ps; the first dots say that there was more. */
export function append(bar: Buffer, block: Buffer): void {
  const text = block.includes(0) ? block.filter((byte) => byte !== 0) : block;
  const end = text.subarray(-(bar.length - DOTS_KEPT));
  bar.copyWithin(DOTS_KEPT, DOTS_KEPT + end.length);
  bar.set(end, bar.length - end.length);
}
