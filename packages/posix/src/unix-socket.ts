/**
 * Unix sockets, as far as Node does not go: one whose mode is right from its first instant, whose name is not removed
 * behind its owner's back, and paths of any length.
 */
import { closeSync, fchmodSync } from 'node:fs';
import { systemError } from './errno.ts';
import { check, declare, lastErrno } from './native.ts';
import { openUnixSocket, withAddress } from './socket-address.ts';

const cBind = declare('int bind(int fd, const void *address, unsigned int size)');
const cListen = declare('int listen(int fd, int backlog)');
const cConnect = declare('int connect(int fd, const void *address, unsigned int size)');

const BACKLOG = 128;
const [ENOENT, EAGAIN, ECONNREFUSED] = [2, 11, 111];

/**
 * A socket that listens at a path where nothing is yet; its file has at most this mode from its first instant.
 * @throws `EADDRINUSE` when something is there, and what else bind(2) reports
 */
export function listenAt(path: string, mode: number): number {
  const fd = openUnixSocket('stream');
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
  const fd = openUnixSocket('stream');
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
