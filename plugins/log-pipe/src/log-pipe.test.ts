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
import type { LogSink, PluginFactory, ServiceDirectory } from '@daemontap/kernel';
import { applyAlone, logSinkContract } from '@daemontap/testkit';
import { afterEach, beforeEach, expect, expectTypeOf, test } from 'vitest';
import { logPipe } from './index.ts';

let stateDir: string;
let opened: number[];
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'daemontap-pipes-'));
  opened = [];
});
afterEach(() => {
  for (const fd of opened) closeSync(fd);
  rmSync(stateDir, { recursive: true });
});

const finger: ServiceDirectory = { label: 'finger', role: 'service', hasLog: true, identity: '1-2', path: '/nowhere' };
const path = (): string => join(stateDir, 'pipe-1-2');
const open = (service = finger): LogSink | undefined =>
  applyAlone(logPipe(), { stateDir }).call('openLogSink', service)[0] as LogSink | undefined; // the plugin's only tap
function sinkOf(service = finger): LogSink & { readonly openInput: () => number } {
  const sink = open(service);
  if (sink?.openInput === undefined) throw new Error('no pipe');
  return { ...sink, openInput: sink.openInput };
}
const kept = (fd: number): number => {
  opened.push(fd);
  return fd;
};
/** What is in the pipe now. */
function read(fd: number): string {
  const nonblocking = openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const bytes = Buffer.alloc(1000);
    return bytes.toString('utf8', 0, readSync(nonblocking, bytes));
  } finally {
    closeSync(nonblocking);
  }
}

logSinkContract({ name: 'log-pipe', create: () => logPipe() });

test('a service without a log passes', () => {
  expect(open({ ...finger, hasLog: false })).toBeUndefined();
  expect(existsSync(path())).toBe(false);
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

test('its factory takes no options', () => {
  expectTypeOf(logPipe).toEqualTypeOf<PluginFactory>();
  // @ts-expect-error: there are none
  expect(() => logPipe({ loud: true })).toThrow('it takes none, and was given loud');
});
