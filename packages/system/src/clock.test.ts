import type { KernelOptions } from '@daemontap/kernel';
import { expect, expectTypeOf, test, vi } from 'vitest';
import { nodeClock } from './clock.ts';
import { runningSystem } from './running-system.ts';
import type { PreparingProgram } from './prepared.ts';
import type { RunningSystem } from './running-system.ts';

const clock = nodeClock();
const MS = 1_000_000n;

test('a timer fires when its time has come, and never before', async () => {
  for (const ms of [0n, 1n, 3n, 20n]) {
    const atNs = clock.monotonicNs() + ms * MS;
    await new Promise<void>((resolve) => void clock.wakeAt(atNs, resolve));
    expect(clock.monotonicNs()).toBeGreaterThanOrEqual(atNs);
  }
});

test('a time that is past fires soon, and not within the call', async () => {
  let isInside = true;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  clock.wakeAt(0n, () => resolve(isInside));
  isInside = false;
  expect(await promise).toBe(false);
});

test('a closed timer never fires, whether its time was past or to come', async () => {
  const fired: string[] = [];
  clock.wakeAt(0n, () => void fired.push('past')).close();
  const timer = clock.wakeAt(clock.monotonicNs() + 5n * MS, () => void fired.push('later'));
  timer.close();
  timer.close();
  await new Promise<void>((resolve) => void clock.wakeAt(clock.monotonicNs() + 20n * MS, resolve));
  expect(fired).toEqual([]);
});

test('a time of years ahead is not soon', async () => {
  let isFired = false;
  const timer = clock.wakeAt(clock.monotonicNs() + 10n ** 18n, () => (isFired = true));
  await new Promise<void>((resolve) => void clock.wakeAt(clock.monotonicNs() + 20n * MS, resolve));
  timer.close();
  expect(isFired).toBe(false);
});

test('the wall clock is that of the system, and the monotonic one does not go back', () => {
  const offNs = clock.wallNs() - BigInt(Date.now()) * MS;
  expect(offNs < 1000n * MS && offNs > -1000n * MS).toBe(true);
  const first = clock.monotonicNs();
  expect(clock.monotonicNs()).toBeGreaterThanOrEqual(first);
});

test('a wall clock that is set while the kernel runs is followed', () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
  try {
    expect(clock.wallNs() - BigInt(Date.now()) * MS > -1000n * MS).toBe(true);
  } finally {
    vi.useRealTimers();
  }
});

test('the types: the system is what a kernel needs of it, and its end', () => {
  expectTypeOf(runningSystem).parameters.toEqualTypeOf<
    [onError: (error: unknown) => void, preparing?: PreparingProgram | undefined]
  >();
  expectTypeOf<RunningSystem>().toExtend<Pick<KernelOptions, 'ports' | 'basePlan'>>();
  // @ts-expect-error: who looks after errors must be said
  const wrong = (): unknown => runningSystem();
  expect(wrong).toBeTypeOf('function');
});
