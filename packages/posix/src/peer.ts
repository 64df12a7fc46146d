/** Who is at the other end of a unix socket: what the system has noted when it connected. */
import { errnoOf } from './errno.ts';
import { check, declare } from './native.ts';

const cGetsockopt = declare('int getsockopt(int fd, int level, int option, void *value, void *size)');
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_PEERGROUPS = 59;
const ERANGE = 34;
const ID_SIZE = 4;

/** The process that has connected; its numbers are of that moment. */
export interface Peer {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Who has connected. @throws `EBADF`, `ENOTSOCK` */
export function peerOf(fd: number): Peer {
  const ids = option(fd, { name: SO_PEERCRED, count: 3 });
  const [pid = -1, uid = -1, gid = -1] = ids;
  return { pid: pid | 0, uid, gid };
}

/** The groups that the peer is in besides its `gid`. @throws `EBADF`, `ENOTSOCK` */
export function peerGroups(fd: number): readonly number[] {
  for (let count = 32; ; count *= 8) {
    try {
      return [...option(fd, { name: SO_PEERGROUPS, count })];
    } catch (error) {
      if (errnoOf(error) !== ERANGE) throw error;
    }
  }
}

function option(fd: number, { name, count }: { readonly name: number; readonly count: number }): Uint32Array {
  const value = new Uint32Array(count);
  const size = new Uint32Array([count * ID_SIZE]);
  check(cGetsockopt(fd, SOL_SOCKET, name, value, size), 'getsockopt');
  return value.subarray(0, (size[0] ?? 0) / ID_SIZE);
}
