/**
 * Standard input, block by block, each answered before the next is read: what is in a filter is never kept waiting.
 * Must never touch process.stdin or process.stdout: Node would change flags of files that others share.
 */
import { readSync, writeSync } from 'node:fs';
import { hasCode, waitUntil } from '@daemontap/posix';

const BLOCK_SIZE = 65_536; // what a pipe holds

/** Hands over each block, for as long as the call lasts. Returns the exit code: silence, whatever was wrong. */
export function eachBlock(take: (block: Buffer) => void): number {
  const buffer = Buffer.allocUnsafeSlow(BLOCK_SIZE);
  try {
    for (let size = readSome(buffer); size > 0; size = readSome(buffer)) take(buffer.subarray(0, size));
    return 0;
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    return 111;
  }
}

/** Passes standard input on to standard output through `convert`. Returns the exit code. */
export function filter(convert: (block: Buffer) => Buffer): number {
  return eachBlock((block) => writeOut(convert(block)));
}

function readSome(buffer: Buffer): number {
  return retried('readable', 0, () => readSync(0, buffer));
}

function writeOut(bytes: Buffer): void {
  for (let written = 0; written < bytes.length;) {
    written += retried('writable', 1, () => writeSync(1, bytes, written));
  }
}

/** Again after a signal; and where the caller made the descriptor non-blocking, when there is something to be had. */
function retried(state: 'readable' | 'writable', fd: number, attempt: () => number): number {
  for (;;) {
    try {
      return attempt();
    } catch (error) {
      if (hasCode(error, 'EAGAIN')) waitUntil(state, fd);
      else if (!hasCode(error, 'EINTR')) throw error;
    }
  }
}
