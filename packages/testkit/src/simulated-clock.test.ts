import { beforeEach, expect, test } from 'vitest';
import { SimulatedClock } from './simulated-clock.ts';

let clock: SimulatedClock;
let fired: string[];
beforeEach(() => {
  clock = new SimulatedClock();
  fired = [];
});
const wakeIn = (ms: number, name: string) =>
  clock.wakeAt(clock.monotonicNs() + BigInt(ms) * 1_000_000n, () => void fired.push(name));

test('timers fire in the order of their times, and those of one time in the order they were set', () => {
  wakeIn(20, 'c');
  wakeIn(10, 'a');
  wakeIn(10, 'b');
  clock.advanceMs(9);
  expect(fired).toEqual([]);
  clock.advanceMs(100);
  expect([fired, clock.pendingTimers]).toEqual([['a', 'b', 'c'], 0]);
});

test('a timer set by a timer fires in the same advance when its time is within', () => {
  clock.wakeAt(clock.monotonicNs() + 10n, () => clock.wakeAt(clock.monotonicNs() + 10n, () => void fired.push('late')));
  clock.advanceNs(20n);
  expect(fired).toEqual(['late']);
});

test('within a timer it is the time of the timer', () => {
  const startNs = clock.monotonicNs();
  clock.wakeAt(startNs + 7n, () => void fired.push(String(clock.monotonicNs() - startNs)));
  clock.advanceNs(100n);
  expect([fired, clock.monotonicNs() - startNs]).toEqual([['7'], 100n]);
});

test('a timer in the past fires at the next advance and not within the call', () => {
  wakeIn(-5, 'past');
  expect(fired).toEqual([]);
  clock.advanceNs(0n);
  expect(fired).toEqual(['past']);
});

test('a closed timer does not fire, and closing it again is harmless', () => {
  const timer = wakeIn(10, 'never');
  timer.close();
  timer.close();
  clock.advanceMs(20);
  expect(fired).toEqual([]);
});

test('both clocks advance, and the wall clock alone can be set', () => {
  const [monotonicNs, wallNs] = [clock.monotonicNs(), clock.wallNs()];
  clock.advanceNs(5n);
  expect([clock.monotonicNs() - monotonicNs, clock.wallNs() - wallNs]).toEqual([5n, 5n]);
  clock.setWallNs(1n);
  expect([clock.monotonicNs() - monotonicNs, clock.wallNs()]).toEqual([5n, 1n]);
});

test('time does not go back', () => {
  expect(() => clock.advanceNs(-1n)).toThrow(RangeError);
});
