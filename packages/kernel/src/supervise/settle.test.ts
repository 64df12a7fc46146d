import { FakeFiles, SimulatedClock } from '@daemontap/testkit';
import { beforeEach, describe, expect, test } from 'vitest';
import type { HeldDirectory } from '../ports.ts';
import { isQuiet, whenQuiet } from './settle.ts';

const path = '/service/finger';
let clock: SimulatedClock;
let files: FakeFiles;
let held: HeldDirectory;
let calls: number;

beforeEach(() => {
  clock = new SimulatedClock();
  files = new FakeFiles(clock);
  files.makeDirectory(path);
  held = files.hold(path);
  calls = 0;
});

const watch = (): ReturnType<typeof whenQuiet> => whenQuiet({ clock, files }, held, () => calls++);

describe('isQuiet', () => {
  test('a directory with a run is quiet 200 ms after its last change', () => {
    files.writeFile(`${path}/run`);
    clock.advanceMs(199);
    expect(isQuiet({ clock, files }, held)).toBe(false);
    clock.advanceMs(1);
    expect(isQuiet({ clock, files }, held)).toBe(true);
  });
  test('without a run it is not, however long ago that is, up to two seconds', () => {
    clock.advanceMs(1999);
    expect(isQuiet({ clock, files }, held)).toBe(false);
  });
  test('with the sticky bit of daemontools 0.70 it is not before there is a log', () => {
    files.writeFile(`${path}/run`);
    files.setSticky(path, true);
    clock.advanceMs(1000);
    expect(isQuiet({ clock, files }, held)).toBe(false);
    files.makeService(`${path}/log`);
    clock.advanceMs(200);
    expect(isQuiet({ clock, files }, held)).toBe(true);
  });
  test('a change in its log counts as one of its own', () => {
    files.makeService(path, { log: true });
    clock.advanceMs(1000);
    files.writeFile(`${path}/log/run`);
    expect(isQuiet({ clock, files }, held)).toBe(false);
  });
});

describe('whenQuiet', () => {
  test('it calls back once, when nothing has changed for 200 ms', () => {
    watch();
    clock.advanceMs(150);
    files.writeFile(`${path}/run`);
    clock.advanceMs(190);
    expect(calls).toBe(0);
    clock.advanceMs(60);
    expect(calls).toBe(1);
    clock.advanceMs(10_000);
    expect([calls, clock.pendingTimers]).toEqual([1, 0]);
  });
  test('it calls back after two seconds although the directory is still being filled', () => {
    watch();
    for (let ms = 0; ms < 1950; ms += 50) {
      files.writeFile(`${path}/run`);
      clock.advanceMs(50);
    }
    expect(calls).toBe(0);
    files.writeFile(`${path}/run`);
    clock.advanceMs(50);
    expect(calls).toBe(1);
  });
  test('closed before, it never calls back and leaves no timer', () => {
    const watching = watch();
    clock.advanceMs(100);
    watching.close();
    watching.close();
    clock.advanceMs(10_000);
    expect([calls, clock.pendingTimers]).toEqual([0, 0]);
  });
  test('it calls back although the wall clock is set back', () => {
    files.writeFile(`${path}/run`);
    watch();
    clock.setWallNs(0n);
    clock.advanceMs(2000);
    expect(calls).toBe(1);
  });
});
