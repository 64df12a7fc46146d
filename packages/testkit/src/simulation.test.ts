/** The examples of the testkit's own documentation, and what the fakes refuse. */
import { statSync, readFileSync, existsSync } from 'node:fs';
import type { Plugin } from '@daemontap/kernel';
import { describe, expect, test } from 'vitest';
import { basePlan, FakeProcesses, FakeReadiness, serviceDirectory, simulateScan, simulateService } from './index.ts';

test('the example of simulateScan is true', async () => {
  const simulation = simulateScan({ services: { finger: { log: true } } });
  await simulation.settle();
  simulation.endIn('/service/finger');
  await simulation.advanceMs(1000);
  expect(simulation.story).toEqual(['started finger/log', 'started finger', 'ended finger', 'started finger']);
});

test('the example of the README is true', async () => {
  const started: string[] = [];
  const plugin: Plugin = {
    name: 'mine',
    apiVersion: 1,
    apply({ hooks }) {
      hooks.serviceStarted.tap('mine', ({ label }) => void started.push(label));
    },
  };
  const simulation = simulateScan({ plugins: [plugin], services: { finger: {} } });
  await simulation.settle();
  simulation.endIn('/service/finger', { signal: 11 });
  await simulation.advanceMs(1000);
  expect(started).toEqual(['finger', 'finger']);
  simulation.kernel.stop();
  simulation.endIn('/service/finger');
  await simulation.settle();
  expect(simulation.leftovers()).toEqual({ timers: 0, heldDirectories: 0, locks: 0, processes: 0, watches: 0 });
});

describe('a simulation', () => {
  test('refuses to command a service that is not supervised, and to end a process that does not run', () => {
    const simulation = simulateScan();
    expect(() => simulation.command('finger', 'd')).toThrow('unable to command finger: it is not supervised');
    expect(() => simulation.endIn('/service/finger')).toThrow('unable to end a process in /service/finger: none runs');
  });

  test('forgets a service that is released', async () => {
    const simulation = simulateService({ service: { down: true } });
    expect(simulation.statusOf('/service/finger')).toMatchObject({ want: 'down' });
    simulation.command('/service/finger', 'x');
    await simulation.settle();
    expect([simulation.statusOf('/service/finger'), simulation.isDone()]).toEqual([undefined, true]);
  });
});

test('a fake process ends once, and takes signals until then', () => {
  const processes = new FakeProcesses();
  const ends: unknown[] = [];
  const request = { ...basePlan, directoryFd: 3 };
  processes.failNext('EAGAIN');
  expect(() => processes.spawn(request, () => {})).toThrow(expect.objectContaining({ code: 'EAGAIN', errno: -11 }));
  const pid = processes.spawn(request, (end) => void ends.push(end));
  processes.signal(pid, 'SIGTERM');
  processes.end(pid, { signal: 15 });
  processes.signal(pid, 'SIGKILL');
  expect(processes.started).toEqual([expect.objectContaining({ pid, signals: ['SIGTERM'], end: { signal: 15 } })]);
  expect(ends).toEqual([{ signal: 15 }]);
  expect(() => processes.end(pid)).toThrow(`unable to end ${pid}: no such process runs`);
});

test('fake readiness calls back while it is watched, and refuses a second watch', () => {
  const readiness = new FakeReadiness();
  let calls = 0;
  const watch = readiness.watchReadable(7, () => calls++);
  readiness.ready(7);
  expect(() => readiness.watchReadable(7, () => {})).toThrow('unable to watch 7: it is watched already');
  watch.close();
  readiness.ready(7);
  expect([calls, readiness.watched]).toEqual([1, []]);
});

test('a service directory is what it is called for, and is gone after the test', async () => {
  let path: string;
  {
    await using service = serviceDirectory({ run: 'exec sleep 1', log: 'exec cat', down: true });
    path = service.path;
    expect(readFileSync(service.join('run'), 'utf8')).toBe('#!/bin/sh\nexec sleep 1\n');
    expect(statSync(service.join('log', 'run')).mode & 0o777).toBe(0o755);
    expect(existsSync(service.join('down'))).toBe(true);
  }
  expect(existsSync(path)).toBe(false);
});
