/** The end of a scan: whatever plugins opened and whatever they answer, everything ends and `done` resolves. */
import { simulateScan, simulateService } from '@daemontap/testkit';
import type { Leftovers, Simulation } from '@daemontap/testkit';
import { describe, expect, test } from 'vitest';
import type { LogSink } from '../hooks.ts';
import type { Plugin, PluginKernel } from '../plugin/contract.ts';

const SCAN_MS = 5000;
const DEADLINE_MS = 2000;
const nothing: Leftovers = { timers: 0, heldDirectories: 0, locks: 0, processes: 0, watches: 0 };

const plugin = (name: string, apply: (kernel: PluginKernel) => void): Plugin => ({ name, apiVersion: 1, apply });
const fails = (message: string) => (): never => {
  throw new Error(message);
};
/** What was said, each with its reason. */
const said = ({ reports }: Simulation): readonly (readonly [message: string, reason: string | undefined])[] =>
  reports.map(({ message, cause }) => [message, cause instanceof Error ? cause.message : undefined]);

async function scanned(options: Parameters<typeof simulateScan>[0]): Promise<Simulation> {
  const simulation = simulateScan(options);
  await simulation.settle();
  return simulation;
}

/** Ends a service and its log, and returns whether nothing at all is left. */
async function endBoth(simulation: Simulation): Promise<void> {
  simulation.endIn('/service/finger');
  simulation.endIn('/service/finger/log');
  await simulation.settle();
  expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
}

describe('what cannot be closed', () => {
  test('a watcher: it is reported, the other one is closed, and every service is stopped', async () => {
    const closed: string[] = [];
    const watchers = plugin('watchers', ({ hooks }) => {
      hooks.watchScanDirectory.tap('watchers', ({ opened }) => {
        opened({ close: () => void closed.push('first') });
        opened({ close: fails('stuck') });
      });
    });
    const simulation = await scanned({ services: { finger: { log: true } }, plugins: [watchers] });
    expect(() => simulation.kernel.stop()).not.toThrow();
    expect(simulation.processIn('/service/finger')?.signals).toEqual(['SIGTERM', 'SIGCONT']);
    await endBoth(simulation);
    expect(closed).toEqual(['first']);
    expect(said(simulation)).toEqual([['plugin watchers failed in close', 'stuck']]);
  });

  test('a control transport: it is reported once for each service, and the lock is free', async () => {
    const transports = plugin('transports', ({ hooks }) => {
      hooks.openControl.tap('transports', (_service, { opened }) => opened({ close: fails('stuck') }));
    });
    const simulation = await scanned({ services: { finger: { log: true } }, plugins: [transports] });
    simulation.kernel.stop();
    await endBoth(simulation);
    expect(simulation.story.slice(2)).toEqual([
      'ended finger',
      'released finger',
      'ended finger/log',
      'released finger/log',
    ]);
    expect(said(simulation)).toEqual([
      ['plugin transports failed in close for finger', 'stuck'],
      ['plugin transports failed in close for finger/log', 'stuck'],
    ]);
  });

  test.each([
    ['end', ['stuck at end']],
    ['close', ['stuck at close']],
    ['both', ['stuck at end', 'stuck at close']],
  ] as const)('a sink whose %s fails: it is reported, and its services end', async (which, reasons) => {
    const sink: LogSink = {
      openOutput: () => 500,
      openInput: () => 501,
      end: which === 'close' ? () => {} : fails('stuck at end'),
      close: which === 'end' ? () => {} : fails('stuck at close'),
    };
    const sinks = plugin('sinks', ({ hooks }) => {
      hooks.openLogSink.tap('sinks', () => sink);
    });
    const simulation = await scanned({ services: { finger: { log: true } }, plugins: [sinks] });
    simulation.kernel.stop();
    await endBoth(simulation);
    expect(said(simulation)).toEqual(
      reasons.map((reason) => [`plugin sinks failed in LogSink.${reason.replace('stuck at ', '')} for finger`, reason]),
    );
  });

  test('the sink or the transport of a single service: the same', async () => {
    const broken = plugin('broken', ({ hooks }) => {
      hooks.openLogSink.tap('broken', () => ({ openOutput: () => 500, end() {}, close: fails('stuck sink') }));
      hooks.openControl.tap('broken', (_service, { opened }) => opened({ close: fails('stuck transport') }));
    });
    const simulation = simulateService({ plugins: [broken] });
    await simulation.settle();
    simulation.kernel.stop();
    simulation.endIn('/service/finger');
    await simulation.settle();
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
    expect(said(simulation).map(([, reason]) => reason)).toEqual(['stuck transport', 'stuck sink']);
  });
});

describe('a plugin that never answers, by a thenable that is no Promise', () => {
  /** As a library of promises of its own gives it. */
  // oxlint-disable-next-line unicorn/no-thenable -- that it is one is the point
  const silence = { then() {} } as unknown as Promise<never>;
  const mutePlugin = (hook: 'prepareSpawn' | 'openLogSink'): Plugin =>
    plugin('mute', ({ hooks }) => {
      hooks[hook].tapPromise('mute', () => silence);
    });

  test.each(['prepareSpawn', 'openLogSink'] as const)('%s: the stop does not wait for it', async (hook) => {
    const simulation = await scanned({ services: { finger: {} }, plugins: [mutePlugin(hook)] });
    simulation.kernel.stop();
    await simulation.advanceMs(0);
    expect([simulation.story, simulation.isDone()]).toEqual([['released finger'], true]);
    await simulation.advanceMs(10_000);
    expect([simulation.reports.map(({ message }) => message), simulation.leftovers()]).toEqual([
      hook === 'prepareSpawn' ? [] : ['plugin mute has not answered openLogSink for finger for 10 seconds'],
      nothing,
    ]);
  });

  test('a deadline that passes meanwhile says nothing of killing: there is no process', async () => {
    const simulation = await scanned({
      services: { finger: {} },
      plugins: [mutePlugin('prepareSpawn')],
      stopTimeoutMs: DEADLINE_MS,
    });
    simulation.kernel.stop();
    await simulation.advanceMs(3 * DEADLINE_MS);
    expect(simulation.reports).toEqual([]);
    await simulation.advanceMs(10_000);
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
  });
});

describe('a paused log at a stop', () => {
  test('is continued once its service has ended, and reads to the end', async () => {
    const story: string[] = [];
    const sinks = plugin('sinks', ({ hooks }) => {
      hooks.openLogSink.tap('sinks', () => ({
        openOutput: () => 500,
        openInput: () => 501,
        end: () => void story.push('end'),
        close: () => void story.push('close'),
      }));
    });
    const simulation = await scanned({
      services: { finger: { log: true } },
      plugins: [sinks],
      stopTimeoutMs: DEADLINE_MS,
    });
    simulation.command('finger/log', 'p');
    simulation.kernel.stop();
    const log = simulation.processIn('/service/finger/log');
    expect(log?.signals).toEqual(['SIGSTOP']);
    simulation.endIn('/service/finger');
    expect([log?.signals, story]).toEqual([['SIGSTOP', 'SIGCONT'], ['end']]);
    await simulation.advanceMs(DEADLINE_MS - 1);
    expect(log?.signals).toEqual(['SIGSTOP', 'SIGCONT']);
    simulation.endIn('/service/finger/log');
    await simulation.settle();
    expect([simulation.isDone(), simulation.leftovers(), story]).toEqual([true, nothing, ['end', 'close']]);
    expect(simulation.reports).toEqual([]);
  });
});

describe('a complaint', () => {
  test('is made once between two timed scans, however often they are hurried', async () => {
    const simulation = await scanned({});
    simulation.files.makeService('/service/finger');
    simulation.files.failLooksAt('/service/finger', 'EACCES');
    for (let scans = 1; scans <= 2; scans++) {
      for (let ms = 0; ms < SCAN_MS - 100; ms += 100) {
        simulation.kernel.requestScan();
        await simulation.advanceMs(100);
      }
      expect(said(simulation)).toHaveLength(scans);
      await simulation.advanceMs(SCAN_MS);
    }
  });
});
