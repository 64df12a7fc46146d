/** Unix sockets and who connects to them. */
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from 'vitest';
import { peerGroups, peerOf } from './peer.ts';
import type { Peer } from './peer.ts';
import { shortSocketPath } from './socket-address.ts';
import { isListening, listenAt } from './unix-socket.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'daemontap-posix-'));
  chmodSync(dir, 0o755);
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});
const refused = (code: string): unknown => expect.objectContaining({ code });
const descriptors = (): number => readdirSync('/proc/self/fd').length;
/** A directory whose name has 200 bytes. */
const deep = (): string => {
  const path = join(dir, 'x'.repeat(100), 'y'.repeat(100));
  mkdirSync(path, { recursive: true });
  return path;
};

describe('a socket that listens', () => {
  test('has its mode, less the umask, and no program inherits it', () => {
    const umask = process.umask(0o022);
    const fds = [0o666, 0o600].map((mode) => listenAt(join(dir, String(mode)), mode));
    process.umask(umask);
    expect([0o666, 0o600].map((mode) => statSync(join(dir, String(mode))).mode & 0o777)).toEqual([0o644, 0o600]);
    for (const fd of fds) {
      expect(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')).toMatch(/^flags:\t02004002$/m); // O_CLOEXEC, O_NONBLOCK
      closeSync(fd);
    }
  });
  test('is refused where something is, which stays, and no descriptor is lost', () => {
    writeFileSync(join(dir, 'file'), '');
    const before = descriptors();
    expect(() => listenAt(join(dir, 'file'), 0o600)).toThrow(refused('EADDRINUSE'));
    expect(() => listenAt(join(dir, 'no/socket'), 0o600)).toThrow(refused('ENOENT'));
    expect(() => listenAt(join(dir, 'n'.repeat(200)), 0o600)).toThrow(refused('ENAMETOOLONG'));
    expect([descriptors(), existsSync(join(dir, 'file'))]).toEqual([before, true]);
  });
  test('is found to listen until it is closed; its file stays', () => {
    const path = join(dir, 'socket');
    expect(isListening(path)).toBe(false);
    const fd = listenAt(path, 0o600);
    expect(isListening(path)).toBe(true);
    closeSync(fd);
    expect([isListening(path), statSync(path).isSocket()]).toEqual([false, true]);
  });
  test('is found to listen also when nobody is taken any more', () => {
    const path = join(dir, 'socket');
    const fd = listenAt(path, 0o600);
    for (let count = 0; count < 200; count++) expect(isListening(path)).toBe(true);
    closeSync(fd);
  });
});

describe('a path that is too long for an address', () => {
  test('leads through the directory, and one that is not stays as it is', () => {
    const long = join(deep(), 'socket');
    const before = descriptors();
    const short = shortSocketPath(long);
    expect(short.path).toMatch(/^\/proc\/self\/fd\/\d+\/socket$/);
    short.close();
    short.close();
    expect(descriptors()).toBe(before);
    const same = shortSocketPath('/run/socket');
    same.close();
    expect(same.path).toBe('/run/socket');
  });
  test('can be listened and connected at', () => {
    const long = join(deep(), 'socket');
    const fd = listenAt(long, 0o600);
    expect([isListening(long), statSync(long).isSocket()]).toEqual([true, true]);
    closeSync(fd);
  });
});

describe('the peer', () => {
  let server: Server;
  let client: Socket;
  afterEach(() => {
    client.destroy();
    server.close();
  });
  const accepted = async (path: string): Promise<number> => {
    server = createServer().listen(path);
    client = connect(path);
    const [socket] = (await once(server, 'connection')) as [Socket & { _handle: { fd: number } }];
    return socket._handle.fd;
  };

  test('is this process where it has connected to itself, with its groups', async () => {
    const fd = await accepted(join(dir, 'socket'));
    expect(peerOf(fd)).toEqual({ pid: process.pid, uid: process.geteuid?.(), gid: process.getegid?.() });
    // Node adds its own group to those of the process.
    const others = (gids: readonly number[]): readonly number[] => gids.filter((gid) => gid !== process.getegid?.());
    expect(others(peerGroups(fd))).toEqual(others(process.getgroups?.() ?? []));
  });

  test('is another one with as many groups as it has', async (context) => {
    const groups = Array.from({ length: 300 }, (_, index) => index + 5000);
    const words = ['--reuid=65534', '--regid=65534', `--groups=${groups.join(',')}`, process.execPath];
    if (process.geteuid?.() !== 0 || spawnSync('setpriv', [...words, '-e', '']).status !== 0) {
      context.skip('it needs root, setpriv, and a node that others may run');
    }
    const path = join(dir, 'socket');
    server = createServer().listen(path);
    await once(server, 'listening');
    chmodSync(path, 0o666);
    const other = spawn('setpriv', [...words, '-e', `require('net').connect(${JSON.stringify(path)})`]);
    const [socket] = (await once(server, 'connection')) as [Socket & { _handle: { fd: number } }];
    client = socket;
    const { pid, uid, gid } = peerOf(socket._handle.fd);
    expect([pid, uid, gid]).toEqual([other.pid, 65534, 65534]);
    expect(peerGroups(socket._handle.fd)).toEqual(groups);
    other.kill();
    await once(other, 'exit');
  });
});

test('what is no socket has no peer', () => {
  expect(() => peerOf(1_000_000)).toThrow(refused('EBADF'));
  expect(() => peerGroups(1_000_000)).toThrow(refused('EBADF'));
});

test('the types: paths are strings, a peer is numbers', () => {
  expectTypeOf(listenAt).toEqualTypeOf<(path: string, mode: number) => number>();
  expectTypeOf<Peer>().toEqualTypeOf<{ readonly pid: number; readonly uid: number; readonly gid: number }>();
  // @ts-expect-error: a mode is a number
  const wrong = (): unknown => listenAt('/socket', '0600');
  expect(wrong).toBeTypeOf('function');
});
