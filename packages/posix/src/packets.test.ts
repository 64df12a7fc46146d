/** Packets and descriptors through real sockets. */
import { closeSync, mkdtempDisposableSync, openSync, readSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, expectTypeOf, test } from 'vitest';
import {
  acceptForPackets,
  connectForPackets,
  listenForPackets,
  PACKET_MAX,
  receivePacket,
  sendPacket,
} from './index.ts';
import type { Packet } from './index.ts';

let dir: ReturnType<typeof mkdtempDisposableSync>;
let fds: number[];
let path: string;
beforeEach(() => {
  dir = mkdtempDisposableSync(join(tmpdir(), 'packets-'));
  path = join(dir.path, 'socket');
  fds = [];
});
afterEach(() => {
  for (const fd of fds) closeSync(fd);
  dir.remove();
});
const keep = (fd: number | undefined): number => {
  if (fd === undefined) throw new Error('there is no descriptor');
  fds.push(fd);
  return fd;
};
function pair(): readonly [client: number, server: number] {
  const listener = keep(listenForPackets(path));
  return [keep(connectForPackets(path)), keep(acceptForPackets(listener))];
}
const text = (packet: Packet | undefined): string | undefined => packet?.bytes.toString();

test('packets arrive one by one, in both directions, and whole', () => {
  const [client, server] = pair();
  const large = Buffer.alloc(PACKET_MAX, 'x');
  for (const bytes of [Buffer.from('one'), Buffer.from('two'), large]) sendPacket(client, { bytes, fds: [] });
  expect([text(receivePacket(server)), text(receivePacket(server))]).toEqual(['one', 'two']);
  expect(receivePacket(server)?.bytes.equals(large)).toBe(true);
  expect(receivePacket(server)).toBeUndefined();
  sendPacket(server, { bytes: Buffer.from('back'), fds: [] });
  expect(text(receivePacket(client))).toBe('back');
});

test('descriptors come with them, as copies that no program inherits', () => {
  const [client, server] = pair();
  const file = join(dir.path, 'file');
  writeFileSync(file, 'content');
  const sent = [openSync(file, 'r'), openSync(file, 'r')];
  sendPacket(client, { bytes: Buffer.from('files'), fds: sent });
  for (const fd of sent) closeSync(fd);
  const received = receivePacket(server)?.fds.map(keep) ?? [];
  expect(received).toHaveLength(2);
  const bytes = Buffer.alloc(20);
  expect(bytes.toString('latin1', 0, readSync(received[1] ?? -1, bytes))).toBe('content');
});

test('who sends faster than the other receives is told, and nothing of the packet is sent', () => {
  const [client, server] = pair();
  let count = 0;
  while (sendPacket(client, { bytes: Buffer.alloc(10_000, String(count % 10)), fds: [] })) count++;
  for (let received = 0; received < count; received++) receivePacket(server);
  expect(receivePacket(server)).toBeUndefined();
  expect(sendPacket(client, { bytes: Buffer.from('now'), fds: [] })).toBe(true);
});

test('what is too large, or has too many descriptors, is not sent', () => {
  const [client, server] = pair();
  expect(() => sendPacket(client, { bytes: Buffer.alloc(PACKET_MAX + 1), fds: [] })).toThrow('too large');
  expect(() => sendPacket(client, { bytes: Buffer.from('x'), fds: [0, 0, 0, 0, 0] })).toThrow(RangeError);
  expect(receivePacket(server)).toBeUndefined();
});

test('whatever garbage there is, each packet is what was sent', () => {
  const [client, server] = pair();
  for (let count = 0; count < 20_000; count++) {
    const sent = `packet ${count} ${'x'.repeat(count % 300)}`;
    sendPacket(client, { bytes: Buffer.from(sent), fds: [0] });
    const { bytes, fds: received } = receivePacket(server) ?? { bytes: '', fds: [] };
    for (const fd of received) closeSync(fd);
    if (String(bytes) !== sent || received.length !== 1)
      expect([String(bytes), received]).toEqual([sent, [expect.any(Number)]]);
  }
});

test('the end of the other side is a packet without bytes for who reads, and an error for who writes', () => {
  const [client, server] = pair();
  closeSync(client);
  fds.splice(fds.indexOf(client), 1);
  expect(receivePacket(server)).toEqual({ bytes: Buffer.alloc(0), fds: [] });
  expect(() => sendPacket(server, { bytes: Buffer.from('x'), fds: [] })).toThrow('EPIPE');
});

test('nobody there, a name that is taken, a path that is too long: the system`s errors', () => {
  expect(() => connectForPackets(path)).toThrow('ENOENT');
  keep(listenForPackets(path));
  expect(() => listenForPackets(path)).toThrow('EADDRINUSE');
  expect(() => listenForPackets(`/${'x'.repeat(200)}`)).toThrow('ENAMETOOLONG');
});

test('the types say what a packet is', () => {
  expectTypeOf(receivePacket).returns.toEqualTypeOf<Packet | undefined>();
});
