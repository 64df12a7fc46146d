/** Processes that plugins ask for, in a simulated world. */
import { simulateScan, simulateService } from '@daemontap/testkit';
import type { Simulation } from '@daemontap/testkit';
import { describe, expect, test } from 'vitest';
import type { Closeable, LogSink, Plugin, PluginKernel } from '../index.ts';

const PATH = '/run/host';
const helper = { name: 'host', path: PATH };

/** A plugin that has a helper from the first start of a service on, and what it was given for it. */
function owner(more: Partial<Plugin> = {}): {
  readonly plugin: Plugin;
  readonly handles: Closeable[];
  readonly asked: string[];
} {
  const handles: Closeable[] = [];
  const asked: string[] = [];
  const apply = ({ hooks, supervise }: PluginKernel): void => {
    const sink = (handle: Closeable): LogSink => ({ openOutput: () => 40, end() {}, close: () => handle.close() });
    hooks.openLogSink.tap('owner', () => {
      const handle = supervise(helper);
      handles.push(handle);
      return sink(handle);
    });
    hooks.prepareSpawn.tap('owner', (plan, { label, role, plugin }) => {
      asked.push(`${label} ${role} ${plugin}`);
      return plan;
    });
  };
  return { plugin: { name: 'owner', apiVersion: 1, apply, ...more }, handles, asked };
}

const before = ({ files }: Pick<Simulation, 'files'>): void => files.makeService(PATH);
const about = (simulation: Simulation): readonly string[] =>
  simulation.story.filter((line) => line.endsWith(' owner/host'));

describe('a helper', () => {
  test('is supervised as a service is: started anew a second after its end', async () => {
    const simulation = simulateScan({ services: { finger: {} }, plugins: [owner().plugin], before });
    await simulation.advanceMs(1);
    simulation.endIn(PATH);
    await simulation.advanceMs(998);
    expect(simulation.processIn(PATH)).toBeUndefined();
    await simulation.advanceMs(1);
    expect(about(simulation)).toEqual(['started owner/host', 'ended owner/host', 'started owner/host']);
  });

  test('is one for all who ask for its directory, and asked about as its plugin`s', async () => {
    const { plugin, asked } = owner();
    const simulation = simulateScan({ services: { finger: {}, date: {} }, plugins: [plugin], before });
    await simulation.advanceMs(1);
    expect(about(simulation)).toEqual(['started owner/host']);
    expect(asked).toContain('owner/host helper owner');
  });

  test('is told to stop once the last of them has let go, and not started again', async () => {
    const { plugin, handles } = owner();
    const simulation = simulateScan({ services: { finger: {}, date: {} }, plugins: [plugin], before });
    await simulation.advanceMs(1);
    handles[0]?.close();
    handles[0]?.close();
    await simulation.advanceMs(2000);
    expect(simulation.processIn(PATH)?.signals).toEqual([]);
    handles[1]?.close();
    expect(simulation.processIn(PATH)?.signals).toEqual(['SIGTERM', 'SIGCONT']);
    simulation.endIn(PATH);
    await simulation.advanceMs(5000);
    expect(about(simulation)).toEqual(['started owner/host', 'ended owner/host', 'released owner/host']);
  });

  test('that is asked for again while it ends is begun anew', async () => {
    const { plugin, handles } = owner();
    const simulation = simulateScan({ services: { finger: {} }, plugins: [plugin], before });
    await simulation.advanceMs(1);
    handles[0]?.close();
    simulation.kernel.replacePlugins(simulation.plugins.map((each) => (each === plugin ? owner().plugin : each)));
    simulation.endIn('/service/finger');
    await simulation.advanceMs(1000);
    simulation.endIn(PATH);
    await simulation.advanceMs(1000);
    expect(about(simulation).at(-1)).toBe('started owner/host');
  });

  test('whose directory cannot be held is tried again, and that is said once', async () => {
    const simulation = simulateScan({ services: { finger: {} }, plugins: [owner().plugin] });
    await simulation.advanceMs(5000);
    expect(simulation.reports.map(({ message }) => message)).toEqual([
      'unable to supervise owner/host: it is tried again',
    ]);
    simulation.files.makeService(PATH);
    await simulation.advanceMs(1000);
    expect(about(simulation)).toEqual(['started owner/host']);
  });

  test('is no business of plugins that have not asked for that', async () => {
    const met: string[] = [];
    const other = (name: string, meetsHelpers: boolean): Plugin => ({
      name,
      apiVersion: 1,
      meetsHelpers,
      apply({ hooks }) {
        hooks.serviceStarted.tap(name, ({ label }) => void met.push(`${name}: ${label}`));
        hooks.prepareSpawn.tap(name, (plan) => ({ ...plan, environment: [...plan.environment, Buffer.from(name)] }));
      },
    });
    const plugins = [owner().plugin, other('sees', true), other('blind', false)];
    const simulation = simulateScan({ services: { finger: {} }, plugins, before });
    await simulation.advanceMs(1);
    expect(met.toSorted()).toEqual(['blind: finger', 'sees: finger', 'sees: owner/host']);
    const environmentIn = (path: string): readonly string[] =>
      simulation.processIn(path)?.request.environment.map(String) ?? [];
    expect([environmentIn(PATH), environmentIn('/service/finger')]).toEqual([['sees'], ['sees', 'blind']]);
  });
});

const stopping = () => ({ plugins: [owner().plugin], before, stopTimeoutMs: 5000 });

describe.each([
  ['svscan', (more?: object) => simulateScan({ services: { finger: {} }, ...stopping(), ...more })],
  ['supervise', (more?: object) => simulateService({ ...stopping(), ...more })],
] as const)('the stop of %s', (_name, simulate) => {
  test('ends helpers last', async () => {
    const simulation = simulate();
    await simulation.advanceMs(1);
    simulation.kernel.stop();
    await simulation.advanceMs(1);
    expect(simulation.processIn(PATH)?.signals).toEqual([]);
    simulation.endIn('/service/finger');
    await simulation.advanceMs(1);
    expect(simulation.processIn(PATH)?.signals).toEqual(['SIGTERM', 'SIGCONT']);
    expect(simulation.isDone()).toBe(false);
    simulation.endIn(PATH);
    await simulation.advanceMs(1);
    expect(simulation.isDone()).toBe(true);
    expect(simulation.leftovers()).toEqual({ timers: 0, heldDirectories: 0, locks: 0, processes: 0, watches: 0 });
  });

  test('closes helpers that plugins have handed over as open, once all services have ended', async () => {
    const keeps: Plugin = {
      name: 'keeps',
      apiVersion: 1,
      apply({ hooks, supervise, opened }) {
        hooks.openControl.tap('keeps', ({ role }) => {
          if (role !== 'service') return;
          opened(supervise(helper));
          opened({ close: () => void closed.push('other') });
        });
      },
    };
    const closed: string[] = [];
    const simulation = simulate({ plugins: [keeps], stopTimeoutMs: undefined });
    await simulation.advanceMs(1);
    simulation.kernel.stop();
    await simulation.advanceMs(1);
    expect(simulation.processIn(PATH)?.signals).toEqual([]);
    simulation.endIn('/service/finger');
    await simulation.advanceMs(1);
    expect([simulation.processIn(PATH)?.signals, closed]).toEqual([['SIGTERM', 'SIGCONT'], []]);
    simulation.endIn(PATH);
    await simulation.advanceMs(1);
    expect([simulation.isDone(), closed]).toEqual([true, ['other']]);
  });

  test('kills a helper that does not end in time', async () => {
    const simulation = simulate();
    await simulation.advanceMs(1);
    simulation.kernel.stop();
    simulation.endIn('/service/finger');
    await simulation.advanceMs(20_000);
    expect(simulation.processIn(PATH)?.signals.at(-1)).toBe('SIGKILL');
    simulation.endIn(PATH, { signal: 9 });
    await simulation.advanceMs(1);
    expect(simulation.isDone()).toBe(true);
  });
});
