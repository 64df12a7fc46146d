import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PluginFactory, ServiceDirectory, ServiceStatus } from '@daemontap/kernel';
import { tryLock } from '@daemontap/posix';
import { applyAlone } from '@daemontap/testkit';
import type { AppliedPlugin } from '@daemontap/testkit';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, expectTypeOf, test } from 'vitest';
import { RECORD_SIZE, runRecord } from './index.ts';
import type { RecordFileHeader, RunRecord } from './index.ts';

let stateDir: string;
let plugin: AppliedPlugin;
let services: ServiceDirectory[];

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'daemontap-records-'));
  plugin = applyAlone(runRecord(), { stateDir });
  services = [];
});
afterEach(() => {
  for (const each of [...services]) release(each); // the file is closed with the last one
  rmSync(stateDir, { recursive: true });
});

const service = (label: string, identity: string, role: ServiceDirectory['role'] = 'service'): ServiceDirectory => ({
  label,
  role,
  hasLog: false,
  identity,
  path: '/nowhere',
});
const tell = (directory: ServiceDirectory, status: Partial<ServiceStatus> = {}): void => {
  if (!services.includes(directory)) services.push(directory);
  plugin.call('statusChanged', directory, { pid: undefined, paused: false, want: 'up', sinceNs: 5n, ...status });
};
const release = (directory: ServiceDirectory): void => {
  services = services.filter((each) => each !== directory);
  plugin.call('serviceReleased', directory);
};
const idle: ServiceStatus = { pid: undefined, paused: false, want: 'up', sinceNs: 0n };
const path = (): string => join(stateDir, `records-${process.pid}`);
/** The lines; every one has its length, or this fails. */
const lines = (): readonly string[] => {
  const bytes = readFileSync(path());
  expect(bytes.length % RECORD_SIZE).toBe(0);
  return Array.from({ length: bytes.length / RECORD_SIZE }, (_, index) => {
    const line = bytes.subarray(index * RECORD_SIZE, (index + 1) * RECORD_SIZE);
    expect(line.indexOf(0x0a)).toBe(RECORD_SIZE - 1);
    return line.toString().trim();
  });
};
const record = (index: number): RunRecord => JSON.parse(lines()[index] ?? '') as RunRecord;
const ownTicks = (): string | undefined =>
  readFileSync('/proc/self/stat', 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ')[19];

test('nothing is made before there is a service', () => {
  expect(readdirSync(stateDir)).toEqual([]);
});

test('the first line says which kernel wrote it, and where its pids mean something', () => {
  tell(service('finger', '1-2'));
  const header = JSON.parse(lines()[0] ?? '') as RecordFileHeader;
  expect(header).toEqual({
    version: 1,
    kernelPid: process.pid,
    bootId: expect.stringMatching(/^[\da-f-]{36}$/),
    pidNamespace: expect.stringMatching(/^pid:\[\d+\]$/),
  });
});

test('a service that runs is recorded with what makes its pid unique', () => {
  tell(service('finger', '1-2'), { pid: process.pid, want: 'once', paused: true, sinceNs: 1_700_000_000_000_000_500n });
  expect(record(1)).toEqual({
    identity: '1-2',
    role: 'service',
    pid: process.pid,
    startTicks: ownTicks(),
    want: 'once',
    paused: true,
    sinceNs: '1700000000000000500',
    label: 'finger',
  });
});

test('one that does not run has neither pid nor start time', () => {
  const finger = service('finger', '1-2');
  tell(finger, { pid: process.pid });
  tell(finger);
  expect(Object.keys(record(1))).toEqual(['identity', 'role', 'want', 'paused', 'sinceNs', 'label']);
});

test('a service and its log have a line each, and keep it', () => {
  const [main, log] = [service('finger', '1-2'), service('finger/log', '1-2', 'log')];
  for (const each of [main, log, main, log]) tell(each);
  tell(main, { want: 'down' });
  expect(lines()).toHaveLength(3);
  expect([record(1), record(2)]).toMatchObject([
    { role: 'service', want: 'down' },
    { role: 'log', want: 'up' },
  ]);
});

test('a line that was freed is blank, and is the next one to be used', () => {
  const [a, b, c] = [service('a', '1-2'), service('b', '1-3'), service('c', '1-4')];
  for (const each of [a, b, c]) tell(each);
  release(b);
  expect(lines()[2]).toBe('');
  tell(service('d', '1-5'));
  expect([lines().length, record(2).label]).toEqual([4, 'd']);
  tell(service('e', '1-6'));
  expect([lines().length, record(4).label]).toEqual([5, 'e']);
});

test('with its last service the file goes, and comes again with the next', () => {
  const finger = service('finger', '1-2');
  tell(finger);
  release(finger);
  expect(existsSync(path())).toBe(false);
  release(finger);
  tell(finger);
  expect(record(1).label).toBe('finger');
});

test('a long label is cut at a whole character', () => {
  tell(service('é'.repeat(300), '1-2'));
  const { label } = record(1);
  expect(label).toMatch(/^é{30,}$/);
});

test('any label fits, and the line stays JSON', () => {
  const finger = service('', '1-2');
  services.push(finger);
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (label) => {
      tell({ ...finger, label });
      const shown = record(1).label;
      expect(Buffer.byteLength(lines()[1] ?? '')).toBeLessThan(RECORD_SIZE);
      expect(label.toWellFormed().startsWith(shown.replace(/\ufffd$/, ''))).toBe(true);
    }),
  );
  services = [finger];
});

test('a process that cannot be found is said once, and nothing is thrown', () => {
  const finger = service('finger', '1-2');
  tell(finger, { pid: 4_194_304 });
  tell(finger, { pid: 4_194_304, paused: true });
  expect(plugin.said.map(({ level, message }) => [level, message])).toEqual([
    ['warning', 'unable to record what is running'],
  ]);
});

test('a state directory that is not there is said once, until it works again', () => {
  const finger = service('finger', '1-2');
  const broken = applyAlone(runRecord(), { stateDir: join(stateDir, 'later') });
  const status: ServiceStatus = { pid: undefined, paused: false, want: 'up', sinceNs: 0n };
  for (let count = 0; count < 3; count++) broken.call('statusChanged', finger, status);
  expect(broken.said).toHaveLength(1);
});

test('a state directory that fails once: the next change of a status is recorded', () => {
  const later = join(stateDir, 'later');
  const recovering = applyAlone(runRecord(), { stateDir: later });
  const finger = service('finger', '1-2');
  recovering.call('statusChanged', finger, idle);
  mkdirSync(later);
  recovering.call('statusChanged', finger, idle);
  expect(recovering.said).toHaveLength(1);
  expect(readFileSync(join(later, `records-${process.pid}`)).length).toBe(2 * RECORD_SIZE);
  recovering.call('serviceReleased', finger);
  expect(readdirSync(later)).toEqual([]);
});

test('a file that another has locked: it is taken once it is free, and no descriptor is lost meanwhile', () => {
  const other = openSync(path(), 'w');
  tryLock(other);
  const before = readdirSync('/proc/self/fd').length;
  const finger = service('finger', '1-2');
  for (let count = 0; count < 5; count++) tell(finger);
  expect(readdirSync('/proc/self/fd')).toHaveLength(before);
  closeSync(other);
  tell(finger);
  expect(plugin.said).toHaveLength(1);
  expect(record(1).label).toBe('finger');
});

test('a disk that is full at the beginning: records are kept once there is room, and the file goes with the last', (context) => {
  const disk = join(stateDir, 'disk');
  mkdirSync(disk);
  // One page for all: the filler takes it.
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'daemontap-test', disk]).status === 0;
  if (!isMounted) context.skip('it needs the right to mount');
  try {
    writeFileSync(join(disk, 'filler'), 'x');
    const recovering = applyAlone(runRecord(), { stateDir: disk });
    const finger = service('finger', '1-2');
    for (let count = 0; count < 3; count++) recovering.call('statusChanged', finger, idle);
    expect(recovering.said).toEqual([expect.objectContaining({ cause: expect.objectContaining({ code: 'ENOSPC' }) })]);
    rmSync(join(disk, 'filler'));
    recovering.call('statusChanged', finger, idle);
    expect(readFileSync(join(disk, `records-${process.pid}`)).length).toBe(2 * RECORD_SIZE);
    recovering.call('serviceReleased', finger);
    expect(readdirSync(disk)).toEqual([]);
  } finally {
    spawnSync('umount', ['-l', disk]);
  }
});

test('the file is for its owner alone', () => {
  tell(service('finger', '1-2'));
  expect(statSync(path()).mode & 0o777).toBe(0o600);
});

test('its factory takes no options, and a record has the words of the hooks', () => {
  expectTypeOf(runRecord).toEqualTypeOf<PluginFactory>();
  expectTypeOf<RunRecord['want']>().toEqualTypeOf<ServiceStatus['want']>();
  // @ts-expect-error: there are none
  expect(() => runRecord({ loud: true })).toThrow('it takes none, and was given loud');
});
