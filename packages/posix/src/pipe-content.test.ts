/** Looking into pipes, on real FIFOs. */
import { closeSync, constants, mkdtempDisposableSync, openSync, readSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, expectTypeOf, test } from 'vitest';
import { growPipe, isHungUp, mkfifo, openPipeReader, openReadiness, pipeSize } from './index.ts';
import type { PipeReader } from './index.ts';

const { O_NONBLOCK, O_RDONLY, O_RDWR } = constants;
const into = Buffer.alloc(300_000);

let dir: ReturnType<typeof mkdtempDisposableSync>;
let reader: PipeReader;
let writeFd: number;
let readFd: number;
beforeEach(() => {
  dir = mkdtempDisposableSync(join(tmpdir(), 'pipe-content-'));
  mkfifo(join(dir.path, 'fifo'), 0o600);
  writeFd = openSync(join(dir.path, 'fifo'), O_RDWR | O_NONBLOCK);
  readFd = openSync(join(dir.path, 'fifo'), O_RDONLY | O_NONBLOCK);
  reader = openPipeReader();
});
afterEach(() => {
  reader.close();
  closeSync(readFd);
  dir.remove();
});
const look = (): string | number | undefined => {
  const length = reader.peek(readFd, into);
  return length === undefined || length === 0 ? length : into.toString('latin1', 0, length);
};

test('what was looked at is there still, for whoever reads, until it is discarded', () => {
  writeSync(writeFd, 'one two');
  expect([look(), look()]).toEqual(['one two', 'one two']);
  reader.discard(readFd, 4);
  writeSync(writeFd, ' three');
  expect(look()).toBe('two three');
  const bytes = Buffer.alloc(20);
  expect(bytes.toString('latin1', 0, readSync(readFd, bytes))).toBe('two three');
  closeSync(writeFd);
});

test('an empty pipe is empty for now, or for good once no writer is left', () => {
  expect([look(), isHungUp(readFd)]).toEqual([undefined, false]);
  writeSync(writeFd, 'last');
  closeSync(writeFd);
  expect([look(), isHungUp(readFd)]).toEqual(['last', true]);
  reader.discard(readFd, 4);
  expect(look()).toBe(0);
});

test('what somebody else has taken is not discarded, and nothing waits for it', () => {
  writeSync(writeFd, 'one two');
  expect(look()).toBe('one two');
  readSync(readFd, Buffer.alloc(5));
  reader.discard(readFd, 7);
  reader.discard(readFd, 1);
  expect(look()).toBe(undefined);
  closeSync(writeFd);
});

test.each([4096, 65_536])('a pipe of %i bytes is full when a writer has to wait, and not before', (size) => {
  growPipe(readFd, size);
  expect(reader.isFull(readFd)).toBe(false);
  // Pieces of more than half a page have one for themselves.
  const pages = pipeSize(readFd) / 4096;
  for (let page = 1; page <= pages; page++) {
    writeSync(writeFd, Buffer.alloc(2049));
    expect(reader.isFull(readFd)).toBe(page === pages);
  }
  expect(() => writeSync(writeFd, Buffer.alloc(2049))).toThrow('EAGAIN');
  expect(reader.peek(readFd, into)).toBe(2049 * pages);
  reader.discard(readFd, 2049);
  expect(reader.isFull(readFd)).toBe(false);
  closeSync(writeFd);
});

test('a pipe as large as the system grants is looked at in one piece', () => {
  const size = growPipe(readFd, 262_144);
  expect([size, pipeSize(writeFd)]).toEqual([pipeSize(readFd), size]);
  const content = Buffer.alloc(size, 'abcdefg');
  expect(writeSync(writeFd, content)).toBe(size);
  expect(reader.peek(readFd, into)).toBe(size);
  expect(into.subarray(0, size).equals(content)).toBe(true);
  reader.discard(readFd, size);
  expect(look()).toBeUndefined();
  closeSync(writeFd);
});

test('arrivals are told once each, though nobody takes what is there', async () => {
  const readiness = openReadiness((error) => {
    throw error;
  });
  let arrivals = 0;
  let told = (): void => {};
  const watch = readiness.watchArrivals(readFd, () => {
    arrivals++;
    told();
  });
  for (let count = 1; count <= 3; count++) {
    const next = new Promise<void>((resolve) => (told = resolve));
    writeSync(writeFd, 'x');
    await next;
  }
  // Nothing was read, so a watch of what is readable would call without end.
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  expect([arrivals, look()]).toEqual([3, 'xxx']);
  watch.close();
  readiness.close();
  closeSync(writeFd);
});

test('the types say that there may be nothing yet', () => {
  expectTypeOf<PipeReader['peek']>().returns.toEqualTypeOf<number | undefined>();
});
