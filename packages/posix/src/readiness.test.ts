import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { mkfifo } from './fifo.ts';
import { openReadiness } from './readiness.ts';
import type { Readiness } from './readiness.ts';

let dir: string;
let readiness: Readiness;
let errors: unknown[];
let fds: number[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'daemontap-readiness-'));
  errors = [];
  fds = [];
  readiness = openReadiness((error) => void errors.push(error));
});
afterEach(() => {
  readiness.close();
  readiness.close();
  for (const fd of fds) closeSync(fd);
  rmSync(dir, { recursive: true });
});

/** A FIFO that is open for both sides. */
function fifo(name: string): number {
  mkfifo(join(dir, name), 0o600);
  const fd = openSync(join(dir, name), constants.O_RDWR | constants.O_NONBLOCK);
  fds.push(fd);
  return fd;
}
const readAll = (fd: number): string => {
  const bytes = Buffer.alloc(100);
  return bytes.toString('latin1', 0, readSync(fd, bytes));
};
const watchOnce = (fd: number): Promise<string> =>
  new Promise((resolve) => {
    const watch = readiness.watchReadable(fd, () => {
      watch.close();
      resolve(readAll(fd));
    });
  });

test('what is written is noticed, now and later', async () => {
  const fd = fifo('a');
  const heard: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const watch = readiness.watchReadable(fd, () => {
    heard.push(readAll(fd));
    if (heard.length === 1) writeSync(fd, 'second');
    else resolve();
  });
  writeSync(fd, 'first');
  await promise;
  watch.close();
  expect(heard).toEqual(['first', 'second']);
});

test('what was there before the watch is noticed', async () => {
  const fd = fifo('a');
  writeSync(fd, 'before');
  expect(await watchOnce(fd)).toBe('before');
});

test('what is not read is told again', async () => {
  const fd = fifo('a');
  let calls = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const watch = readiness.watchReadable(fd, () => {
    if (++calls === 3) resolve();
  });
  writeSync(fd, 'x');
  await promise;
  watch.close();
  expect(calls).toBe(3);
});

test('many at once are all noticed', async () => {
  const all = Array.from({ length: 100 }, (_, index) => fifo(`f${index}`));
  const heard = all.map(watchOnce);
  for (const [index, fd] of all.entries()) writeSync(fd, String(index));
  expect(await Promise.all(heard)).toEqual(all.map((_, index) => String(index)));
});

test('a closed watch is silent, though another callback of the same batch has closed it', async () => {
  const [a, b] = [fifo('a'), fifo('b')];
  const heard: string[] = [];
  writeSync(a, 'x');
  writeSync(b, 'x');
  const watches = [a, b].map((fd, index) =>
    readiness.watchReadable(fd, () => {
      heard.push(String(index));
      for (const watch of watches) watch.close();
    }),
  );
  const last = fifo('c');
  writeSync(last, 'x');
  await watchOnce(last);
  expect(heard).toHaveLength(1);
});

test('a callback that throws is reported, and the others are called', async () => {
  const [a, b] = [fifo('a'), fifo('b')];
  writeSync(a, 'x');
  const watch = readiness.watchReadable(a, () => {
    watch.close();
    throw new Error('forgetful');
  });
  writeSync(b, 'y');
  expect(await watchOnce(b)).toBe('y');
  expect(errors).toEqual([expect.objectContaining({ message: 'forgetful' })]);
});

test('a descriptor that cannot be watched is refused with the reason', () => {
  expect(() => readiness.watchReadable(openFile(), () => {})).toThrow(expect.objectContaining({ code: 'EPERM' }));
  const fd = fifo('a');
  const watch = readiness.watchReadable(fd, () => {});
  expect(() => readiness.watchReadable(fd, () => {})).toThrow(expect.objectContaining({ code: 'EEXIST' }));
  watch.close();
  watch.close();
});

test('a process that closes it can end, and one that exits does not wait for it', () => {
  for (const end of ['readiness.close();', 'process.exit(0);']) {
    const script = `import { openReadiness } from './readiness.ts'; const readiness = openReadiness(() => {}); ${end}`;
    execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: import.meta.dirname,
      timeout: 20_000,
    });
  }
});

function openFile(): number {
  const fd = openSync(join(dir, 'file'), 'w+');
  fds.push(fd);
  return fd;
}
