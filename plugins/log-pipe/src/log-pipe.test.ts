import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LogSink, ServiceDirectory } from '@daemontap/kernel';
import { applyAlone } from '@daemontap/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { logPipe } from './index.ts';

let runtimeDir: string;
let opened: number[];
beforeEach(() => {
  runtimeDir = mkdtempSync(join(tmpdir(), 'daemontap-pipes-'));
  opened = [];
});
afterEach(() => {
  for (const fd of opened) closeSync(fd);
  rmSync(runtimeDir, { recursive: true });
});

const finger: ServiceDirectory = { label: 'finger', role: 'service', hasLog: true, identity: '1-2', path: '/nowhere' };
const path = (): string => join(runtimeDir, 'pipe-1-2');
const open = (service = finger): LogSink | undefined =>
  applyAlone(logPipe(), { runtimeDir }).call('openLogSink', service)[0] as LogSink | undefined; // the plugin's only tap
function sinkOf(service = finger): LogSink & { readonly openInput: () => number } {
  const sink = open(service);
  if (sink?.openInput === undefined) throw new Error('no pipe');
  return { ...sink, openInput: sink.openInput };
}
const kept = (fd: number): number => {
  opened.push(fd);
  return fd;
};
/** What is in the pipe now; `undefined`: end of file. */
function read(fd: number): string | undefined {
  const nonblocking = openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const bytes = Buffer.alloc(1000);
    const length = readSync(nonblocking, bytes);
    return length === 0 ? undefined : bytes.toString('utf8', 0, length);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return '';
    throw error;
  } finally {
    closeSync(nonblocking);
  }
}

test('a service without a log passes', () => {
  expect(open({ ...finger, hasLog: false })).toBeUndefined();
  expect(existsSync(path())).toBe(false);
});

test('what is written to an output comes out of an input, whichever was opened when', () => {
  const sink = sinkOf();
  writeSync(kept(sink.openOutput()), 'one\n');
  const input = kept(sink.openInput());
  writeSync(kept(sink.openOutput()), 'two\n');
  expect(read(input)).toBe('one\ntwo\n');
  sink.close();
});

test('nothing is lost while neither side runs', () => {
  const sink = sinkOf();
  const output = sink.openOutput();
  writeSync(output, 'kept\n');
  closeSync(output);
  expect(read(kept(sink.openInput()))).toBe('kept\n');
  sink.close();
});

test('a reader meets end of file after the end and the last writer, and not before', () => {
  const sink = sinkOf();
  const input = kept(sink.openInput());
  expect(read(input)).toBe('');
  const output = sink.openOutput();
  sink.end();
  sink.end();
  expect(read(input)).toBe('');
  closeSync(output);
  expect(read(input)).toBeUndefined();
  sink.close();
});

test('a writer holds a reader of its own: without ours it gets no EPIPE', () => {
  const sink = sinkOf();
  const output = kept(sink.openOutput());
  sink.close();
  expect(writeSync(output, 'on\n')).toBe(3);
});

test('the pipe is for its owner alone, whatever the umask is, and goes with the sink', () => {
  const umask = process.umask(0);
  const sink = sinkOf();
  process.umask(umask);
  expect(statSync(path()).mode & 0o777).toBe(0o600);
  sink.close();
  sink.close();
  expect(existsSync(path())).toBe(false);
});

test('a pipe that a killed kernel left is taken over with what is in it', () => {
  const old = sinkOf();
  writeSync(kept(old.openOutput()), 'old\n');
  const sink = sinkOf();
  expect(read(kept(sink.openInput()))).toBe('old\n');
  sink.close();
  old.end();
});

test('whoever removes the pipe from the runtime directory does no harm', () => {
  const sink = sinkOf();
  rmSync(path());
  writeSync(kept(sink.openOutput()), 'still\n');
  expect(read(kept(sink.openInput()))).toBe('still\n');
  sink.close();
});

test.each([
  ['a file', () => writeFileSync(path(), 'precious')],
  ['a symlink', () => symlinkSync('/dev/null', path())],
])('%s in its place is refused, in words of daemontools', (_what, make) => {
  make();
  expect(() => open()).toThrow(
    expect.objectContaining({ code: 'PIPE_FAILED', message: 'unable to create pipe for finger' }),
  );
});
