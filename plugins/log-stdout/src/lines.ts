/** Lines with a prefix, put together so that no piece that is written ends within a line. */
import { styleText } from 'node:util';

/** What a pipe takes in one piece, with nobody else's bytes in it: PIPE_BUF. */
const PIECE_SIZE = 4096;
const NEWLINE = 0x0a;
const COLORS = ['cyan', 'yellow', 'green', 'magenta', 'blue', 'red'] as const;

/** What stands before each line. */
export interface LinePrefix {
  readonly label: string;
  readonly isColored: boolean;
}

/**
 * Makes what is to be written of a block: pieces of whole lines, each to be written at once. The end of a block ends a
 * line: what follows of a line that is too long has a prefix of its own.
 */
export function showLines(prefix: LinePrefix | undefined): (block: Buffer) => readonly Buffer[] {
  const head = Buffer.from(prefix === undefined ? '' : headOf(prefix));
  return (block) => {
    const pieces: Buffer[] = [];
    let parts: Buffer[] = [];
    let size = 0;
    const finish = (): void => {
      if (size > 0) pieces.push(Buffer.concat(parts, size));
      parts = [];
      size = 0;
    };
    for (let at = 0; at < block.length;) {
      const newline = block.indexOf(NEWLINE, at);
      const end = newline === -1 ? block.length : newline;
      const lineSize = head.length + end - at + 1;
      if (size + lineSize > PIECE_SIZE) finish();
      parts.push(head, block.subarray(at, end), NEWLINE_BYTES);
      size += lineSize;
      at = end + 1;
    }
    finish();
    return pieces;
  };
}

const NEWLINE_BYTES = Buffer.of(NEWLINE);

function headOf({ label, isColored }: LinePrefix): string {
  if (!isColored) return `${label}: `;
  let hash = 0;
  for (const byte of Buffer.from(label)) hash = (hash * 31 + byte) >>> 0;
  // Whether there is a terminal was looked at before.
  return `${styleText(COLORS[hash % COLORS.length] ?? 'cyan', `${label}:`, { validateStream: false })} `;
}
