import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { mkfifo } from './fifo.ts';
import { ancestorPids, findOrphan } from './orphans.ts';
import type { OrphanSearch } from './orphans.ts';
import { bootTicks, readProcess, readProcesses } from './process-table.ts';

let dir: string;
let started: number[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'daemontap-orphans-'));
  started = [];
});
afterEach(async () => {
  for (const pid of started) process.kill(pid, 'SIGKILL');
  await vi.waitFor(() => expect(started.filter((pid) => lives(pid))).toEqual([]), { timeout: 4500 });
  rmSync(dir, { recursive: true });
});

const lives = (pid: number): boolean => !['Z', undefined].includes(readProcess(pid)?.state);
const identity = (path: string): string => {
  const { dev, ino } = statSync(path, { bigint: true });
  return `${dev}-${ino}`;
};
const own = (): NonNullable<ReturnType<typeof readProcess>> => {
  const entry = readProcess(process.pid);
  if (entry === undefined) throw new Error('there is no /proc');
  return entry;
};
/** Starts scripts of sh in the background of a shell that ends; their pids, in this order. */
async function orphans(...scripts: readonly string[]): Promise<readonly number[]> {
  const script = `${scripts.map((each) => `(${each}) & echo $!`).join('\n')}`;
  const shell = spawn('/bin/sh', ['-c', script], {
    cwd: dir,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true, // a session of their own: other tests have orphans, too
  });
  let output = '';
  shell.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
  await once(shell, 'exit');
  await vi.waitFor(() => expect(output.split('\n')).toHaveLength(scripts.length + 1));
  const pids = output.trim().split('\n').map(Number);
  started.push(...pids);
  // They have become what they are to become.
  await vi.waitFor(() => {
    for (const pid of pids) expect(readFileSync(`/proc/${pid}/comm`, 'latin1')).toBe('sleep\n');
  });
  parent = shell.pid ?? 0;
  return pids;
}
/** Who has started them: also their session. */
let parent: number;
const SLEEP = 'exec sleep 1000 >/dev/null';

/** What is known of an orphan that was begun in `dir` after `from`. */
const search = (from: number, more: Partial<OrphanSearch> = {}): OrphanSearch => ({
  startTicks: { from, to: bootTicks() },
  parentPid: parent,
  sessionId: parent,
  ancestorPids: ancestorPids(process.pid),
  directory: identity(dir),
  except: new Set(),
  ...more,
});

describe('the table of processes', () => {
  test('tells of this process what Node knows of it', () => {
    expect(own()).toMatchObject({ pid: process.pid, parentPid: process.ppid, state: 'R', exitStatus: 0 });
    expect(readProcesses()).toContainEqual(expect.objectContaining({ pid: process.pid, parentPid: process.ppid }));
  });
  test('tells of none where there is none', () => {
    expect([readProcess(0), readProcess(-1), readProcess(4_194_305)]).toEqual([undefined, undefined, undefined]);
  });
  test('has start times on the clock that bootTicks reads', async () => {
    const before = bootTicks();
    const [pid = 0] = await orphans(SLEEP);
    const startTicks = readProcess(pid)?.startTicks ?? 0;
    expect(startTicks).toBeGreaterThanOrEqual(before);
    expect(startTicks).toBeLessThanOrEqual(bootTicks());
    expect(own().startTicks).toBeLessThanOrEqual(before);
  });
  test('leads from a process up to the first one', () => {
    const pids = ancestorPids(process.pid);
    expect([pids[0], pids.at(-1)]).toEqual([process.ppid, 1]);
  });
});

describe('an orphan is found', () => {
  test('by the directory it works in, among others of the same moment', async () => {
    mkdirSync(join(dir, 'other'));
    const from = bootTicks();
    const [, pid] = await orphans(`cd other; ${SLEEP}`, SLEEP, `cd /; ${SLEEP}`);
    expect(findOrphan(search(from))?.pid).toBe(pid);
  });
  test('by the pipe it was given, wherever it works', async () => {
    mkfifo(join(dir, 'pipe'), 0o600);
    const held = openSync(join(dir, 'pipe'), constants.O_RDWR);
    const from = bootTicks();
    const [, pid] = await orphans(`cd /; ${SLEEP}`, `exec <>pipe; cd /; ${SLEEP}`);
    closeSync(held);
    expect(findOrphan(search(from, { directory: '0-0', pipe: identity(join(dir, 'pipe')) }))?.pid).toBe(pid);
  });
  test('in a session of its own', async () => {
    const from = bootTicks();
    const [pid] = await orphans('exec setsid sleep 1000 >/dev/null');
    expect(findOrphan(search(from))?.pid).toBe(pid);
  });
  test('as the oldest in its directory: the others are its descendants', async () => {
    const from = bootTicks();
    const [pid] = await orphans(SLEEP, SLEEP);
    expect(findOrphan(search(from))?.pid).toBe(pid);
  });
  test('elsewhere, where it is the only one', async () => {
    const from = bootTicks();
    const [pid] = await orphans(`cd /; ${SLEEP}`);
    expect(findOrphan(search(from))).toEqual({ pid, startTicks: readProcess(pid ?? 0)?.startTicks });
  });
});

describe('an orphan is not', () => {
  test('one that began before or after', async () => {
    const from = bootTicks();
    const [pid = 0] = await orphans(SLEEP);
    const startTicks = readProcess(pid)?.startTicks ?? 0;
    expect(findOrphan(search(startTicks + 1))).toBeUndefined();
    expect(findOrphan(search(from, { startTicks: { from: 0, to: startTicks - 1 } }))?.pid).not.toBe(pid);
  });
  test('one that is known to be another', async () => {
    const from = bootTicks();
    const pids = await orphans(SLEEP);
    expect(findOrphan(search(from, { except: new Set(pids) }))).toBeUndefined();
  });
  test('one of another session', async () => {
    const from = bootTicks();
    await orphans(SLEEP);
    expect(findOrphan(search(from, { sessionId: 1 }))).toBeUndefined();
  });
  test('somebody’s child', async () => {
    const from = bootTicks();
    const child = spawn('/bin/sleep', ['1000'], { cwd: dir, stdio: 'ignore' });
    // This process may be an ancestor of the search, not of the child.
    expect(findOrphan(search(from, { parentPid: 0 }))).toBeUndefined();
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  });
  test('one of several elsewhere: there is no telling', async () => {
    const from = bootTicks();
    await orphans(`cd /; ${SLEEP}`, `cd /; ${SLEEP}`);
    expect(findOrphan(search(from))).toBeUndefined();
  });
  test('one that has ended', async () => {
    const from = bootTicks();
    const [pid = 0] = await orphans(SLEEP);
    process.kill(pid, 'SIGKILL');
    await vi.waitFor(() => expect(lives(pid)).toBe(false));
    expect(findOrphan(search(from))).toBeUndefined();
  });
});
