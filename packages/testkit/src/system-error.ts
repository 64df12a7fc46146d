/** Errors as the system's own, for what a fake refuses. */
import { constants } from 'node:os';

/** An error with `code`, `errno` (negative) and `syscall`, as Node throws it. */
export function systemError(code: keyof typeof constants.errno, syscall: string): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(`${code}: simulated, ${syscall}`);
  error.code = code;
  error.errno = -constants.errno[code];
  error.syscall = syscall;
  return error;
}

/** A code of {@link systemError}: `ENOENT`, `EAGAIN` and so on. */
export type SystemErrorCode = keyof typeof constants.errno;
