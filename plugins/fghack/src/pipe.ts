/**
 * The pipe of one service: a named FIFO that the service's processes hold for reading and nobody writes to. Whether
 * one of them lives it tells to whoever opens it for writing, a later kernel too; the kernel itself holds neither end.
 */
import { chmodSync, closeSync, constants, fstatSync, openSync, rmSync } from 'node:fs';
import { systemCode } from '@daemontap/kernel';
import type { Closeable } from '@daemontap/kernel';
import { identityOf, mkfifo } from '@daemontap/posix';

const { O_RDONLY, O_WRONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
/** Neither reads nor writes, and counts for nobody. Through it the FIFO is found when its name is gone. */
const O_PATH = 0o10000000;

/** The pipe of one service. Closing it leaves the FIFO, if somebody has it, to whoever looks for it later. */
export interface ServicePipe extends Closeable {
  /** `DEV-INO`. */
  readonly file: string;
  /** True while a start is prepared: {@link ServicePipe.input} is open. */
  readonly isPrepared: boolean;
  /** A descriptor for the next start, the same until {@link ServicePipe.letGo}. */
  input(): number;
  /** The start is over: processes of the service have the pipe now, or none has. */
  letGo(): void;
  /** True while a process has it. @throws the system's error, when that cannot be told */
  isHeld(): boolean;
  /** Removes the FIFO, and closes this. */
  remove(): void;
}

/** The pipe that is there; `undefined`: none of ours is. @throws the system's error, when that cannot be told */
export function findPipe(path: string): ServicePipe | undefined {
  let fd: number;
  try {
    fd = openSync(path, O_PATH | O_NOFOLLOW);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const stats = fstatSync(fd, { bigint: true });
  if (stats.isFIFO() && stats.uid === BigInt(process.geteuid?.() ?? -1)) return openPipe(path, fd, identityOf(stats));
  closeSync(fd);
  return undefined;
}

/** A pipe that nobody has: what was there under this name is no longer. @throws the system's error */
export function makePipe(path: string): ServicePipe {
  rmSync(path, { force: true });
  mkfifo(path, 0o600);
  chmodSync(path, 0o600); // whatever the umask is
  const pipe = findPipe(path);
  if (pipe === undefined) throw new Error(`${path} is no FIFO`);
  return pipe;
}

function openPipe(path: string, fd: number, file: string): ServicePipe {
  const self = `/proc/self/fd/${fd}`;
  let input: number | undefined;
  let isOpen = true;
  const letGo = (): void => {
    if (input !== undefined) closeSync(input);
    input = undefined;
  };
  const close = (): void => {
    letGo();
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  return {
    file,
    get isPrepared() {
      return input !== undefined;
    },
    letGo,
    close,
    input: () => (input ??= openSync(self, O_RDONLY | O_NONBLOCK)),
    isHeld() {
      letGo();
      try {
        closeSync(openSync(self, O_WRONLY | O_NONBLOCK));
        return true;
      } catch (error) {
        if (systemCode(error) === 'ENXIO') return false;
        throw error;
      }
    },
    remove() {
      if (isOpen) rmSync(path, { force: true });
      close();
    },
  };
}
