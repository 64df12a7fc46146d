/** FIFOs (named pipes), which Node can open but not make. */
import { chmodSync, lstatSync } from 'node:fs';
import { hasCode } from './errno.ts';
import { check, declare } from './native.ts';

const cMkfifo = declare('int mkfifo(const char *path, unsigned int mode)');

/**
 * Makes a FIFO. The mode is subject to the umask, as everywhere.
 * @throws `EEXIST` when the name is taken, and what else mkfifo(3) reports
 */
export function mkfifo(path: string, mode: number): void {
  check(cMkfifo(path, mode), 'mkfifo', path);
}

/** Makes a FIFO unless that is impossible or something has the name already: opening it will tell. */
export function ensureFifo(path: string, mode: number): void {
  cMkfifo(path, mode);
}

/**
 * Makes a FIFO for this account alone, whatever the umask is, or takes one of its own that is there: an earlier process
 * may have left it, with writers.
 * @throws `EEXIST` when something else has the name, and what else mkfifo(3) reports
 */
export function takeFifo(path: string): void {
  try {
    mkfifo(path, 0o600);
    chmodSync(path, 0o600);
  } catch (error) {
    if (!hasCode(error, 'EEXIST') || !isOwnFifo(path)) throw error;
  }
}

function isOwnFifo(path: string): boolean {
  const stats = lstatSync(path);
  return stats.isFIFO() && stats.uid === process.geteuid?.();
}
