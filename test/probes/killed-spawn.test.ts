/** What is left when a supervisor is killed: in the middle of a start, and of what its services had open. */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readlinkSync, readSync, rmSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { ancestorPids, bootTicks, findOrphan, mkfifo, readProcess, tryLock } from '@daemontap/posix';
import { expect, test } from 'vitest';
import { childrenOf } from '../e2e/support/supervised.ts';
import { start } from '../e2e/support/start.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import { until } from '../e2e/support/until.ts';

const { O_RDONLY, O_RDWR, O_NONBLOCK } = constants;
const NODE = [process.execPath, '--conditions=@daemontap/source', '--input-type=module', '--eval'];

test('killed while a start is under way, it leaves a process that goes on to its exec, and its locks until then', async () => {
  await using here = temporaryDirectory();
  mkfifo(here.join('gate'), 0o600);
  // An O_PATH descriptor is no reader: the new process waits at its first step, for one to come.
  const script = `import { spawn, tryLock } from '${import.meta.resolve('@daemontap/posix')}'; import { openSync } from 'node:fs';
    tryLock(openSync('lock', 'w')); const words = ['sleep', '1000'].map((word) => Buffer.from(word));
    spawn({ file: Buffer.from('/bin/sleep'), argv: words, environment: Object.entries(process.env).map((each) => Buffer.from(each.join('='))),
      directoryFd: openSync('.', 'r'), descriptors: [], ignoredSignals: 0n, blockedSignals: 0n, descriptorLimit: undefined,
      markFd: openSync('gate', 0o10000000) });`;
  const from = bootTicks();
  await using supervisor = start([...NODE, script], { cwd: here.path });
  const { pid: parentPid } = supervisor;
  const isWaiting = (pid: number): boolean => readFileSync(`/proc/${pid}/wchan`, 'latin1').includes('wait_for_partner');
  const pid = await until(() => childrenOf(parentPid).find(isWaiting), {
    describe: 'the new process waits',
    state: supervisor.stderr,
  });
  const { sessionId = 0 } = readProcess(parentPid) ?? {};
  const known = { parentPid, sessionId, ancestorPids: ancestorPids(parentPid), except: new Set<number>() };
  process.kill(parentPid, 'SIGKILL');
  await supervisor.exit;
  const lock = openSync(here.join('lock'), 'r');
  expect(() => tryLock(lock)).toThrow('EAGAIN');
  expect(readlinkSync(`/proc/${pid}/exe`)).toBe(readlinkSync('/proc/self/exe'));
  closeSync(openSync(here.join('gate'), O_RDONLY | O_NONBLOCK));
  await until(() => readlinkSync(`/proc/${pid}/exe`).endsWith('/sleep'), { describe: 'it has become its program' });
  // Exec shows its program first and closes then.
  await until(() => isFree(lock), { describe: 'the lock is free' });
  closeSync(lock);
  const { dev, ino } = statSync(here.path, { bigint: true });
  const found = findOrphan({ ...known, startTicks: { from, to: bootTicks() }, directory: `${dev}-${ino}` });
  process.kill(pid, 'SIGKILL');
  expect(found?.pid).toBe(pid);
});

test('a FIFO whose name is gone is opened anew through who has it open, and keeps what is in it', async () => {
  await using here = temporaryDirectory();
  mkfifo(here.join('pipe'), 0o600);
  const held = openSync(here.join('pipe'), O_RDWR | O_NONBLOCK);
  const service = spawn('/bin/sh', ['-c', 'echo line; exec sleep 1000'], { stdio: ['ignore', held, 'inherit'] });
  const isWritten = (): boolean => readFileSync(`/proc/${service.pid}/comm`, 'latin1') === 'sleep\n';
  await until(isWritten, { describe: 'it has written' });
  closeSync(held);
  rmSync(here.join('pipe'));
  const reader = openSync(`/proc/${service.pid}/fd/1`, O_RDONLY | O_NONBLOCK);
  const buffer = Buffer.alloc(10);
  expect(buffer.toString('latin1', 0, readSync(reader, buffer))).toBe('line\n');
  closeSync(reader);
  const exit = once(service, 'exit');
  service.kill('SIGKILL');
  await exit;
});

test('the monotonic clock is the same one in every process: a deadline of a dead supervisor means something', () => {
  const before = process.hrtime.bigint();
  const inside = BigInt(execFileSync(process.execPath, ['-p', 'String(process.hrtime.bigint())']).toString().trim());
  expect([inside > before, inside < process.hrtime.bigint()]).toEqual([true, true]);
});

function isFree(lock: number): boolean {
  try {
    tryLock(lock);
    return true;
  } catch {
    return false;
  }
}
