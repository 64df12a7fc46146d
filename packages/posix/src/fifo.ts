/** FIFOs (named pipes), which Node can open but not make. */
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
