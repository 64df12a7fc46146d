import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SimulatedClock } from '@daemontap/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ExitHistory } from './exit-history.ts';
import type { KnownExit, ServiceKey } from './exit-history.ts';
import { temporaryDirectory } from './kernel.test-support.ts';

const finger: ServiceKey = { identity: '1-2', role: 'service' };
const log: ServiceKey = { identity: '1-2', role: 'log' };
const exit = (pid: number, more: Partial<KnownExit> = {}): KnownExit => ({
  ...{ pid, atNs: BigInt(pid) * 1_000_000_000n, end: { exitCode: 0 }, ranForMs: 5 },
  ...more,
});
let dir: string;
let clock: SimulatedClock;
let warnings: string[];

beforeEach(() => {
  dir = temporaryDirectory();
  clock = new SimulatedClock();
  warnings = [];
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const file = (): string => join(dir, 'exits');
const begin = (stateDir: () => string = () => dir): ExitHistory => {
  const warn = (message: string, cause: unknown): void => void warnings.push(`${message}: ${String(cause)}`);
  const history = new ExitHistory({ clock, stateDir, warn });
  history.open();
  return history;
};
/** What a kernel finds that comes now, as after one that was killed. */
const found = (service: ServiceKey): readonly number[] => {
  const history = begin();
  const pids = history.of(service).map(({ pid }) => pid);
  history.close({ isOver: false });
  return pids;
};

test('a later kernel knows what one that was killed has seen, once the turn is over', () => {
  const history = begin();
  const all = [exit(1), exit(2, { end: { signal: 9 }, ranForMs: undefined }), exit(3, { end: undefined })];
  for (const each of all) history.add(finger, each);
  history.add(log, exit(9));
  expect(existsSync(file())).toBe(false);
  clock.advanceMs(0);
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  const later = begin();
  expect(later.of(finger)).toEqual(all.toReversed());
  expect(later.of(log)).toEqual([exit(9)]);
  expect(later.of({ identity: '1-3', role: 'service' })).toEqual([]);
  expect(warnings).toEqual([]);
});

test('ten are kept of each service, and the file stays small', () => {
  const history = begin();
  for (let pid = 1; pid <= 5000; pid++) {
    history.add(finger, exit(pid));
    clock.advanceMs(1);
  }
  expect(history.of(finger).map(({ pid }) => pid)).toEqual([
    5000, 4999, 4998, 4997, 4996, 4995, 4994, 4993, 4992, 4991,
  ]);
  expect(found(finger)).toHaveLength(10);
  expect(readFileSync(file(), 'latin1').split('\n').length).toBeLessThan(1100);
});

test('of a service that was released nothing is known, also to a later kernel', () => {
  const history = begin();
  history.add(finger, exit(1));
  history.add(log, exit(2));
  clock.advanceMs(1);
  history.forget(finger);
  clock.advanceMs(1);
  history.add(finger, exit(3));
  clock.advanceMs(1);
  expect([history.of(finger).length, found(finger), found(log)]).toEqual([1, [3], [2]]);
});

test('it goes with the last service, and stays where the plugin alone is gone', () => {
  const first = begin();
  first.add(finger, exit(1));
  first.close({ isOver: false });
  expect(found(finger)).toEqual([1]);
  const second = begin();
  second.close({ isOver: true });
  second.close({ isOver: true });
  expect([existsSync(file()), clock.pendingTimers]).toEqual([false, 0]);
});

test('lines that are torn or nonsense are passed over', () => {
  const history = begin();
  history.add(finger, exit(1));
  clock.advanceMs(1);
  const [header = '', line = ''] = readFileSync(file(), 'latin1').split('\n');
  const nonsense = [
    '',
    '7',
    'null',
    '{}',
    '[]',
    '{"service":5,"pid":1}',
    line.replace('"pid":1', '"pid":-1'),
    line.slice(0, 20),
  ];
  writeFileSync(file(), [header, ...nonsense, line.replace('"pid":1', '"pid":4'), line.slice(0, -3)].join('\n'));
  expect(found(finger)).toEqual([4]);
});

test.each([
  ['of another boot', '{"version":1,"bootId":"another"}\n{"service":"1-2/service","pid":1,"atNs":"1"}\n'],
  ['of another version', '{"version":2}\n'],
  ['empty', ''],
  ['of nothing that is known', Buffer.alloc(1000, 0xff)],
])('a file that is %s is done without, and made anew', (_what, content) => {
  writeFileSync(file(), content);
  expect(found(finger)).toEqual([]);
  const history = begin();
  history.add(finger, exit(7));
  clock.advanceMs(1);
  expect([found(finger), warnings]).toEqual([[7], []]);
});

test('a symlink in its place is not followed, and said once; what is known is known all the same', () => {
  writeFileSync(join(dir, 'precious'), 'x');
  symlinkSync('precious', file());
  const history = begin();
  for (const pid of [1, 2, 3]) {
    history.add(finger, exit(pid));
    clock.advanceMs(1);
  }
  expect(history.of(finger)).toHaveLength(3);
  expect([readFileSync(join(dir, 'precious'), 'latin1'), warnings]).toEqual([
    'x',
    [expect.stringMatching(/^unable to keep how services have ended: Error: ELOOP/)],
  ]);
});

test('a directory that cannot be had is said once, and again only after it worked', () => {
  let isBroken = true;
  const stateDir = (): string => {
    if (isBroken) throw new Error('no room');
    return dir;
  };
  const history = begin(stateDir);
  for (const pid of [1, 2]) {
    history.add(finger, exit(pid));
    clock.advanceMs(1);
  }
  expect(warnings).toHaveLength(1);
  isBroken = false;
  history.add(finger, exit(3));
  clock.advanceMs(1);
  expect([found(finger), warnings.length]).toEqual([[3, 2, 1], 1]);
});

test('a file that somebody removes is written anew, with all that is known', () => {
  const history = begin();
  for (const pid of [1, 2, 3]) {
    history.add(finger, exit(pid));
    clock.advanceMs(1);
    rmSync(file());
  }
  history.add(log, exit(4));
  clock.advanceMs(1);
  expect([found(finger), found(log), warnings]).toEqual([[3, 2, 1], [4], []]);
});

test('two kernels of one scan directory know of each other what they will need', () => {
  const [one, other] = [begin(), begin()];
  one.add(finger, exit(1));
  clock.advanceMs(1);
  other.add(log, exit(2));
  clock.advanceMs(1);
  one.add(finger, exit(3));
  clock.advanceMs(1);
  expect([found(finger), found(log)]).toEqual([[3, 1], [2]]);
});

test('a directory in its place, or one that may not be written, is survived', () => {
  mkdirSync(file());
  chmodSync(dir, 0o500);
  const history = begin();
  history.add(finger, exit(1));
  clock.advanceMs(1);
  history.close({ isOver: true });
  expect(warnings.length).toBeGreaterThan(0);
  chmodSync(dir, 0o700);
});
