import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { mkfifo } from './fifo.ts';
import { waitUntil } from './wait.ts';

let dir: string;
let fd: number;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'daemontap-posix-'));
  mkfifo(join(dir, 'fifo'), 0o600);
  fd = openSync(join(dir, 'fifo'), constants.O_RDWR | constants.O_NONBLOCK);
});
afterEach(() => {
  closeSync(fd);
  rmSync(dir, { recursive: true });
});

test('a FIFO is waited for until something is in it', () => {
  const byte = Buffer.alloc(1);
  expect(() => readSync(fd, byte)).toThrow('EAGAIN');
  execFileSync('/bin/sh', ['-c', `(sleep 0.05; printf x) >"$0/fifo" &`, dir], { stdio: 'ignore' });
  waitUntil('readable', fd);
  expect([readSync(fd, byte), byte.toString()]).toEqual([1, 'x']);
});

test('a full FIFO is waited for until there is room', () => {
  const block = Buffer.alloc(4096);
  while (tryWrite(block) > 0);
  execFileSync('/bin/sh', ['-c', `(sleep 0.05; head -c 4096) <"$0/fifo" >/dev/null &`, dir], { stdio: 'ignore' });
  waitUntil('writable', fd);
  expect(tryWrite(block)).toBe(4096);
});

test('what can never be read is not waited for', () => {
  const file = openSync('/dev/null', 'w');
  waitUntil('readable', file);
  closeSync(file);
});

function tryWrite(block: Buffer): number {
  try {
    return writeSync(fd, block);
  } catch {
    return 0;
  }
}
