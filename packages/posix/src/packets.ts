/**
 * Unix sockets that keep packets apart and carry descriptors (SOCK_SEQPACKET, SCM_RIGHTS), which Node's own sockets do
 * not. Nothing here waits: a call that would have to says so.
 */
import { closeSync } from 'node:fs';
import { hasCode } from './errno.ts';
import { addressOf, check, declare } from './native.ts';
import { openUnixSocket, withAddress } from './socket-address.ts';

const cBind = declare('int bind(int fd, const void *address, unsigned int length)');
const cListen = declare('int listen(int fd, int backlog)');
const cConnect = declare('int connect(int fd, const void *address, unsigned int length)');
const cAccept = declare('int accept4(int fd, void *address, void *length, int flags)');
const cSend = declare('long sendmsg(int fd, const void *message, int flags)');
const cReceive = declare('long recvmsg(int fd, void *message, int flags)');

const SOCK_FLAGS = 0o2004000; // CLOEXEC, NONBLOCK
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_NOSIGNAL = 0x4000;
const MSG_TRUNC = 0x20;
const MSG_CMSG_CLOEXEC = 0x40000000;

/** The largest packet, in bytes: what the system takes in one piece without being asked for more. */
export const PACKET_MAX = 131_072;
/** The most descriptors that a packet carries. */
const FDS_MAX = 4;
const HEADER_SIZE = 16; // struct cmsghdr

/** The message of all calls, one after the other. */
let shared: Message | undefined;

/** One packet. */
export interface Packet {
  /** At least one where it is sent. */
  readonly bytes: Buffer;
  /**
   * Descriptors that came with it: the receiver's now, to be closed by it. None is inherited by a program. Those that the
   * receiver had no room for are left out.
   */
  readonly fds: readonly number[];
}

/**
 * Makes a socket at a path, where nothing may be yet, and listens on it.
 * @throws `EADDRINUSE` when the name is taken, `ENAMETOOLONG`, and what else bind(2) reports
 */
export function listenForPackets(path: string): number {
  return opened(path, (fd, address) => {
    check(cBind(fd, address, address.length), 'bind', path);
    check(cListen(fd, 16), 'listen', path);
  });
}

/**
 * Connects to a socket that somebody listens on.
 * @throws `ENOENT`, `ECONNREFUSED` when nobody does, `EAGAIN` when too many wait, `EACCES`
 */
export function connectForPackets(path: string): number {
  return opened(path, (fd, address) => check(cConnect(fd, address, address.length), 'connect', path));
}

/** Takes one that has connected; `undefined`: there is none. @throws `EMFILE`, `ENFILE` */
export function acceptForPackets(fd: number): number | undefined {
  return unlessItWaits(() => check(cAccept(fd, null, null, SOCK_FLAGS), 'accept'));
}

/**
 * Sends a packet with copies of descriptors.
 * @returns false when it would have to wait: nothing was sent
 * @throws `EPIPE`, `ECONNRESET` when the other side is gone, `EMSGSIZE` above {@link PACKET_MAX} or so
 */
export function sendPacket(fd: number, { bytes, fds }: Packet): boolean {
  const message = (shared ??= openMessage());
  if (bytes.length > PACKET_MAX) throw tooLarge();
  bytes.copy(message.bytes);
  const control = fds.length === 0 ? 0 : HEADER_SIZE + 4 * fds.length;
  message.control.writeBigUInt64LE(BigInt(control), 0);
  message.control.writeInt32LE(SOL_SOCKET, 8);
  message.control.writeInt32LE(SCM_RIGHTS, 12);
  for (const [index, each] of fds.entries()) message.control.writeInt32LE(each, HEADER_SIZE + 4 * index);
  message.setSizes({ bytes: bytes.length, control });
  return unlessItWaits(() => check(cSend(fd, message.header, MSG_NOSIGNAL), 'sendmsg')) !== undefined;
}

/**
 * Receives a packet; `undefined`: there is none yet; one without bytes: the other side has closed.
 * @throws `ECONNRESET`, `EMSGSIZE` when it was larger than {@link PACKET_MAX}
 */
export function receivePacket(fd: number): Packet | undefined {
  const message = (shared ??= openMessage());
  const { header, control, bytes } = message;
  message.setSizes({ bytes: PACKET_MAX, control: control.length });
  const length = unlessItWaits(() => check(cReceive(fd, header, MSG_CMSG_CLOEXEC), 'recvmsg'));
  if (length === undefined) return undefined;
  const fds: number[] = [];
  const controlLength = Number(header.readBigUInt64LE(40));
  if (controlLength > HEADER_SIZE) {
    const end = Number(control.readBigUInt64LE(0));
    for (let at = HEADER_SIZE; at + 4 <= end; at += 4) fds.push(control.readInt32LE(at));
  }
  if ((header.readInt32LE(48) & MSG_TRUNC) !== 0) {
    for (const each of fds) closeSync(each);
    throw tooLarge();
  }
  return { bytes: Buffer.from(bytes.subarray(0, length)), fds };
}

/** A struct msghdr, and what it points to. */
interface Message {
  readonly header: Buffer;
  readonly control: Buffer;
  readonly bytes: Buffer;
  setSizes(sizes: { readonly bytes: number; readonly control: number }): void;
}

/**
 * Makes a message, once and in one piece: C follows addresses that the collector of garbage does not see, so what was
 * made for one call alone might be gone, and be something else's, before the call.
 */
function openMessage(): Message {
  const memory = Buffer.alloc(256 + PACKET_MAX);
  const header = memory.subarray(0, 56);
  const vector = memory.subarray(64, 80);
  const control = memory.subarray(96, 96 + HEADER_SIZE + 4 * FDS_MAX);
  const bytes = memory.subarray(256);
  vector.writeBigUInt64LE(addressOf(bytes), 0);
  header.writeBigUInt64LE(addressOf(vector), 16);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(addressOf(control), 32);
  return {
    header,
    control,
    bytes,
    setSizes(sizes) {
      vector.writeBigUInt64LE(BigInt(sizes.bytes), 8);
      header.writeBigUInt64LE(BigInt(sizes.control), 40);
      header.writeInt32LE(0, 48);
    },
  };
}

function tooLarge(): Error {
  return Object.assign(new Error('a packet is too large'), { code: 'EMSGSIZE' });
}

function opened(path: string, use: (fd: number, address: Buffer) => void): number {
  const fd = openUnixSocket('packets');
  try {
    withAddress(path, (address) => use(fd, address));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function unlessItWaits(call: () => number): number | undefined {
  try {
    return call();
  } catch (error) {
    if (hasCode(error, 'EAGAIN')) return undefined;
    throw error;
  }
}
