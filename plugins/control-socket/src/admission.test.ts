/** Who may use the socket. That others may not, test/e2e/control-socket.test.ts tells. */
import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listenAt } from '@daemontap/posix';
import { expect, test } from 'vitest';
import { lookUpAdmission, refusalOf } from './admission.ts';

test('names become numbers, and unknown ones are refused', () => {
  const own = process.geteuid?.() ?? 0;
  expect(lookUpAdmission({ users: [], group: undefined })).toEqual({ uids: new Set([0, own]), gid: undefined });
  expect(lookUpAdmission({ users: ['nobody'], group: 'root' })).toEqual({ uids: new Set([0, own, 65534]), gid: 0 });
  expect(() => lookUpAdmission({ users: ['nobody', 'no-such'], group: undefined })).toThrow('unknown account no-such');
  expect(() => lookUpAdmission({ users: [], group: 'no-such' })).toThrow('unknown group no-such');
});

test('a peer is admitted by its user or its group; who cannot be told is not', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'daemontap-socket-'));
  const server = createServer().listen({ fd: listenAt(join(dir, 'socket'), 0o600) });
  const client = connect(join(dir, 'socket'));
  const [socket] = (await once(server, 'connection')) as [Socket & { readonly _handle: { readonly fd: number } }];
  const { fd } = socket._handle;
  const [uid = 0, gid = 0] = [process.geteuid?.(), process.getegid?.()];
  expect(refusalOf(fd, { uids: new Set([uid]), gid: undefined })).toBeUndefined();
  expect(refusalOf(fd, { uids: new Set(), gid })).toBeUndefined();
  expect(refusalOf(fd, { uids: new Set([12345]), gid: undefined })).toBe(`user id ${uid} may not use this socket`);
  expect(refusalOf(fd, { uids: new Set(), gid: 54321 })).toBe(`user id ${uid} may not use this socket`);
  expect(refusalOf(undefined, { uids: new Set([uid]), gid })).toBe('who you are cannot be told');
  const ended = [once(client, 'close'), once(server, 'close')];
  client.destroy();
  socket.destroy();
  server.close();
  await Promise.all(ended);
  rmSync(dir, { recursive: true });
  expect(() => closeSync(fd)).toThrow('EBADF');
});
