import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, readdirSync } from 'node:fs';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { adoptProcess } from './adopt.ts';
import type { AdoptedProcess, ProcessIdentity } from './adopt.ts';
import { exitStatusOf, openPidfd } from './pidfd.ts';
import { readProcess } from './process-table.ts';
import type { ProcessEnd } from './processes.ts';
import { openReadiness } from './readiness.ts';
import type { Readiness } from './readiness.ts';

/** Starts a program and tells its pid; at a line, or at the end of its input, it ends and reaps it. */
const STRANGER = `$| = 1; my $pid = fork; if (!$pid) { open STDIN, "/dev/null"; exec @ARGV } print "$pid\\n"; <STDIN>;
  kill KILL => $pid; waitpid $pid, 0; print "reaped\\n"; <STDIN>`;

let readiness: Readiness;
let parents: ChildProcess[];
let adopted: AdoptedProcess[];
const errors: unknown[] = [];

beforeEach(() => {
  parents = [];
  adopted = [];
  readiness = openReadiness((error) => void errors.push(error));
});
afterEach(async () => {
  for (const each of adopted) each.close();
  readiness.close();
  for (const parent of parents) {
    const exit = once(parent, 'exit');
    parent.stdin?.end();
    await exit;
  }
  expect(errors.splice(0)).toEqual([]);
});

/** A process that is somebody else's child. */
async function stranger(
  argv: readonly string[],
): Promise<{ readonly identity: ProcessIdentity; reap(): Promise<void> }> {
  const parent = spawn('/usr/bin/perl', ['-e', STRANGER, '--', ...argv], { stdio: ['pipe', 'pipe', 'inherit'] });
  parents.push(parent);
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  const startTicks = readProcess(pid)?.startTicks;
  if (startTicks === undefined) throw new Error('it has no start time');
  return {
    identity: { pid, startTicks },
    async reap() {
      parent.stdin.write('\n');
      await once(parent.stdout, 'data');
    },
  };
}
const sleeping = ['/bin/sleep', '1000'];
const exiting = (code: number): readonly string[] => ['/bin/sh', '-c', `exit ${code}`];
const isZombie = (pid: number): Promise<void> => vi.waitFor(() => expect(readProcess(pid)?.state).toBe('Z'));

/** Takes a process over; the second is how it ended. */
function adopt(identity: ProcessIdentity): readonly [AdoptedProcess | undefined, Promise<ProcessEnd | undefined>] {
  const { promise, resolve } = Promise.withResolvers<ProcessEnd | undefined>();
  const found = adoptProcess(identity, { readiness, onEnd: resolve });
  if (found !== undefined) adopted.push(found);
  return [found, promise];
}

describe('a process that is somebody else’s child', () => {
  test('is found by pid and start time, and a signal ends it', async () => {
    const { identity } = await stranger(sleeping);
    const [found, end] = adopt(identity);
    expect(found).toMatchObject(identity);
    found?.signal('SIGTERM');
    expect(await end).toEqual({ signal: 15 });
  });

  test('is stopped and goes on', async () => {
    const { identity } = await stranger(sleeping);
    const [found] = adopt(identity);
    for (const [signal, state] of [
      ['SIGSTOP', 'T'],
      ['SIGCONT', 'S'],
    ] as const) {
      found?.signal(signal);
      await vi.waitFor(() => expect(readProcess(identity.pid)?.state).toBe(state));
    }
  });

  test('is refused where its pid is known and its start time is another', async () => {
    const { identity } = await stranger(sleeping);
    const descriptors = readdirSync('/proc/self/fd').length;
    expect(adopt({ ...identity, startTicks: identity.startTicks - 1 })[0]).toBeUndefined();
    expect(adopt({ ...identity, startTicks: identity.startTicks + 1 })[0]).toBeUndefined();
    expect(readdirSync('/proc/self/fd')).toHaveLength(descriptors);
    expect(readProcess(identity.pid)?.state).not.toBe('Z');
  });

  test('is not there once it was reaped, nor under a number that no process has', async () => {
    const { identity, reap } = await stranger(exiting(0));
    await isZombie(identity.pid);
    await reap();
    expect(adopt(identity)[0]).toBeUndefined();
    expect(adopt({ pid: 4_194_305, startTicks: 1 })[0]).toBeUndefined();
    expect(adopt({ pid: -1, startTicks: 1 })[0]).toBeUndefined();
    expect(adopt({ pid: 0, startTicks: 1 })[0]).toBeUndefined();
  });

  test('is not a thread that has its number now', () => {
    const thread = readdirSync('/proc/self/task')
      .map(Number)
      .find((id) => id !== process.pid);
    const startTicks = readProcess(thread ?? 0)?.startTicks ?? 0;
    expect(startTicks).toBeGreaterThan(0);
    expect(adopt({ pid: thread ?? 0, startTicks })[0]).toBeUndefined();
  });
});

describe('its end', () => {
  test.each([0, 1, 111])('is told with exit code %i before it was reaped', async (exitCode) => {
    const { identity } = await stranger(exiting(exitCode));
    await isZombie(identity.pid);
    expect(await adopt(identity)[1]).toEqual({ exitCode });
  });

  test('is told at once, and once', async () => {
    const { identity } = await stranger(sleeping);
    const ends: unknown[] = [];
    const found = adoptProcess(identity, { readiness, onEnd: (end) => void ends.push(end) });
    process.kill(identity.pid, 'SIGKILL');
    await vi.waitFor(() => expect(ends).toEqual([{ signal: 9 }]), { interval: 1 });
    // Its descriptor is closed: nothing tells of it again.
    const [other, end] = adopt((await stranger(sleeping)).identity);
    other?.signal('SIGTERM');
    await end;
    expect(ends).toHaveLength(1);
    found?.close();
  });

  test('is not told any more once it was let go', async () => {
    const { identity } = await stranger(sleeping);
    const onEnd = vi.fn();
    const found = adoptProcess(identity, { readiness, onEnd });
    const [, end] = adopt(identity);
    found?.close();
    found?.close();
    process.kill(identity.pid, 'SIGKILL');
    await end;
    expect(onEnd).not.toHaveBeenCalled();
  });

  test('makes signals harmless, before it was reaped and afterwards', async () => {
    const { identity, reap } = await stranger(sleeping);
    const [found, end] = adopt(identity);
    found?.signal('SIGKILL');
    found?.signal('SIGTERM');
    await end;
    found?.signal('SIGTERM');
    await reap();
    found?.signal('SIGTERM');
  });

  test('is known from the descriptor alone once it was reaped, on Linux 6.15 and later', async (context) => {
    const [major = 0, minor = 0] = spawnSync('uname', ['-r'], { encoding: 'latin1' }).stdout.split('.').map(Number);
    if (major < 6 || (major === 6 && minor < 15)) context.skip('it needs PIDFD_INFO_EXIT');
    const { identity, reap } = await stranger(exiting(41));
    const pidfd = openPidfd(identity.pid);
    await isZombie(identity.pid);
    expect(exitStatusOf(pidfd)).toBeUndefined();
    await reap();
    expect(exitStatusOf(pidfd)).toBe(41 << 8);
    closeSync(pidfd);
  });
});

describe.runIf(process.getuid?.() === 0)('without root', () => {
  test('the exit code of one’s own process is known, that of somebody else’s is not made up', async () => {
    for (const [account, expected] of [
      [65534, '{"exitCode":7}'],
      [0, 'undefined'],
    ] as const) {
      const { identity } = await stranger([
        '/usr/bin/setpriv',
        `--reuid=${account}`,
        `--regid=${account}`,
        '--clear-groups',
        '/bin/sh',
        '-c',
        'exit 7',
      ]);
      await isZombie(identity.pid);
      const script = `import { adoptProcess, openReadiness } from '@daemontap/posix'; import { writeSync } from 'node:fs';
        const readiness = openReadiness(() => {});
        process.setgroups([]); process.setgid(65534); process.setuid(65534);
        adoptProcess(${JSON.stringify(identity)}, { readiness, onEnd(end) {
          writeSync(1, String(JSON.stringify(end))); readiness.close(); } });`;
      const { stdout, stderr } = spawnSync(
        process.execPath,
        ['--conditions=@daemontap/source', '--input-type=module', '--eval', script],
        { cwd: import.meta.dirname, encoding: 'latin1', timeout: 20_000 },
      );
      expect([stdout, stderr]).toEqual([expected, '']);
    }
  });
});
