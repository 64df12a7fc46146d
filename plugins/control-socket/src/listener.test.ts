/** Where the socket is, and whose: what a kernel does that finds something else there. */
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { isListening, listenAt } from '@daemontap/posix';
import { FakeReadiness, SimulatedClock } from '@daemontap/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { temporaryDirectory } from './kernel.test-support.ts';
import { Listener } from './listener.ts';
import type { SocketPlace } from './listener.ts';

let dir: string;
let path: string;
let clock: SimulatedClock;
let warnings: string[];
let served: number[];
let opened: { close(): void }[];
let before: number;

beforeEach(() => {
  dir = temporaryDirectory();
  path = join(dir, 'http');
  clock = new SimulatedClock();
  warnings = [];
  served = [];
  opened = [];
  before = readdirSync('/proc/self/fd').length;
});
afterEach(() => {
  for (const each of opened) each.close();
  expect([readdirSync('/proc/self/fd').length, clock.pendingTimers]).toEqual([before, 0]);
  rmSync(dir, { recursive: true, force: true });
});

interface Kernel {
  readonly listener: Listener;
  readonly readiness: FakeReadiness;
  hold(): { close(): void };
}
const kernel = ({
  place = {},
  isOfUse = true,
}: { readonly place?: Partial<SocketPlace> | (() => never); readonly isOfUse?: boolean } = {}): Kernel => {
  const readiness = new FakeReadiness();
  const listener = new Listener({
    clock,
    readiness,
    place: () => ({ path, mode: 0o600, gid: undefined, ...(typeof place === 'function' ? place() : place) }),
    isOfUse: () => isOfUse,
    serve(fd) {
      served.push(fd);
      return { close: () => closeSync(fd) };
    },
    warn: (message, cause) => void warnings.push(`${message}: ${cause instanceof Error ? cause.message : ''}`),
  });
  return {
    listener,
    readiness,
    hold() {
      listener.hold();
      let isHeld = true;
      const held = {
        close() {
          if (isHeld) listener.release();
          isHeld = false;
        },
      };
      opened.push(held);
      return held;
    },
  };
};
const inode = (): number => statSync(path).ino;

test('it listens for as long as anybody holds it, and its file is there no longer', () => {
  const { listener, hold } = kernel();
  expect([listener.isHeld, existsSync(path)]).toEqual([false, false]);
  const [first, second] = [hold(), hold()];
  expect([isListening(path), readdirSync(dir)]).toEqual([true, ['http']]);
  first.close();
  first.close();
  expect(isListening(path)).toBe(true);
  second.close();
  expect([listener.isHeld, readdirSync(dir), clock.pendingTimers]).toEqual([false, [], 0]);
  hold();
  expect(isListening(path)).toBe(true);
});

test('the first connection has it served, once', () => {
  const { readiness, hold } = kernel();
  const held = hold();
  const [fd = -1] = readiness.watched;
  readiness.ready(fd);
  readiness.ready(fd);
  expect([served, readiness.watched]).toEqual([[fd], []]);
  held.close();
  expect(existsSync(path)).toBe(false);
});

test('its mode and group are those that were asked for, whatever the umask is', () => {
  const umask = process.umask(0o077);
  kernel({ place: { mode: 0o666, gid: process.getegid?.() } }).hold();
  process.umask(umask);
  const { mode, gid } = statSync(path);
  expect([mode & 0o777, gid]).toEqual([0o666, process.getegid?.()]);
});

describe('what is there already', () => {
  test('the socket of a kernel that is dead is taken over', () => {
    closeSync(listenAt(path, 0o600));
    const dead = inode();
    kernel().hold();
    expect([isListening(path), inode() === dead, warnings]).toEqual([true, false, []]);
  });

  test('the socket of one that lives is left alone until it is gone', () => {
    const first = kernel();
    const held = first.hold();
    const theirs = inode();
    kernel().hold();
    clock.advanceMs(60_000);
    expect([inode(), warnings]).toEqual([theirs, []]);
    held.close();
    expect(existsSync(path)).toBe(false);
    clock.advanceMs(5000);
    expect(isListening(path)).toBe(true);
  });

  test('a kernel that supervises nothing leaves the place to others when it comes free', () => {
    const held = kernel().hold();
    kernel({ isOfUse: false }).hold();
    held.close();
    clock.advanceMs(60_000);
    expect(existsSync(path)).toBe(false);
  });

  test.each([
    ['a file', () => writeFileSync(path, 'precious')],
    ['a directory', () => mkdirSync(path)],
    ['a symlink', () => symlinkSync('elsewhere', path)],
  ])('%s is said once and left alone, and when it is gone it is forgotten', (_what, make) => {
    make();
    const ino = (): number => statSync(dir).ino;
    expect(ino()).toBeGreaterThan(0);
    kernel().hold();
    clock.advanceMs(60_000);
    expect([readdirSync(dir), warnings]).toEqual([
      ['http'],
      [`unable to listen for requests, it is tried again: ${path} is there and is no socket`],
    ]);
    rmSync(path, { recursive: true });
    clock.advanceMs(5000);
    expect(isListening(path)).toBe(true);
  });
});

describe('a place that cannot be had', () => {
  test('is said once, and tried again every five seconds', () => {
    let isThere = false;
    const there = join(dir, 'later');
    path = join(there, 'http');
    kernel().hold();
    clock.advanceMs(20_000);
    expect(warnings).toEqual([expect.stringMatching(/^unable to listen for requests, it is tried again: ENOENT/)]);
    mkdirSync(there);
    isThere = true;
    clock.advanceMs(5000);
    expect([isThere, isListening(path)]).toEqual([true, true]);
    rmSync(there, { recursive: true });
    clock.advanceMs(5000);
    expect(warnings).toHaveLength(2);
  });

  test('as its place cannot be told is no different', () => {
    kernel({
      place() {
        throw new Error('unknown group ops');
      },
    }).hold();
    expect(warnings).toEqual(['unable to listen for requests, it is tried again: unknown group ops']);
  });

  test('as another group may not be given leaves nothing behind', (context) => {
    if (process.geteuid?.() !== 0) context.skip('it needs root');
    chmodSync(dir, 0o700);
    kernel({ place: { gid: 2 ** 32 - 2 } }).hold();
    expect(readdirSync(dir)).toEqual(warnings.length > 0 ? [] : ['http']);
  });

  test('a thousand services that begin together try once', () => {
    let asked = 0;
    const { hold } = kernel({
      place() {
        asked++;
        throw new Error('no');
      },
    });
    for (let count = 0; count < 1000; count++) hold();
    expect(asked).toBe(1);
    clock.advanceMs(300);
    hold();
    expect(asked).toBe(2);
  });
});

describe('a file that somebody has', () => {
  test('removed is made anew', () => {
    kernel().hold();
    rmSync(path);
    clock.advanceMs(5000);
    expect(isListening(path)).toBe(true);
  });

  test("exchanged for a living one's is left to that one, also at the end", () => {
    const held = kernel().hold();
    const fd = listenAt(join(dir, 'other'), 0o600);
    renameSync(join(dir, 'other'), path);
    const theirs = inode();
    clock.advanceMs(60_000);
    held.close();
    expect(inode()).toBe(theirs);
    closeSync(fd);
  });
});

test('a path that is too long for the address of a socket will do all the same', () => {
  const deep = join(dir, 'x'.repeat(100), 'y'.repeat(100));
  mkdirSync(deep, { recursive: true });
  path = join(deep, 'http');
  const held = kernel().hold();
  expect([isListening(path), warnings]).toEqual([true, []]);
  held.close();
  expect(readdirSync(deep)).toEqual([]);
});
