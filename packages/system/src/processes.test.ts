/** Processes that an earlier kernel has left, on the running system. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { openReadiness, readProcess, setSubreaper } from '@daemontap/posix';
import type { ProcessIdentity, Readiness } from '@daemontap/posix';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemProcesses } from './processes.ts';
import type { SystemProcesses } from './processes.ts';

let readiness: Readiness & { close(): void };
let processes: SystemProcesses;
let shell: ChildProcess | undefined;
let last: number | undefined;
const errors: unknown[] = [];

beforeEach(() => {
  shell = last = undefined;
  readiness = openReadiness((error) => errors.push(error));
  processes = systemProcesses({ readiness, onError: (error) => errors.push(error), preparing: undefined });
});
afterEach(async () => {
  if (last !== undefined && readProcess(last) !== undefined) process.kill(last, 'SIGKILL');
  const ended = shell && new Promise((resolve) => shell?.once('exit', resolve));
  shell?.kill('SIGKILL');
  await ended;
  processes.close();
  readiness.close();
  expect(errors.splice(0)).toEqual([]);
});

/** A process whose parent, a program of perl, reaps none: it says the pid first. */
async function grandchild(program: string): Promise<{ readonly pid: number; readonly startTicks: number }> {
  const parent = `$| = 1; my $pid = fork; if (!$pid) { exec "/bin/sh", "-c", $ARGV[0] } print "$pid\\n"; sleep 1000`;
  shell = spawn('perl', ['-e', parent, program], { stdio: ['ignore', 'pipe', 'ignore'] });
  const pid = await new Promise<number>((resolve) => shell?.stdout?.once('data', (data) => resolve(Number(data))));
  last = pid;
  return { pid, startTicks: readProcess(pid)?.startTicks ?? 0 };
}

test('one that runs is taken over, signalled, and its end told', async () => {
  const left = await grandchild('exec sleep 1000');
  const onEnd = vi.fn();
  const adopted = processes.adopt(left, onEnd);
  expect(adopted).toMatchObject({ isPaused: false });
  processes.signal(left.pid, 'SIGTERM');
  await vi.waitFor(() => expect(onEnd).toHaveBeenCalledWith({ signal: 15 }));
});

test('one that is stopped is told to be paused', async () => {
  const left = await grandchild('kill -STOP $$; exec sleep 1000');
  await vi.waitFor(() => expect(readProcess(left.pid)?.state).toBe('T'));
  const adopted = processes.adopt(left, () => {});
  expect(adopted).toMatchObject({ isPaused: true });
  adopted?.close();
});

test('one that has ended and was not reaped is gone', async () => {
  const left = await grandchild('exit 3');
  await vi.waitFor(() => expect(readProcess(left.pid)?.state).toBe('Z'));
  const onEnd = vi.fn();
  expect(processes.adopt(left, onEnd)).toBeUndefined();
  expect(onEnd).not.toHaveBeenCalled();
});

describe('a process that was left to this one', () => {
  /** Runs a program in the background of one that ends at once. */
  const orphan = async (program: string): Promise<ProcessIdentity> => {
    const parent = spawn('/bin/sh', ['-c', `sh -c '${program}' >/dev/null & echo $!`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [data] = (await once(parent.stdout, 'data')) as [Buffer];
    if (parent.exitCode === null) await once(parent, 'exit');
    last = Number(data);
    expect(last).toBeGreaterThan(1);
    await vi.waitFor(() => expect(readProcess(last ?? 0)?.parentPid).toBe(process.pid));
    return { pid: last, startTicks: readProcess(last)?.startTicks ?? 0 };
  };
  beforeEach(() => setSubreaper(true));
  afterEach(() => setSubreaper(false));

  test('is taken over, signalled, reaped, and its end told', async () => {
    const left = await orphan('kill -STOP $$; exit 9');
    await vi.waitFor(() => expect(readProcess(left.pid)?.state).toBe('T'));
    const descriptors = readdirSync('/proc/self/fd').length;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    expect(processes.adopt(left, resolve)).toMatchObject({ isPaused: true });
    expect(readdirSync('/proc/self/fd')).toHaveLength(descriptors);
    processes.signal(left.pid, 'SIGCONT');
    expect([await promise, readProcess(left.pid)]).toEqual([{ exitCode: 9 }, undefined]);
  });

  test('is reaped quietly once it was let go, which is harmless when it has ended', async () => {
    const left = await orphan('exec sleep 1000');
    const onEnd = vi.fn();
    const adopted = processes.adopt(left, onEnd);
    adopted?.close();
    adopted?.close();
    processes.signal(left.pid, 'SIGKILL');
    expect(readProcess(left.pid)?.state).not.toBe('Z');
    process.kill(left.pid, 'SIGKILL');
    await vi.waitFor(() => expect(readProcess(left.pid)).toBeUndefined());
    expect(onEnd).not.toHaveBeenCalled();
  });

  test('that has ended is gone', async () => {
    const left = await orphan('exec sleep 1000');
    process.kill(left.pid, 'SIGKILL');
    // It is not reaped within this turn.
    const deadlineMs = performance.now() + 4000;
    while (readProcess(left.pid)?.state !== 'Z' && performance.now() < deadlineMs);
    expect(readProcess(left.pid)?.state).toBe('Z');
    expect(processes.adopt(left, () => {})).toBeUndefined();
    await vi.waitFor(() => expect(readProcess(left.pid)).toBeUndefined());
  });
});
