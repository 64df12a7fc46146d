/** Unix sockets before they are connected to anything, and their addresses, for paths of any length. */
import { closeSync, constants, openSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { systemError } from './errno.ts';
import { check, declare } from './native.ts';

const cSocket = declare('int socket(int domain, int type, int protocol)');

const AF_UNIX = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOCKET_TYPES = { stream: 1, packets: 5 } as const;
const O_PATH = 0o10000000;
const PATH_OFFSET = 2; // of sun_path in struct sockaddr_un
/** Of a path in an address, without the zero byte behind it. */
const LONGEST_PATH = 107;
const ENAMETOOLONG = 36;

/** A unix socket that does not wait and that no program inherits. @throws `EMFILE`, `ENFILE` */
export function openUnixSocket(type: keyof typeof SOCKET_TYPES): number {
  return check(cSocket(AF_UNIX, SOCKET_TYPES[type] | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), 'socket');
}

/** A path for the address of a unix socket, until it is closed: bind and connect by then. */
export interface SocketPath {
  /** Has at most 107 bytes. */
  readonly path: string;
  /** Lets go of what the path leads through. The second time it does nothing. */
  close(): void;
}

/**
 * A path that fits into the address of a unix socket, which has room for 107 bytes: the same one, or one that leads
 * through a descriptor of the directory.
 * @throws `ENAMETOOLONG` where the name itself does not fit, and what opening the directory reports
 */
export function shortSocketPath(path: string): SocketPath {
  if (Buffer.byteLength(path) <= LONGEST_PATH) return { path, close() {} };
  const fd = openSync(dirname(path), O_PATH | constants.O_DIRECTORY);
  const short = `/proc/self/fd/${fd}/${basename(path)}`;
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  if (Buffer.byteLength(short) <= LONGEST_PATH) return { path: short, close };
  close();
  throw systemError(ENAMETOOLONG, 'bind', path);
}

/** Does something with the address of a path: a struct sockaddr_un. @throws as {@link shortSocketPath} */
export function withAddress<T>(path: string, body: (address: Buffer) => T): T {
  const short = shortSocketPath(path);
  try {
    const bytes = Buffer.from(short.path);
    const address = Buffer.alloc(PATH_OFFSET + bytes.length + 1);
    address.writeUInt16LE(AF_UNIX);
    bytes.copy(address, PATH_OFFSET);
    return body(address);
  } finally {
    short.close();
  }
}
