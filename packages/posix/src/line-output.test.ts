import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mkfifo } from './fifo.ts';
import { openLineOutput } from './line-output.ts';
import type { LineOutput } from './line-output.ts';

let dir: string;
let fds: Set<number>;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'daemontap-lines-'));
  fds = new Set();
});
afterEach(() => {
  for (const fd of fds) closeSync(fd);
  rmSync(dir, { recursive: true });
});

const { O_RDONLY, O_WRONLY, O_RDWR, O_NONBLOCK } = constants;
const open = (path: string, flags: number | string): number => {
  const fd = openSync(path, flags);
  fds.add(fd);
  return fd;
};
const close = (fd: number): void => {
  fds.delete(fd);
  closeSync(fd);
};
const lines = (fd: number): LineOutput => openLineOutput(fd, { dropped: (count) => `lost ${count}\n` });
/** A pipe with a reading and a writing descriptor; the writing one blocks. */
function pipe(): { readonly reader: number; readonly writer: number; readonly path: string } {
  const path = join(dir, 'pipe');
  mkfifo(path, 0o600);
  const reader = open(path, O_RDONLY | O_NONBLOCK);
  const writer = open(path, O_WRONLY);
  return { reader, writer, path };
}
const drain = (fd: number): string => {
  const bytes = Buffer.alloc(1 << 20);
  let text = '';
  try {
    for (let length = readSync(fd, bytes); length > 0; length = readSync(fd, bytes)) {
      text += bytes.toString('latin1', 0, length);
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
  }
  return text;
};
const flagsOf = (fd: number): string =>
  /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '';
/** Longer than a pipe and the queue hold together, in lines of 1000 bytes. */
const TOO_MANY = 200;
const line = (index: number): string => `${String(index).padStart(999, '.')}\n`;

describe('a pipe', () => {
  test('gets every line at once, and its flags stay as they were', () => {
    const { reader, writer } = pipe();
    const before = flagsOf(writer);
    const output = lines(writer);
    output.write('one\n');
    output.write(Buffer.from('two\n'));
    expect(drain(reader)).toBe('one\ntwo\n');
    expect(flagsOf(writer)).toBe(before);
    output.close();
  });

  test('that nobody reads costs no time and a counted number of lines', async () => {
    const { reader, writer } = pipe();
    const output = lines(writer);
    for (let index = 0; index < TOO_MANY; index++) output.write(line(index));
    let text = drain(reader);
    await sleep(300); // what was queued follows by itself
    text += drain(reader);
    output.write('last\n');
    text += drain(reader);
    output.close();
    const got = text.split('\n').slice(0, -1);
    const whole = got.filter((each) => each.length === 999);
    expect(got.slice(whole.length)).toEqual([`lost ${TOO_MANY - whole.length}`, 'last']);
    expect(whole).toEqual(whole.map((_, index) => line(index).slice(0, -1)));
    expect(whole.length).toBeGreaterThan(100);
  });

  test('whose reader is gone throws nothing, and every lost line is counted for the next reader', () => {
    const { reader, writer, path } = pipe();
    const output = lines(writer);
    output.write('read\n');
    expect(drain(reader)).toBe('read\n');
    close(reader);
    for (let index = 0; index < 10; index++) output.write(`${index}\n`);
    const next = open(path, O_RDONLY | O_NONBLOCK);
    output.write('last\n');
    expect(drain(next)).toBe('lost 10\nlast\n');
    output.close();
  });

  test('whose reader was gone from the start throws nothing', () => {
    const { reader, writer } = pipe();
    close(reader);
    const output = lines(writer);
    output.write('one\n');
    output.close();
  });

  test('is let go once, however often it is closed, and the descriptor stays open', () => {
    const { reader, writer } = pipe();
    const output = lines(writer);
    output.write('one\n');
    output.close();
    const other = open('/dev/null', 'r'); // takes the number that was let go
    output.close();
    expect(() => fstatSync(other)).not.toThrow();
    expect(writeSync(writer, 'two\n')).toBe(4);
    expect(drain(reader)).toBe('one\ntwo\n');
  });
});

test('a regular file is written where the descriptor stands', () => {
  const path = join(dir, 'file');
  const fd = open(path, 'w');
  writeSync(fd, 'before\n');
  const output = lines(fd);
  output.write('one\n');
  writeSync(fd, 'between\n');
  output.write('two\n');
  output.close();
  expect(readFileSync(path, 'utf8')).toBe('before\none\nbetween\ntwo\n');
});

test('a device that is full costs lines and throws nothing', () => {
  const output = lines(open('/dev/full', O_RDWR));
  for (let index = 0; index < 3; index++) output.write('one\n');
  output.close();
});

test('a socket gets lines without a change of its flags; a stuck or closed one costs lines', async () => {
  const path = join(dir, 'socket');
  const server = createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve) => void server.listen(path, resolve));
  const peers: Socket[] = [];
  const connected = new Promise<void>((resolve) => {
    server.on('connection', (socket) => {
      peers.push(socket);
      resolve();
    });
  });
  const client = connect(path).on('error', () => {}); // it is reset when the other side goes
  await connected;
  const fd = (client as unknown as { readonly _handle: { readonly fd: number } })._handle.fd; // Node shows it nowhere else
  const before = flagsOf(fd);
  const output = lines(fd);
  output.write('one\n');
  for (let index = 0; index < 2000; index++) output.write(line(index));
  expect(flagsOf(fd)).toBe(before);
  const [peer] = peers;
  const first = new Promise<string>((resolve) => void peer?.once('data', (bytes) => resolve(bytes.toString('latin1'))));
  peer?.resume();
  expect((await first).slice(0, 4)).toBe('one\n');
  peer?.destroy();
  await new Promise<void>((resolve) => void client.once('close', resolve).resume());
  server.close();
});

test.runIf(process.getuid?.() === 0)("lines reach somebody else's pipe, and a stuck one costs no time", async () => {
  const { reader, writer } = pipe(); // root's, of mode 0600: nobody cannot open it again
  const code = `
    import { openLineOutput } from '@daemontap/posix';
    const output = openLineOutput(2, { dropped: (count) => 'lost ' + count + '\\n' });
    for (let line = 0; line < 4000; line++) output.write('line ' + String(line).padStart(60) + '\\n');
    process.exit(0);`;
  const child = spawn(process.execPath, ['--conditions=@daemontap/source', '--input-type=module', '-e', code], {
    cwd: import.meta.dirname,
    uid: 65534,
    gid: 65534,
    stdio: ['ignore', 'ignore', writer],
  });
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(drain(reader)).toMatch(/^line +0\nline +1\n/);
});
