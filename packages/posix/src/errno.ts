/** Builds the errors that Node itself would throw for a failed system call. */
import { getSystemErrorMap } from 'node:util';

const EIO = 5;

/** Asked for once: each time it is another copy. */
let systemErrors: ReturnType<typeof getSystemErrorMap> | undefined;

/**
 * An error as Node's own: `code` (`ENOENT`), `errno` (negative), `syscall`, `path` and a message made of them.
 * @param errno the positive number that C reports
 */
export function systemError(errno: number, syscall: string, path?: string): NodeJS.ErrnoException {
  systemErrors ??= getSystemErrorMap();
  const [code, description] = systemErrors.get(-errno) ?? [`E${errno}`, 'unknown error'];
  const error: NodeJS.ErrnoException = new Error(
    `${code}: ${description}, ${syscall}${path === undefined ? '' : ` '${path}'`}`,
  );
  error.errno = -errno;
  error.code = code;
  error.syscall = syscall;
  if (path !== undefined) error.path = path;
  return error;
}

/** True for the system's error of that code. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** The positive number of the system's error; EIO's for an error of another kind. */
export function errnoOf(error: unknown): number {
  return error instanceof Error && 'errno' in error && typeof error.errno === 'number' ? Math.abs(error.errno) : EIO;
}
