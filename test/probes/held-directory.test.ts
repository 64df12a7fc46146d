/** What a supervisor holds stays reachable: a directory that is renamed, a FIFO whose name is gone. */
import {
  closeSync,
  constants,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { mkfifo } from '@daemontap/posix';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';

const O_PATH = 0o10000000;

test('a directory held by O_PATH leads to its files under any name', async () => {
  await using directory = temporaryDirectory();
  mkdirSync(join(directory.path, 'a'));
  const fd = openSync(join(directory.path, 'a'), O_PATH | constants.O_DIRECTORY);
  renameSync(join(directory.path, 'a'), join(directory.path, 'b'));
  writeFileSync(`/proc/self/fd/${fd}/file`, 'text');
  expect(readFileSync(join(directory.path, 'b/file'), 'utf8')).toBe('text');
  closeSync(fd);
});

test('a FIFO can be opened anew through a descriptor when its name is gone, and keeps what is in it', async () => {
  await using directory = temporaryDirectory();
  const path = join(directory.path, 'pipe');
  mkfifo(path, 0o600);
  const held = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  rmSync(path);
  const writer = openSync(`/proc/self/fd/${held}`, constants.O_RDWR);
  writeSync(writer, 'line\n');
  closeSync(writer);
  const reader = openSync(`/proc/self/fd/${held}`, constants.O_RDONLY);
  closeSync(held);
  const buffer = Buffer.alloc(10);
  expect(buffer.toString('utf8', 0, readSync(reader, buffer))).toBe('line\n');
  expect(readSync(reader, buffer)).toBe(0); // no writer is left
  closeSync(reader);
});
