import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { constants as os, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { openProcesses } from './processes.ts';
import type { ProcessEnd, Processes } from './processes.ts';
import { readLimit } from './limits.ts';
import type { ProcessIdentity } from './adopt.ts';
import { readProcess, readProcesses } from './process-table.ts';
import { signalBit } from './signals.ts';
import type { SpawnRequest } from './spawn.ts';
import { setSubreaper } from './subreaper.ts';

let dir: string;
let directoryFd: number;
let processes: Processes;
const errors: unknown[] = [];

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'daemontap-spawn-'));
  directoryFd = openSync(dir, constants.O_RDONLY);
  processes = openProcesses((error) => void errors.push(error));
});
afterAll(() => {
  processes.close();
  closeSync(directoryFd);
  rmSync(dir, { recursive: true });
  expect(errors).toEqual([]);
});

const script = (name: string, text: string, mode = 0o755): void => {
  writeFileSync(join(dir, name), text);
  chmodSync(join(dir, name), mode);
};
const request = (file: string, fields: Partial<SpawnRequest> = {}): SpawnRequest => ({
  file: Buffer.from(file),
  argv: [Buffer.from(file)],
  environment: [Buffer.from('PATH=/usr/bin:/bin')],
  directoryFd,
  descriptors: [],
  ignoredSignals: 0n,
  blockedSignals: 0n,
  descriptorLimit: undefined,
  ...fields,
});
const run = (spawnRequest: SpawnRequest): Promise<ProcessEnd> =>
  new Promise((resolve) => void processes.spawn(spawnRequest, resolve));
/** Standard output of a process, as bytes. */
async function outputOf(spawnRequest: SpawnRequest): Promise<Buffer> {
  const path = join(dir, 'output');
  const fd = openSync(path, 'w');
  try {
    await run({ ...spawnRequest, descriptors: [...spawnRequest.descriptors, [1, fd]] });
  } finally {
    closeSync(fd);
  }
  return readFileSync(path);
}
const codeOf = (body: () => unknown): unknown => {
  try {
    return body();
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
};
const childOf = (parent: number): Promise<number> =>
  vi.waitFor(() => {
    const found = readProcesses().find(({ parentPid }) => parentPid === parent);
    if (found === undefined) throw new Error('it has no child yet');
    return found.pid;
  });
/** Never a number that stands for several processes. */
const kill = (pid: number, signal: NodeJS.Signals): void => {
  expect(pid).toBeGreaterThan(1);
  process.kill(pid, signal);
};
const isOurZombie = (statPath: string): boolean => {
  try {
    const stat = readFileSync(statPath, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith(`Z ${process.pid} `);
  } catch {
    return false; // ended meanwhile
  }
};
const start = (spawnRequest: SpawnRequest): unknown => codeOf(() => processes.spawn(spawnRequest, () => {}));

describe('a start that fails says why, at once', () => {
  test('ENOENT for a file that is not there, and for an interpreter that is not', () => {
    expect(start(request('./missing'))).toBe('ENOENT');
    script('orphan', '#!/no/such/interpreter\n');
    expect(start(request('./orphan'))).toBe('ENOENT');
  });
  test('EACCES for one that is not executable, and for a directory', () => {
    script('plain', '#!/bin/sh\n', 0o644);
    expect(start(request('./plain'))).toBe('EACCES');
    expect(start(request('.'))).toBe('EACCES');
  });
  test('ENOEXEC for one without #!, which is given to no shell', () => {
    script('bare', 'echo never\n');
    expect(start(request('./bare'))).toBe('ENOEXEC');
  });
  test('EBADF for a descriptor that is not open, with call and path in the error', () => {
    script('run', '#!/bin/sh\nexit 0\n');
    const closed = openSync('/dev/null', 'r');
    closeSync(closed);
    expect(() => processes.spawn(request('./run', { descriptors: [[0, closed]] }), () => {})).toThrow(
      expect.objectContaining({ code: 'EBADF', syscall: 'posix_spawn', path: './run' }),
    );
  });
});

describe('what is started gets what was asked for', () => {
  test('arguments and environment byte for byte, empty ones too, and nothing else', async () => {
    const bytes = Buffer.from([0x61, 0xff, 0x0a]);
    const file = Buffer.from('/bin/sh');
    const argv = [Buffer.from('sh'), Buffer.from('-c'), Buffer.from('cat /proc/self/environ; printf "%s|" "$@"')];
    const environment = [Buffer.concat([Buffer.from('A='), bytes]), Buffer.from('PATH=/bin')];
    const output = await outputOf(
      request('', { file, argv: [...argv, Buffer.from('x'), bytes, Buffer.alloc(0)], environment }),
    );
    // sh may add PWD and its like to what it passes on.
    expect(output.toString('latin1')).toContain('A=a\xff\n\0');
    expect(output.toString('latin1')).toMatch(/a\xff\n\|\|$/);
  });

  test('its directory, which may have another name by then', async () => {
    const output = await outputOf(request('/bin/pwd', { argv: [Buffer.from('pwd'), Buffer.from('-P')] }));
    expect(output.toString()).toBe(`${dir}\n`);
  });

  test('the descriptors asked for and those that lack close-on-exec; ours stay closed', async () => {
    const secret = openSync('/dev/null', 'r');
    script('list', '#!/bin/sh\nexec ls -l /proc/self/fd\n');
    const given = openSync('/dev/zero', 'r');
    const output = (await outputOf(request('./list', { descriptors: [[9, given]] }))).toString();
    closeSync(given);
    closeSync(secret);
    expect(output).toMatch(/ 9 -> \/dev\/zero/);
    expect(output).not.toContain(` ${secret} -> /dev/null`);
  });

  test('two descriptors for one of ours, and one that stays where it is', async () => {
    const fd = openSync(join(dir, 'both'), 'w');
    script('both.sh', '#!/bin/sh\necho out\necho err >&2\n');
    await run(
      request('./both.sh', {
        descriptors: [
          [1, fd],
          [2, fd],
        ],
      }),
    );
    closeSync(fd);
    expect(readFileSync(join(dir, 'both'), 'utf8')).toBe('out\nerr\n');
  });

  test('each of ours, although its number is the directory’s or another’s in the new process', async () => {
    const [zero, full] = [openSync('/dev/zero', 'r'), openSync('/dev/full', 'r')];
    const before = readdirSync('/proc/self/fd').length;
    script('list', '#!/bin/sh\npwd -P\nexec ls -l /proc/self/fd\n');
    const descriptors: SpawnRequest['descriptors'] = [
      [zero, full],
      [full, zero],
      [directoryFd, zero],
    ];
    const output = (await outputOf(request('./list', { descriptors }))).toString();
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
    closeSync(zero);
    closeSync(full);
    expect(output.split('\n')[0]).toBe(dir);
    expect(output).toMatch(new RegExp(` ${zero} -> /dev/full`));
    expect(output).toMatch(new RegExp(` ${full} -> /dev/zero`));
    expect(output).toMatch(new RegExp(` ${directoryFd} -> /dev/zero`));
  });

  test('no signals ignored and none blocked, whatever Node does', async () => {
    const lines = await signalLines(request('/bin/grep'));
    expect(lines).toEqual({ SigBlk: 0n, SigIgn: 0n });
  });

  test('the signals ignored and blocked that were asked for', async () => {
    const { SIGHUP, SIGINT, SIGUSR1, SIGCHLD } = os.signals;
    const lines = await signalLines(
      request('/bin/grep', {
        ignoredSignals: signalBit(SIGHUP) | signalBit(SIGINT),
        blockedSignals: signalBit(SIGUSR1) | signalBit(SIGCHLD),
      }),
    );
    expect(lines).toEqual({
      SigBlk: signalBit(SIGUSR1) | signalBit(SIGCHLD),
      SigIgn: signalBit(SIGHUP) | signalBit(SIGINT),
    });
  });

  test('signals that belong to the C library are left out: a caller may have had them ignored', async () => {
    const { SIGHUP } = os.signals;
    const ofTheLibrary = signalBit(32) | signalBit(33);
    const lines = await signalLines(request('/bin/grep', { ignoredSignals: ofTheLibrary | signalBit(SIGHUP) }));
    expect(lines.SigIgn & ~ofTheLibrary).toBe(signalBit(SIGHUP));
  });

  test('and this process goes on handling a signal that the new one ignores', async () => {
    const heard = new Promise((resolve) => void process.once('SIGUSR2', resolve));
    await run(request('/bin/true', { ignoredSignals: signalBit(os.signals.SIGUSR2) }));
    process.kill(process.pid, 'SIGUSR2');
    await expect(heard).resolves.toBe('SIGUSR2');
  });

  test('a descriptor limit, below what this process has open', async () => {
    const fds = Array.from({ length: 40 }, () => openSync('/dev/null', 'r'));
    const { hard } = readLimit('nofile');
    const before = readLimit('nofile');
    const output = await outputOf(
      request('/bin/sh', {
        argv: ['sh', '-c', 'ulimit -Sn'].map((word) => Buffer.from(word)),
        descriptorLimit: { soft: 16n, hard },
      }),
    );
    for (const fd of fds) closeSync(fd);
    expect(output.toString()).toBe('16\n');
    expect(readLimit('nofile')).toEqual(before);
  });

  test('that limit back here after a start that failed, too', () => {
    const before = readLimit('nofile');
    expect(start(request('./missing', { descriptorLimit: { soft: 16n, hard: before.hard } }))).toBe('ENOENT');
    expect(readLimit('nofile')).toEqual(before);
  });

  async function signalLines(
    spawnRequest: SpawnRequest,
  ): Promise<{ readonly SigBlk: bigint; readonly SigIgn: bigint }> {
    const argv = ['grep', '^Sig', '/proc/self/status'].map((word) => Buffer.from(word));
    const text = (await outputOf({ ...spawnRequest, argv })).toString();
    const value = (name: string): bigint => BigInt(`0x${new RegExp(`^${name}:\\s*(\\w+)`, 'm').exec(text)?.[1]}`);
    return { SigBlk: value('SigBlk'), SigIgn: value('SigIgn') };
  }
});

describe('a mark', () => {
  let markFd: number;
  beforeEach(() => {
    markFd = openSync(join(dir, 'mark'), 'w+');
    writeSync(markFd, '1');
  });
  afterEach(() => closeSync(markFd));
  const size = (): number => fstatSync(markFd).size;

  test('is emptied by the new process, and neither process has more open than without', async () => {
    script('list', '#!/bin/sh\nls -l /proc/$$/fd\n');
    const before = readdirSync('/proc/self/fd').length;
    const plain = (await outputOf(request('./list'))).toString();
    expect(size()).toBe(1);
    const marked = (await outputOf(request('./list', { markFd }))).toString();
    expect(size()).toBe(0);
    const links = (text: string): unknown => text.match(/\d+ -> .*/g);
    expect(links(marked)).toEqual(links(plain));
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
  });

  test('is emptied although its name is gone, and whatever takes its number', async () => {
    rmSync(join(dir, 'mark'));
    const other = openSync('/dev/zero', 'r');
    await run(request('/bin/true', { markFd, descriptors: [[markFd, other]] }));
    closeSync(other);
    expect(size()).toBe(0);
  });

  test('is emptied by a process that cannot execute its program, too', () => {
    expect(start(request('./missing', { markFd }))).toBe('ENOENT');
    expect(size()).toBe(0);
  });

  test('is emptied although no number is free below the limit of the process', async () => {
    const many = Array.from({ length: 40 }, () => openSync('/dev/null', 'r'));
    const { hard } = readLimit('nofile');
    await run(request('/bin/true', { markFd, descriptorLimit: { soft: 12n, hard } }));
    for (const fd of many) closeSync(fd);
    expect(size()).toBe(0);
  });

  test('is emptied before the start where the process needs all numbers that it may have', () => {
    const { hard } = readLimit('nofile');
    const all = Array.from({ length: 8 }, (_, fd) => [fd, 1] as const);
    expect(
      start(request('./missing', { markFd, descriptors: all.slice(2), descriptorLimit: { soft: 8n, hard } })),
    ).toBe('ENOENT');
    expect(size()).toBe(0);
  });

  test('is as it was where there was no process', () => {
    expect(start(request('./run', { markFd, descriptors: [[2 ** 30, 1]] }))).toBe('EBADF');
    expect(size()).toBe(1);
  });
});

describe('the end of a process', () => {
  test.each([0, 1, 111, 255])('exit code %i is told', async (exitCode) => {
    const argv = ['sh', '-c', `exit ${exitCode}`].map((word) => Buffer.from(word));
    expect(await run(request('/bin/sh', { argv }))).toEqual({ exitCode });
  });

  test('a signal is told by its number', async () => {
    const argv = ['sleep', '1000'].map((word) => Buffer.from(word));
    const ended = new Promise<ProcessEnd>((resolve) => {
      const pid = processes.spawn(request('/bin/sleep', { argv }), resolve);
      processes.signal(pid, 'SIGKILL');
    });
    expect(await ended).toEqual({ signal: 9 });
  });

  test('a stopped process has not ended', async () => {
    const argv = ['sleep', '1000'].map((word) => Buffer.from(word));
    const ended = new Promise<ProcessEnd>((resolve) => {
      const pid = processes.spawn(request('/bin/sleep', { argv }), resolve);
      processes.signal(pid, 'SIGSTOP');
      processes.signal(pid, 'SIGTERM');
      processes.signal(pid, 'SIGCONT');
    });
    expect(await ended).toEqual({ signal: 15 });
  });

  test('after it, signals go nowhere', async () => {
    let pid = 0;
    await new Promise((resolve) => (pid = processes.spawn(request('/bin/true'), resolve)));
    expect(() => processes.signal(pid, 'SIGKILL')).not.toThrow();
    expect(() => processes.signal(1, 'SIGCONT')).not.toThrow();
  });

  test('a hundred at once are all told', async () => {
    const ends = await Promise.all(Array.from({ length: 100 }, () => run(request('/bin/true'))));
    expect(ends).toEqual(Array.from({ length: 100 }, () => ({ exitCode: 0 })));
  });

  test('an error in who is told is reported, and the others are told', async () => {
    processes.spawn(request('/bin/true'), () => {
      throw new Error('forgetful');
    });
    expect(await run(request('/bin/true'))).toEqual({ exitCode: 0 });
    await vi.waitFor(() => expect(errors).toHaveLength(1), { timeout: 4500 }); // either may end first
    expect(errors.splice(0)).toEqual([expect.objectContaining({ message: 'forgetful' })]);
  });

  describe('where orphans are left to this process', () => {
    const zombies = (): number =>
      readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isOurZombie(`/proc/${name}/stat`)).length;
    /** A process that leaves one behind, whose pid it tells and which does what the script says. */
    const orphan = async (behind: string): Promise<ProcessIdentity> => {
      const argv = ['sh', '-c', `sh -c '${behind}' & echo $!`].map((word) => Buffer.from(word));
      const pid = Number(await outputOf(request('/bin/sh', { argv })));
      return { pid, startTicks: readProcess(pid)?.startTicks ?? 0 };
    };
    beforeEach(() => setSubreaper(true));
    afterEach(() => setSubreaper(false));

    test('they are reaped at once, however many, and ours are told meanwhile', async () => {
      const script = 'for n in 1 2 3 4 5 6 7 8 9 10; do ((exec true) & (exec true) & (exec true) &); done';
      const argv = ['sh', '-c', script].map((word) => Buffer.from(word));
      expect(await Promise.all([1, 2, 3].map(() => run(request('/bin/sh', { argv }))))).toEqual(
        [1, 2, 3].map(() => ({ exitCode: 0 })),
      );
      expect(await run(request('/bin/true'))).toEqual({ exitCode: 0 });
      await vi.waitFor(() => expect(zombies()).toBe(0), { timeout: 4500, interval: 10 });
    });

    test('one that is taken is told of as ours are, by its true end', async () => {
      const { promise, resolve } = Promise.withResolvers<ProcessEnd>();
      const found = await orphan('sleep 1000; exit 7');
      expect(processes.adopt(found, resolve)).toBe(true);
      expect(processes.adopt(found, () => {})).toBe(false);
      kill(await childOf(found.pid), 'SIGTERM');
      expect(await promise).toEqual({ exitCode: 7 });
      expect(processes.adopt(found, () => {})).toBe(false);
    });

    test('one that is taken gets signals, and none once it is let go; it is reaped all the same', async () => {
      const onEnd = vi.fn();
      const found = await orphan('exec sleep 1000');
      processes.signal(found.pid, 'SIGKILL');
      expect(processes.adopt(found, onEnd)).toBe(true);
      processes.signal(found.pid, 'SIGSTOP');
      await vi.waitFor(() => expect(readProcess(found.pid)?.state).toBe('T'));
      processes.forget(found.pid);
      processes.signal(found.pid, 'SIGKILL');
      expect(readProcess(found.pid)?.state).toBe('T');
      kill(found.pid, 'SIGKILL');
      await vi.waitFor(() => expect(readProcess(found.pid)).toBeUndefined());
      expect(onEnd).not.toHaveBeenCalled();
    });

    test('none is taken that is another by now, or nobody’s that was left here', async () => {
      const found = await orphan('exec sleep 1000');
      expect(processes.adopt({ ...found, startTicks: found.startTicks + 1 }, () => {})).toBe(false);
      expect(
        processes.adopt({ pid: process.ppid, startTicks: readProcess(process.ppid)?.startTicks ?? 0 }, () => {}),
      ).toBe(false);
      kill(found.pid, 'SIGKILL');
    });

    test('a child of child_process has its exit told by Node among them', async () => {
      const { spawn } = await import('node:child_process');
      spawn('/no/such/program').on('error', () => {});
      const ends = Array.from({ length: 20 }, async (_, index) => {
        const child = spawn('/bin/sh', ['-c', `(exec true) & (exec true) & exit ${index}`]);
        const orphans = run(
          request('/bin/sh', { argv: ['sh', '-c', '(exec true) &'].map((word) => Buffer.from(word)) }),
        );
        await orphans;
        return child.exitCode ?? (await new Promise((resolve) => void child.once('exit', resolve)));
      });
      expect(await Promise.all(ends)).toEqual(Array.from({ length: 20 }, (_, index) => index));
      expect(spawnSync('/bin/sh', ['-c', 'exit 8']).status).toBe(8);
      await vi.waitFor(() => expect(zombies()).toBe(0), { timeout: 4500, interval: 10 });
    });
  });

  test('a child of child_process beside ours has its exit told by Node, and ours are told, too', async () => {
    const { spawn } = await import('node:child_process');
    const theirs = Array.from({ length: 5 }, () => spawn('/bin/sh', ['-c', 'exit 7']));
    const theirEnds = theirs.map((child) => new Promise((resolve) => void child.once('exit', resolve)));
    const ourEnds = Array.from({ length: 5 }, () => run(request('/bin/true')));
    expect(await Promise.all(theirEnds)).toEqual([7, 7, 7, 7, 7]);
    expect(await Promise.all(ourEnds)).toEqual(Array.from({ length: 5 }, () => ({ exitCode: 0 })));
    expect(spawnSync('/bin/sh', ['-c', 'exit 8']).status).toBe(8);
  });
});
