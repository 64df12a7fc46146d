/** The plugin on real files: what it writes, and what a later kernel makes of what it finds. */
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LeftService, Plugin, PluginFactory, ServiceDirectory, ServiceStatus, SpawnPlan } from '@daemontap/kernel';
import { readProcess } from '@daemontap/posix';
import { applyAlone, basePlan, simulateScan } from '@daemontap/testkit';
import type { AppliedPlugin } from '@daemontap/testkit';
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from 'vitest';
import { encodeLine, encodeRecord, parseHeader, parseRecord } from './record.ts';
import { RECORD_SIZE, runRecord } from './index.ts';
import type { RecordFileHeader, RunRecord } from './index.ts';

let stateDir: string;
let serviceDir: string;
/** One after the other: each is a kernel's. */
let plugin: AppliedPlugin;
const kernels: AppliedPlugin[] = [];

const begin = (dir = stateDir): AppliedPlugin => {
  plugin = applyAlone(runRecord(), { stateDir: dir });
  kernels.push(plugin);
  return plugin;
};
/** The end of a kernel that was killed: its files are closed, and that is all. */
const killed = (): AppliedPlugin => {
  plugin.close();
  return begin();
};

beforeEach(() => {
  const dir = mkdtempSync(join(tmpdir(), 'daemontap-records-'));
  stateDir = join(dir, 'state');
  serviceDir = join(dir, 'service');
  mkdirSync(stateDir);
  mkdirSync(serviceDir);
  begin();
});
afterEach(() => {
  for (const each of kernels.splice(0)) each.close();
  rmSync(join(stateDir, '..'), { recursive: true });
});

const service = (label: string, identity = '1-2', role: ServiceDirectory['role'] = 'service'): ServiceDirectory => ({
  label,
  role,
  hasLog: false,
  identity,
  get path() {
    return serviceDir;
  },
});
const finger = service('finger');
const idle: ServiceStatus = {
  pid: undefined,
  paused: false,
  want: 'up',
  sinceNs: 5n,
  startDue: false,
  leaving: false,
};
const tell = (status: Partial<ServiceStatus> = {}, directory = finger): void => {
  plugin.call('statusChanged', directory, { ...idle, ...status });
};
const running = { pid: process.pid, sinceNs: 1_700_000_000_000_000_500n };
const ownTicks = readProcess(process.pid)?.startTicks;
const found = (directory = finger): LeftService | undefined => plugin.call('findRunning', directory)[0] as never;
const prepared = (directory = finger): SpawnPlan => plugin.call('prepareSpawn', basePlan, directory)[0] as never;
const intend = (intent: 'start' | 'stop', directory = finger): void => {
  plugin.call('intended', directory, intent);
};
const path = (name = 'records'): string => join(stateDir, name);
const mark = (): string => path('records.mark');
/** The lines; every one has its length, or this fails. */
const lines = (name?: string): readonly Buffer[] => {
  const bytes = readFileSync(path(name));
  expect(bytes.length % RECORD_SIZE).toBe(0);
  return Array.from({ length: bytes.length / RECORD_SIZE }, (_, index) =>
    bytes.subarray(index * RECORD_SIZE, (index + 1) * RECORD_SIZE),
  );
};
const record = (index = 1, name?: string): RunRecord | undefined => parseRecord(lines(name)[index] ?? Buffer.alloc(0));
const said = (): readonly string[] => plugin.said.map(({ level, message }) => `${level}: ${message}`);

/** A file that a kernel has left, with these lines behind its header. */
function leave(recordLines: readonly Buffer[], header: Partial<Record<keyof RecordFileHeader, unknown>> = {}): void {
  tell();
  const current = parseHeader(lines()[0] ?? Buffer.alloc(0));
  plugin.close();
  writeFileSync(path(), Buffer.concat([encodeLine(JSON.stringify({ ...current, ...header })), ...recordLines]), {
    mode: 0o600,
  });
  begin();
}
const leftRecord: RunRecord = {
  identity: '1-2',
  role: 'service',
  directory: '1-2',
  pid: process.pid,
  startTicks: ownTicks,
  want: 'up',
  paused: false,
  startDue: false,
  leaving: false,
  sinceNs: '5',
  ends: [],
  label: 'finger',
};
const known = { process: { pid: process.pid, startTicks: ownTicks }, want: 'up' };

describe('what is written', () => {
  test('nothing is made before there is a service', () => {
    expect(readdirSync(stateDir)).toEqual([]);
  });

  test('the first line says whose the others are, and where pids mean something', () => {
    tell();
    expect(parseHeader(lines()[0] ?? Buffer.alloc(0))).toEqual({
      version: 2,
      kernelPid: process.pid,
      sessionId: readProcess(process.pid)?.sessionId,
      ancestorPids: expect.arrayContaining([process.ppid]),
      bootId: expect.stringMatching(/^[\da-f-]{36}$/),
      pidNamespace: expect.stringMatching(/^pid:\[\d+\]$/),
      initStartTicks: readProcess(1)?.startTicks,
    });
  });

  test('a service that runs is recorded with what makes its pid unique', () => {
    tell({ ...running, want: 'once', paused: true, leaving: true });
    expect(record()).toEqual({
      identity: '1-2',
      role: 'service',
      directory: '1-2',
      pid: process.pid,
      startTicks: ownTicks,
      want: 'once',
      paused: true,
      startDue: false,
      leaving: true,
      sinceNs: '1700000000000000500',
      ends: [],
      label: 'finger',
    });
  });

  test('one that does not run has neither pid nor start time, and its ends are kept', () => {
    tell(running);
    plugin.call('serviceEnded', finger, process.pid, { exitCode: 3 });
    tell({ startDue: true });
    expect(record()).toMatchObject({ startDue: true, ends: [expect.stringMatching(/^e3 \d+$/)] });
    expect(record()).not.toHaveProperty('pid');
    expect(record()).not.toHaveProperty('startTicks');
  });

  test('an intent is written before, and taken back by what follows', () => {
    tell();
    expect(prepared().markFd).toBeTypeOf('number');
    expect(readFileSync(mark(), 'latin1')).toBe('');
    intend('start');
    expect(readFileSync(mark(), 'latin1')).toBe('1');
    expect(record()).toMatchObject({ startDue: true, intent: { type: 'start', fromTicks: expect.any(Number) } });
    plugin.call('serviceStarted', finger, process.pid);
    expect(record()).toMatchObject({ pid: process.pid, startTicks: ownTicks, startDue: false });
    expect(record()).not.toHaveProperty('intent');
    intend('stop');
    expect(record()).toMatchObject({ pid: process.pid, want: 'down', intent: { type: 'stop' } });
    tell({ ...running, want: 'down' });
    expect(record()).not.toHaveProperty('intent');
  });

  test('a kernel that is killed before it tells of a start has recorded since when that runs', () => {
    tell({ ...running, sinceNs: 5n });
    prepared();
    intend('start');
    plugin.call('serviceStarted', finger, process.pid);
    const startedNs = plugin.clock.wallNs();
    killed();
    expect(found()).toMatchObject({ ...known, sinceNs: startedNs });
  });

  test('a start that failed is not under way any more', () => {
    tell();
    prepared();
    intend('start');
    tell({ startDue: true });
    expect(record()).not.toHaveProperty('intent');
  });

  test('a service and its log have a line each, and keep it', () => {
    const log = service('finger/log', '1-2', 'log');
    for (const each of [finger, log, finger, log]) tell({}, each);
    tell({ want: 'down' });
    const { dev, ino } = statSync(serviceDir);
    expect(lines()).toHaveLength(3);
    expect([record(1), record(2)]).toMatchObject([
      { role: 'service', want: 'down', directory: '1-2' },
      { role: 'log', want: 'up', directory: `${dev}-${ino}` },
    ]);
  });

  test('a line that was freed is blank, and is the next one to be used', () => {
    const [a, b, c] = [service('a', '1-2'), service('b', '1-3'), service('c', '1-4')];
    for (const each of [a, b, c]) tell({}, each);
    plugin.call('serviceReleased', b);
    expect(lines()[2]?.toString().trim()).toBe('');
    tell({}, service('d', '1-5'));
    expect([lines().length, record(2)?.label]).toEqual([4, 'd']);
    tell({}, service('e', '1-6'));
    expect([lines().length, record(4)?.label]).toEqual([5, 'e']);
  });

  test('with its last service the file goes, and its mark, and both come again with the next', () => {
    tell();
    prepared();
    expect(readdirSync(stateDir)).toEqual(['records', 'records.mark']);
    plugin.call('serviceReleased', finger);
    expect(readdirSync(stateDir)).toEqual([]);
    plugin.call('serviceReleased', finger);
    tell();
    expect(record()?.label).toBe('finger');
  });

  test('both files are for their owner alone', () => {
    tell();
    prepared();
    expect([path(), mark()].map((each) => statSync(each).mode & 0o777)).toEqual([0o600, 0o600]);
  });

  test('a mark that is closed is in no plan any more', () => {
    tell();
    const kept = prepared();
    plugin.close();
    expect(kept.markFd).toBeUndefined();
  });
});

describe('what a killed kernel has left', () => {
  test('is told as it was, each time that is asked for until it is released', () => {
    tell({ ...running, want: 'once', leaving: true });
    const log = service('finger/log', '1-2', 'log');
    tell({ want: 'down', startDue: true, sinceNs: 7n }, log);
    killed();
    const expected = {
      process: { pid: process.pid, startTicks: ownTicks },
      want: 'once',
      startDue: false,
      leaving: true,
      stopDue: false,
      sinceNs: running.sinceNs,
    };
    // Supervision may fail to begin the first time.
    expect([found(), found()]).toEqual([expected, expected]);
    expect(found(log)).toMatchObject({ process: undefined, want: 'down', startDue: true, sinceNs: 7n });
    expect(found(service('other', '1-9'))).toBeUndefined();
    plugin.call('serviceReleased', finger);
    expect(found()).toBeUndefined();
  });

  test('is gone on with in place: same file, same lines, and a second kill changes nothing', () => {
    const log = service('finger/log', '1-2', 'log');
    tell({}, log);
    tell(running);
    const inode = statSync(path()).ino;
    const before = lines();
    killed();
    found();
    expect([statSync(path()).ino, lines()]).toEqual([inode, before]);
    killed();
    expect([found(), found(log)]).toMatchObject([known, { process: undefined }]);
    tell({ want: 'down' });
    expect([record(1)?.role, record(2)]).toMatchObject(['log', { want: 'down' }]);
    expect(said()).toEqual([]);
  });

  test('a stop that was about to be told is due', () => {
    tell(running);
    intend('stop');
    killed();
    expect(found()).toMatchObject({ ...known, want: 'down', stopDue: true });
  });

  describe('a start that was not recorded', () => {
    beforeEach(() => {
      prepared();
      intend('start');
    });

    test('had not begun where the mark is full: it is due', () => {
      killed();
      expect(found()).toMatchObject({ process: undefined, startDue: true });
    });

    test('had begun where the mark is empty, and has ended where there is no such process: it is not due', () => {
      truncateSync(mark());
      killed();
      const left = found();
      expect(left).toMatchObject({ process: undefined, startDue: false });
      expect(Math.abs(Number(left?.sinceNs) / 1e6 - Date.now())).toBeLessThan(60_000);
    });

    test.each(['empty', 'missing'])('had begun where the mark is %s and there is such a process', async (what) => {
      const { dev, ino } = statSync(serviceDir);
      const here = service('here', `${dev}-${ino}`);
      tell(); // one start is under way at a time
      intend('start', here);
      const child = spawn('sleep', ['1000'], { cwd: serviceDir, stdio: 'ignore' });
      try {
        if (what === 'empty') truncateSync(mark());
        else rmSync(mark());
        killed();
        const startTicks = readProcess(child.pid ?? 0)?.startTicks;
        expect(found(here)).toMatchObject({ process: { pid: child.pid, startTicks }, startDue: false });
        // From now on it is on record.
        expect(record(2)).toMatchObject({ pid: child.pid, startTicks });
        expect(record(2)).not.toHaveProperty('intent');
      } finally {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await ended;
      }
    });

    test('is due where the mark is missing and there is no such process', () => {
      rmSync(mark());
      killed();
      expect(found()).toMatchObject({ process: undefined, startDue: true });
    });

    test('is settled once: the mark of the dead kernel says nothing to the one after the next', () => {
      truncateSync(mark());
      killed();
      found();
      expect(existsSync(mark())).toBe(false);
      killed();
      expect(found()).toMatchObject({ startDue: false });
    });
  });

  test('a line that is torn, or is none, is free; the others count', () => {
    const line = encodeRecord(leftRecord);
    const torn = Buffer.concat([line.subarray(0, 80), Buffer.alloc(RECORD_SIZE - 80)]);
    leave([torn, line, Buffer.alloc(RECORD_SIZE, 'x')]);
    expect(found()).toMatchObject(known);
    tell({}, service('other', '1-9'));
    tell({}, service('third', '1-10'));
    expect([record(1)?.label, record(2)?.label, record(3)?.label]).toEqual(
      expect.arrayContaining(['finger', 'other', 'third']),
    );
  });

  test('a file that was cut in the middle of a line has the lines before it', () => {
    leave([encodeRecord(leftRecord), encodeRecord({ ...leftRecord, identity: '1-3' })]);
    plugin.close();
    truncateSync(path(), 2 * RECORD_SIZE + 100);
    begin();
    expect([found(), found(service('other', '1-3'))]).toEqual([expect.objectContaining(known), undefined]);
    tell({}, service('other', '1-3'));
    expect(lines()).toHaveLength(3);
  });

  test('of two lines for one service the first counts, and stays the one', () => {
    leave([encodeRecord(leftRecord), encodeRecord({ ...leftRecord, want: 'down' })]);
    expect(found()).toMatchObject({ want: 'up' });
    tell({ want: 'once' });
    killed();
    expect(found()).toMatchObject({ want: 'once' });
  });

  test('a line that lies is told as it stands: a pid and another start time are no process', () => {
    leave([encodeRecord({ ...leftRecord, startTicks: 1 })]);
    expect(found()).toMatchObject({ process: { pid: process.pid, startTicks: 1 } });
  });

  test.each([
    ['boot', { bootId: 'another' }],
    ['pid namespace', { pidNamespace: 'pid:[1]' }],
    ['first process, as in a container that was started again', { initStartTicks: 1 }],
  ])('of another %s means nothing now: the file begins anew, and nothing is said', (_what, header) => {
    leave([encodeRecord(leftRecord), encodeRecord({ ...leftRecord, identity: '1-3' })], header);
    expect(found()).toBeUndefined();
    tell();
    expect([lines().length, said()]).toEqual([2, []]);
    killed();
    expect(found()).toMatchObject({ process: undefined });
  });

  test('by a kernel of the same pid is no other: in a container all have the same', () => {
    leave([encodeRecord(leftRecord)], { kernelPid: process.pid });
    expect(found()).toMatchObject(known);
  });
});

describe('a file that is not believed', () => {
  const unusable = `warning: unable to use ${'PATH'}, it is kept as ${'PATH'}.unusable: `;
  const complaint = (reason: string): string => unusable.replaceAll('PATH', path()) + reason;
  const notAlone = 'it is not a file that only this user can write';

  test.each([
    ['of another version', () => leave([encodeRecord(leftRecord)], { version: 3 }), 'it is of version 3'],
    [
      'without a header',
      () => (leave([]), writeFileSync(path(), 'what is this?\n', { mode: 0o600 })),
      'it has no header',
    ],
    ['that is empty', () => (leave([]), writeFileSync(path(), '')), 'it has no header'],
    [
      'with a header that is none',
      () => leave([encodeRecord(leftRecord)], { ancestorPids: 'none' }),
      'it has no header',
    ],
    ['that has two names', () => (leave([encodeRecord(leftRecord)]), linkSync(path(), path('other'))), notAlone],
    ['that others can write', () => (leave([encodeRecord(leftRecord)]), chmodSync(path(), 0o622)), notAlone],
    [
      'that is a symlink',
      () => (leave([encodeRecord(leftRecord)]), renameSync(path(), path('other')), symlinkSync('other', path())),
      notAlone,
    ],
    ['that is a directory', () => mkdirSync(path()), notAlone],
    ['that is a FIFO', () => spawnSync('mkfifo', ['-m', '600', path()]), notAlone],
  ] as const)('%s is kept under another name, and that is said', (_what, make, reason) => {
    make();
    expect(found()).toBeUndefined();
    tell();
    expect(said()).toEqual([complaint(reason)]);
    expect(readdirSync(stateDir)).toEqual(expect.arrayContaining(['records', 'records.unusable']));
    expect(record()?.label).toBe('finger');
    found();
    expect(said()).toHaveLength(1);
  });

  test('of another owner is one of them', (context) => {
    leave([encodeRecord(leftRecord)]);
    if (spawnSync('chown', ['65534', path()]).status !== 0 || process.getuid?.() !== 0) context.skip('it needs root');
    expect(found()).toBeUndefined();
    expect(said()).toEqual([complaint(notAlone)]);
  });
});

describe('beside a living kernel', () => {
  let first: AppliedPlugin;
  beforeEach(() => {
    tell(running);
    first = plugin;
    begin();
  });

  test('there is a second file, and the first is left alone', () => {
    expect(found()).toBeUndefined();
    tell({}, service('other', '1-9'));
    expect(readdirSync(stateDir)).toEqual(['records', 'records-2']);
    expect([record(1)?.label, record(1, 'records-2')?.label, said()]).toEqual(['finger', 'other', []]);
  });

  test('what that has left once it is killed is found, and becomes a line of this one', () => {
    tell({}, service('other', '1-9'));
    first.close();
    expect(found()).toMatchObject(known);
    expect(readdirSync(stateDir)).toEqual(['records-2']);
    expect([record(1, 'records-2')?.label, record(2, 'records-2')?.label]).toEqual(['other', 'finger']);
  });

  test('the kernel after both goes on in one of the files, with the lines of both', () => {
    const other = service('other', '1-9');
    tell({ want: 'down' }, other);
    first.close();
    killed();
    expect([found(), found(other)]).toMatchObject([known, { want: 'down' }]);
    expect(readdirSync(stateDir)).toEqual(['records']);
  });

  test('a start that the killed one did not record is settled with its own mark', () => {
    first.call('prepareSpawn', basePlan, finger);
    first.call('intended', finger, 'start');
    tell({}, service('other', '1-9'));
    prepared(service('other', '1-9'));
    first.close();
    expect(found()).toMatchObject({ startDue: true });
    expect(readdirSync(stateDir)).toEqual(['records-2', 'records-2.mark']);
  });
});

describe('trouble', () => {
  test('no directory at all: services begin, records are kept once there is one, and it is said once', () => {
    const later = join(stateDir, 'later');
    begin(later);
    expect([found(), found(service('other', '1-9'))]).toEqual([undefined, undefined]);
    tell();
    prepared();
    intend('start');
    expect(said()).toEqual(['warning: unable to record what is running']);
    mkdirSync(later);
    tell();
    expect(said()).toHaveLength(1);
    expect(readFileSync(join(later, 'records')).length).toBe(2 * RECORD_SIZE);
    plugin.call('serviceReleased', finger);
    expect(readdirSync(later)).toEqual([]);
  });

  test('records that cannot be read refuse the service: it may run already', () => {
    leave([encodeRecord(leftRecord)]);
    linkSync(path(), path('other'));
    mkdirSync(path('records.unusable')); // in the way: it cannot be kept under that name
    expect(() => found()).toThrow(expect.objectContaining({ code: 'RECORD_FAILED' }));
    rmSync(path('other'));
    expect(found()).toMatchObject(known);
  });

  test('a process that cannot be found is no process, and nothing is thrown', () => {
    tell({ pid: 4_194_304 });
    expect(record()).not.toHaveProperty('pid');
    expect(said()).toEqual([]);
  });

  test('a log directory that is gone is said once, and nothing is thrown', () => {
    const log = service('finger/log', '1-2', 'log');
    rmSync(serviceDir, { recursive: true });
    tell({}, log);
    tell(running, log);
    expect(said()).toEqual(['warning: unable to record what is running']);
    mkdirSync(serviceDir);
  });

  test('a disk that is full at the beginning: records are kept once there is room, and the file goes with the last', (context) => {
    const disk = join(stateDir, 'disk');
    mkdirSync(disk);
    // One page for all: the filler takes it.
    const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'daemontap-test', disk]).status === 0;
    if (!isMounted) context.skip('it needs the right to mount');
    try {
      writeFileSync(join(disk, 'filler'), 'x');
      begin(disk);
      for (let count = 0; count < 3; count++) tell();
      expect(plugin.said).toEqual([expect.objectContaining({ cause: expect.objectContaining({ code: 'ENOSPC' }) })]);
      expect(readdirSync(disk)).toEqual(['filler']);
      rmSync(join(disk, 'filler'));
      tell();
      expect(readFileSync(join(disk, 'records')).length).toBe(2 * RECORD_SIZE);
      plugin.call('serviceReleased', finger);
      expect(readdirSync(disk)).toEqual([]);
    } finally {
      plugin.close();
      spawnSync('umount', ['-l', disk]);
    }
  });

  test('no descriptor is lost, however often it fails', () => {
    const broken = (): AppliedPlugin => begin(join(stateDir, 'nowhere'));
    broken();
    tell();
    const before = readdirSync('/proc/self/fd').length;
    for (let count = 0; count < 5; count++) tell();
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
  });
});

describe('in a kernel', () => {
  const scan = { services: { finger: {} } };
  /** The simulated world has no directories of its own. */
  const inStateDir = (): Plugin => {
    const made = runRecord();
    return { ...made, apply: (kernel) => made.apply({ ...kernel, stateDir: () => stateDir }) };
  };

  test('nothing is left once it has ended in order', async () => {
    const simulation = simulateScan({ ...scan, plugins: [inStateDir()] });
    await simulation.settle();
    expect(readdirSync(stateDir)).toEqual(['records', 'records.mark']);
    simulation.kernel.stop();
    simulation.endIn('/service/finger');
    await simulation.settle();
    expect([simulation.isDone(), readdirSync(stateDir), simulation.reports]).toEqual([true, [], []]);
  });

  test('left out while services run it leaves its records, and taken back it goes on with them', async () => {
    const simulation = simulateScan({ ...scan, plugins: [inStateDir()] });
    await simulation.settle();
    const [own] = simulation.plugins;
    if (own === undefined) throw new Error('there is no plugin of the simulation');
    const descriptors = readdirSync('/proc/self/fd').length;
    plugin.close();
    simulation.kernel.replacePlugins([own]);
    expect(readdirSync('/proc/self/fd').length).toBe(descriptors - 2);
    expect(record()).toMatchObject({ label: 'finger', want: 'up' });
    simulation.command('finger', 'o');
    expect(record()).toMatchObject({ want: 'up' });
    simulation.kernel.replacePlugins([own, inStateDir()]);
    expect(record()).toMatchObject({ label: 'finger', want: 'once' });
    expect(lines()).toHaveLength(2);
    simulation.kernel.stop();
    simulation.endIn('/service/finger');
    await simulation.settle();
    expect([simulation.isDone(), readdirSync(stateDir), simulation.reports]).toEqual([true, [], []]);
  });

  test('what nobody has asked for stays where it runs, and goes with the kernel where it does not', async () => {
    const gone = { ...leftRecord, identity: '1-8', startTicks: 1 };
    leave([encodeRecord(gone)]);
    const simulation = simulateScan({ ...scan, plugins: [inStateDir()] });
    await simulation.settle();
    simulation.kernel.stop();
    simulation.endIn('/service/finger');
    await simulation.settle();
    expect(readdirSync(stateDir)).toEqual([]);
    begin();
    leave([encodeRecord({ ...leftRecord, identity: '1-8' })]);
    const second = simulateScan({ ...scan, plugins: [inStateDir()] });
    await second.settle();
    second.kernel.stop();
    second.endIn('/service/finger');
    await second.settle();
    expect(record()).toMatchObject({ identity: '1-8', pid: process.pid });
  });
});

test('its factory takes no options', () => {
  expectTypeOf(runRecord).toEqualTypeOf<PluginFactory>();
  // @ts-expect-error: there are none
  expect(() => runRecord({ loud: true })).toThrow('it takes none, and was given loud');
});
