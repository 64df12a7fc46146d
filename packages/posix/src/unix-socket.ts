/**
 * Unix sockets, as far as Node does not go: one whose mode is right from its first instant, whose name is not removed
 * behind its owner's back, and paths of any length.
 */
import { closeSync, constants, fchmodSync, openSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { systemError } from './errno.ts';
import { check, declare, lastErrno } from './native.ts';

const cSocket = declare('int socket(int domain, int type, int protocol)');
const cBind = declare('int bind(int fd, const void *address, unsigned int size)');
const cListen = declare('int listen(int fd, int backlog)');
const cConnect = declare('int connect(int fd, const void *address, unsigned int size)');

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;
const PATH_OFFSET = 2; // of sun_path in struct sockaddr_un
/** Of a path in an address, without the zero byte behind it. */
const LONGEST_PATH = 107;
const BACKLOG = 128;
const [ENOENT, EAGAIN, ECONNREFUSED, ENAMETOOLONG] = [2, 11, 111, 36];

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

/**
 * A socket that listens at a path where nothing is yet; its file has at most this mode from its first instant.
 * @throws `EADDRINUSE` when something is there, and what else bind(2) reports
 */
export function listenAt(path: string, mode: number): number {
  const fd = check(cSocket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), 'socket');
  try {
    fchmodSync(fd, mode); // of which bind(2) makes the file's
    withAddress(path, (address) => check(cBind(fd, address, address.length), 'bind', path));
    check(cListen(fd, BACKLOG), 'listen', path);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Whether somebody listens at the path of a socket. Whoever does meets a connection that is closed at once.
 * @throws what else connect(2) reports, `EACCES` say
 */
export function isListening(path: string): boolean {
  const fd = check(cSocket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), 'socket');
  try {
    const result = withAddress(path, (address) => cConnect(fd, address, address.length));
    if (result === 0) return true;
    const errno = lastErrno();
    if (errno === EAGAIN) return true; // so many wait that there is no room for more
    if (errno === ECONNREFUSED || errno === ENOENT) return false;
    throw systemError(errno, 'connect', path);
  } finally {
    closeSync(fd);
  }
}

function withAddress<T>(path: string, body: (address: Buffer) => T): T {
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
