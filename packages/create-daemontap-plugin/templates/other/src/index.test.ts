import { simulateScan } from '@daemontap/testkit';
import { expect, test } from 'vitest';
import { factoryName } from './index.ts';

/** Lets a service end, and be started again a second later, as often as that. */
async function warningsAfter(ends: number, plugin = factoryName({ ends: 3, withinSeconds: 10 })): Promise<number> {
  const simulation = simulateScan({ plugins: [plugin], services: { finger: {} } });
  await simulation.settle();
  for (let count = 0; count < ends; count++) {
    simulation.endIn('/service/finger', { exitCode: 1 });
    await simulation.advanceMs(1000);
  }
  return simulation.reports.filter(({ level }) => level === 'warning').length;
}

test('a service that ends often is warned of, once for as many ends as it takes', async () => {
  expect(await warningsAfter(2)).toBe(0);
  expect(await warningsAfter(3)).toBe(1);
  expect(await warningsAfter(5)).toBe(1);
  expect(await warningsAfter(6)).toBe(2);
});

test('ends that are far from each other are no reason to warn', async () => {
  expect(await warningsAfter(10, factoryName({ ends: 3, withinSeconds: 2 }))).toBe(0);
});

test('wrong options are refused', () => {
  expect(() => factoryName({ ends: 0 })).toThrow('ends');
});
