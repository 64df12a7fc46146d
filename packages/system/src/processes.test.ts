/** Processes that an earlier kernel has left, on the running system. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { openReadiness, readProcess } from '@daemontap/posix';
import type { Readiness } from '@daemontap/posix';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemProcesses } from './processes.ts';
import type { SystemProcesses } from './processes.ts';

let readiness: Readiness & { close(): void };
let processes: SystemProcesses;
let shell: ChildProcess | undefined;
let last: number | undefined;
const errors: unknown[] = [];

beforeEach(() => {
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
