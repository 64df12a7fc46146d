/** A service with its log service: the log that comes late, the one that goes, and the orderly end of both. */
import { simulateScan } from '@daemontap/testkit';
import type { Leftovers, Simulation } from '@daemontap/testkit';
import { describe, expect, test } from 'vitest';
import { KernelError } from '../errors.ts';
import type { LogSink, ServiceDirectory } from '../hooks.ts';
import type { Plugin } from '../plugin/contract.ts';

const SCAN_MS = 5000;
const SETTLED_MS = 300;
const nothing: Leftovers = { timers: 0, heldDirectories: 0, locks: 0, processes: 0, watches: 0 };

const warnings = ({ reports }: Simulation): readonly string[] =>
  reports.filter(({ level }) => level === 'warning' || level === 'fatal').map(({ message }) => message);

async function scanned(options: Parameters<typeof simulateScan>[0]): Promise<Simulation> {
  const simulation = simulateScan(options);
  await simulation.settle();
  return simulation;
}

interface Sinks {
  readonly plugin: Plugin;
  /** `open finger`, `end`, `close`: what became of each sink. */
  readonly story: string[];
}

/** Sinks whose descriptors are 500 and 501 for the first, 510 and 511 for the second … */
function sinks(): Sinks {
  const story: string[] = [];
  let count = 0;
  const open = ({ label }: ServiceDirectory) => {
    const first = 500 + 10 * count++;
    story.push(`open ${label}`);
    return {
      openOutput: () => first,
      openInput: () => first + 1,
      end: () => void story.push('end'),
      close: () => void story.push('close'),
    };
  };
  const plugin: Plugin = {
    name: 'sinks',
    apiVersion: 1,
    apply({ hooks }) {
      hooks.openLogSink.tap('sinks', (service) => (service.hasLog ? open(service) : undefined));
    },
  };
  return { plugin, story };
}

const descriptorsOf = (simulation: Simulation, path: string): ReadonlyMap<number, number> | undefined => {
  const request = simulation.processIn(path)?.request;
  return request === undefined ? undefined : new Map(request.descriptors);
};

describe('the sink', () => {
  test('is opened once for both, kept over restarts, and its descriptors are closed after each start', async () => {
    const { plugin, story } = sinks();
    const simulation = await scanned({ services: { finger: { log: true } }, plugins: [plugin] });
    expect(descriptorsOf(simulation, '/service/finger')?.get(1)).toBe(500);
    expect(descriptorsOf(simulation, '/service/finger/log')?.get(0)).toBe(501);
    simulation.endIn('/service/finger');
    simulation.endIn('/service/finger/log');
    await simulation.advanceMs(1000);
    expect(simulation.processes.running).toHaveLength(2);
    expect(story).toEqual(['open finger']);
    expect(simulation.files.closedDescriptors).toEqual([501, 500, 500, 501]);
  });

  test('its descriptor is closed after a start that fails, too', async () => {
    const simulation = await scanned({
      services: { finger: { log: true } },
      plugins: [sinks().plugin],
      before: ({ processes }) => processes.failNext('ENOENT', 2),
    });
    expect(simulation.story).toEqual(['failed finger/log', 'failed finger']);
    expect(simulation.files.closedDescriptors).toEqual([501, 500]);
  });

  test('that cannot be opened refuses the start, is asked for again, and stops nothing else', async () => {
    let failures = 2;
    const broken: Plugin = {
      name: 'broken',
      apiVersion: 1,
      apply({ hooks }) {
        hooks.openLogSink.tapPromise('broken', async ({ label }) => {
          if (label === 'finger' && failures-- > 0) throw new KernelError('PIPE_FAILED', 'no pipe');
          return undefined;
        });
      },
    };
    const simulation = await scanned({ services: { a: {}, finger: {} }, plugins: [broken] });
    expect(simulation.story).toEqual(['started a', 'failed finger']);
    await simulation.advanceMs(2000);
    expect(simulation.story.slice(2)).toEqual(['failed finger', 'started finger']);
    expect(warnings(simulation)[0]).toBe('unable to start finger/run: no pipe');
  });

  test('that a broken plugin cannot open is done without, and asked for again at the next start', async () => {
    let failures = 1;
    const sinkOf500: LogSink = { openOutput: () => 500, end() {}, close() {} };
    const broken: Plugin = {
      name: 'broken',
      apiVersion: 1,
      apply({ hooks }) {
        hooks.openLogSink.tap('broken', () => {
          if (failures-- > 0) throw new Error('a bug');
          return sinkOf500;
        });
      },
    };
    const simulation = await scanned({ services: { finger: {} }, plugins: [broken] });
    expect(simulation.story).toEqual(['started finger']);
    expect(warnings(simulation)).toEqual(['plugin broken failed in openLogSink for finger']);
    simulation.endIn('/service/finger');
    await simulation.advanceMs(2000);
    expect(simulation.processIn('/service/finger')?.request.descriptors).toContainEqual([1, 500]);
  });

  test('lives on while a service that is still there leaves and begins anew', async () => {
    const { plugin, story } = sinks();
    const simulation = await scanned({ services: { finger: { log: true } }, plugins: [plugin] });
    simulation.command('finger', 'dx');
    simulation.endIn('/service/finger');
    await simulation.advanceMs(SCAN_MS);
    expect(simulation.story.slice(2)).toEqual(['ended finger', 'released finger', 'started finger']);
    expect(story).toEqual(['open finger']);
  });
});

describe('a log that comes late', () => {
  test('begins at the next scan, and output goes to it from the next start', async () => {
    const { plugin, story } = sinks();
    const simulation = await scanned({ services: { finger: {} }, plugins: [plugin] });
    simulation.files.makeService('/service/finger/log');
    await simulation.advanceMs(SCAN_MS + SETTLED_MS);
    expect(simulation.story).toEqual(['started finger', 'started finger/log']);
    expect(warnings(simulation)).toEqual(['finger/log was added: output of finger goes there from its next start']);
    expect(descriptorsOf(simulation, '/service/finger')?.get(1)).toBe(1);
    simulation.endIn('/service/finger');
    await simulation.advanceMs(1000);
    expect(descriptorsOf(simulation, '/service/finger')?.get(1)).toBe(500);
    expect(story).toEqual(['open finger']);
  });

  test('while the service still settles is no late log', async () => {
    const simulation = await scanned({});
    simulation.files.makeService('/service/finger');
    simulation.kernel.requestScan();
    await simulation.advanceMs(20);
    simulation.files.makeService('/service/finger/log');
    simulation.kernel.requestScan();
    await simulation.advanceMs(SETTLED_MS + 200);
    expect(simulation.story.toSorted()).toEqual(['started finger', 'started finger/log']);
    expect(simulation.reports).toEqual([]);
  });

  test('while the service still settles gets its output from the first line, without another scan', async () => {
    const { plugin, story } = sinks();
    const simulation = await scanned({ plugins: [plugin] });
    simulation.files.makeService('/service/finger');
    simulation.kernel.requestScan();
    await simulation.advanceMs(20);
    simulation.files.makeService('/service/finger/log');
    await simulation.advanceMs(SETTLED_MS);
    expect(descriptorsOf(simulation, '/service/finger')?.get(1)).toBe(500);
    await simulation.advanceMs(SETTLED_MS);
    expect(descriptorsOf(simulation, '/service/finger/log')?.get(0)).toBe(501);
    expect([story, simulation.reports]).toEqual([['open finger'], []]);
  });

  test('that cannot be looked at while the service settles: it is started once it can', async () => {
    const simulation = await scanned({});
    simulation.files.makeService('/service/finger');
    simulation.kernel.requestScan();
    await simulation.advanceMs(20);
    simulation.files.makeService('/service/finger/log');
    simulation.files.failLooksAt('/service/finger/log', 'EIO');
    await simulation.advanceMs(SETTLED_MS);
    simulation.files.failLooksAt('/service/finger/log', undefined);
    await simulation.advanceMs(3 * SCAN_MS);
    expect(simulation.story).toContain('started finger');
  });

  test('that is a file blocks nothing, is said once, and gives way to a directory', async () => {
    const simulation = await scanned({ services: { finger: {} } });
    simulation.files.writeFile('/service/finger/log');
    await simulation.advanceMs(3 * SCAN_MS);
    expect(warnings(simulation)).toEqual(['finger/log is not a directory: finger is not logged']);
    simulation.files.remove('/service/finger/log');
    simulation.files.makeService('/service/finger/log');
    await simulation.advanceMs(SCAN_MS + SETTLED_MS);
    expect(simulation.story).toEqual(['started finger', 'started finger/log']);
  });

  test('that cannot be looked at: the service that runs goes on, and it is said at each scan', async () => {
    const simulation = await scanned({ services: { finger: {} } });
    simulation.files.makeService('/service/finger/log');
    simulation.files.failLooksAt('/service/finger/log', 'EACCES');
    await simulation.advanceMs(2 * SCAN_MS);
    expect(warnings(simulation)).toEqual(['unable to stat finger/log', 'unable to stat finger/log']);
    expect(simulation.processes.running).toHaveLength(1);
  });
});

describe('a log that goes', () => {
  test('and is made anew: the old log service is ended, then the new one begins; the service runs on', async () => {
    const { plugin, story } = sinks();
    const simulation = await scanned({ services: { finger: { log: true } }, plugins: [plugin] });
    const old = simulation.processIn('/service/finger/log');
    simulation.files.remove('/service/finger/log');
    simulation.files.makeService('/service/finger/log');
    await simulation.advanceMs(SCAN_MS);
    expect(old?.signals).toEqual(['SIGTERM', 'SIGCONT']);
    simulation.processes.end(old?.pid ?? 0);
    await simulation.advanceMs(SCAN_MS + SETTLED_MS);
    expect(simulation.story.slice(2)).toEqual(['ended finger/log', 'released finger/log', 'started finger/log']);
    expect(simulation.processIn('/service/finger')?.signals).toEqual([]);
    expect(story).toEqual(['open finger']);
    expect(simulation.leftovers()).toMatchObject({ heldDirectories: 3, locks: 2 });
  });

  test('and does not come back: that is said at each scan, and the service runs on', async () => {
    const simulation = await scanned({ services: { finger: { log: true } } });
    const old = simulation.processIn('/service/finger/log');
    simulation.files.remove('/service/finger/log');
    await simulation.advanceMs(SCAN_MS);
    simulation.processes.end(old?.pid ?? 0);
    await simulation.advanceMs(2 * SCAN_MS);
    expect(warnings(simulation)).toEqual(['unable to chdir to finger/log', 'unable to chdir to finger/log']);
    expect(simulation.processes.running).toHaveLength(1);
  });
});

describe('a directory that stays', () => {
  test('after x is begun anew at the next scan, with its down file read again', async () => {
    const simulation = await scanned({ services: { finger: {} } });
    simulation.files.writeFile('/service/finger/down');
    simulation.command('finger', 't');
    simulation.endIn('/service/finger');
    await simulation.advanceMs(1000);
    expect(simulation.story).toEqual(['started finger', 'ended finger', 'started finger']);
    simulation.command('finger', 'dx');
    simulation.endIn('/service/finger');
    await simulation.advanceMs(SCAN_MS);
    expect(simulation.story.slice(3)).toEqual(['ended finger', 'released finger']);
    expect(simulation.statusOf('finger')).toMatchObject({ pid: undefined, want: 'down' });
  });

  test('whose lock another supervisor has is reported and tried again at each scan', async () => {
    const simulation = await scanned({});
    simulation.files.makeService('/service/finger');
    const lock = simulation.files.lockByOther('/service/finger');
    await simulation.advanceMs(2 * SCAN_MS);
    expect(simulation.reports).toEqual([
      expect.objectContaining({
        level: 'fatal',
        program: 'supervise',
        message: 'unable to acquire finger/supervise/lock',
        cause: expect.objectContaining({ code: 'EAGAIN' }),
      }),
      expect.objectContaining({ level: 'fatal' }),
    ]);
    lock.close();
    await simulation.advanceMs(SCAN_MS + SETTLED_MS);
    expect(simulation.story).toEqual(['started finger']);
  });

  test('whose control transport fails is given up until the next scan, and its lock let go', async () => {
    let failures = 1;
    const broken: Plugin = {
      name: 'broken',
      apiVersion: 1,
      apply({ hooks }) {
        hooks.openControl.tap('broken', () => {
          if (failures-- > 0) throw new KernelError('CONTROL_FAILED', 'no fifo');
        });
      },
    };
    const simulation = await scanned({ services: { finger: {} }, plugins: [broken] });
    expect([simulation.story, simulation.leftovers().locks]).toEqual([[], 0]);
    expect(warnings(simulation)).toEqual(['no fifo']);
    await simulation.advanceMs(SCAN_MS);
    expect(simulation.story).toEqual(['started finger']);
  });

  test('whose control transport says x as it is opened is begun anew at the next scan', async () => {
    let commands = 1;
    const hasty: Plugin = {
      name: 'hasty',
      apiVersion: 1,
      apply({ hooks }) {
        hooks.openControl.tap('hasty', (_service, control) => {
          if (commands-- > 0) control.command('x');
        });
      },
    };
    const simulation = await scanned({ services: { finger: {} }, plugins: [hasty] });
    await simulation.advanceMs(SCAN_MS);
    expect(simulation.story).toContain('started finger');
  });
});

describe('an orderly stop', () => {
  const stopTimeoutMs = 30_000;

  test('ends the service first, then its sink, and leaves its log to read to the end', async () => {
    const { plugin, story } = sinks();
    const simulation = await scanned({ services: { finger: { log: true } }, plugins: [plugin], stopTimeoutMs });
    simulation.kernel.stop();
    const main = simulation.processIn('/service/finger');
    const log = simulation.processIn('/service/finger/log');
    expect([main?.signals, log?.signals, story]).toEqual([['SIGTERM', 'SIGCONT'], [], ['open finger']]);
    simulation.processes.end(main?.pid ?? 0);
    expect([log?.signals, story]).toEqual([[], ['open finger', 'end']]);
    await simulation.settle();
    expect(simulation.isDone()).toBe(false);
    simulation.processes.end(log?.pid ?? 0);
    await simulation.settle();
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
    expect(story).toEqual(['open finger', 'end', 'close']);
    expect(simulation.reports).toEqual([]);
  });

  test('kills a service that does not end in time', async () => {
    const simulation = await scanned({ services: { finger: {} }, stopTimeoutMs });
    simulation.kernel.stop();
    await simulation.advanceMs(stopTimeoutMs - 1);
    expect(simulation.processIn('/service/finger')?.signals).toEqual(['SIGTERM', 'SIGCONT']);
    await simulation.advanceMs(1);
    expect(simulation.processIn('/service/finger')?.signals).toEqual(['SIGTERM', 'SIGCONT', 'SIGKILL']);
    expect(warnings(simulation)).toEqual(['finger has not ended for 30 seconds: killing it']);
    simulation.endIn('/service/finger', { signal: 9 });
    await simulation.settle();
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
  });

  test('tells a log that reads on to stop, and kills it when it does not', async () => {
    const simulation = await scanned({ services: { finger: { log: true } }, stopTimeoutMs });
    simulation.kernel.stop();
    simulation.endIn('/service/finger');
    await simulation.advanceMs(stopTimeoutMs);
    expect(simulation.processIn('/service/finger/log')?.signals).toEqual(['SIGTERM', 'SIGCONT']);
    await simulation.advanceMs(stopTimeoutMs);
    expect(simulation.processIn('/service/finger/log')?.signals).toEqual(['SIGTERM', 'SIGCONT', 'SIGKILL']);
    simulation.endIn('/service/finger/log', { signal: 9 });
    await simulation.settle();
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
  });

  test('without a deadline never kills', async () => {
    const simulation = await scanned({ services: { finger: {} } });
    simulation.kernel.stop();
    await simulation.advanceMs(10 * 3_600_000);
    expect(simulation.processIn('/service/finger')?.signals).toEqual(['SIGTERM', 'SIGCONT']);
    simulation.endIn('/service/finger');
    await simulation.settle();
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
  });

  test('twice is as once', async () => {
    const simulation = await scanned({ services: { finger: {} }, stopTimeoutMs });
    simulation.kernel.stop();
    simulation.kernel.stop();
    simulation.kernel.requestScan();
    expect(simulation.processIn('/service/finger')?.signals).toEqual(['SIGTERM', 'SIGCONT']);
    simulation.endIn('/service/finger');
    await simulation.settle();
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
  });

  test('while a service settles starts nothing', async () => {
    const simulation = await scanned({});
    simulation.files.makeService('/service/finger');
    await simulation.advanceMs(SCAN_MS - 100);
    simulation.files.writeFile('/service/finger/run');
    await simulation.advanceMs(150);
    expect(simulation.story).toEqual([]);
    simulation.kernel.stop();
    await simulation.advanceMs(SCAN_MS);
    expect(simulation.story).toEqual(['released finger']);
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
  });

  test('while plugins prepare a start does not wait for them, and starts nothing when they answer', async () => {
    const answer = Promise.withResolvers<void>();
    const slow: Plugin = {
      name: 'slow',
      apiVersion: 1,
      apply({ hooks }) {
        hooks.prepareSpawn.tapPromise('slow', async (plan) => {
          await answer.promise;
          return plan;
        });
      },
    };
    const simulation = await scanned({ services: { finger: {} }, plugins: [slow], stopTimeoutMs });
    simulation.kernel.stop();
    await simulation.settle();
    expect(simulation.isDone()).toBe(true);
    answer.resolve();
    await simulation.settle();
    expect(simulation.story).toEqual(['released finger']);
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
  });

  test('while a plugin never answers gives up after its deadline', async () => {
    const silent: Plugin = {
      name: 'silent',
      apiVersion: 1,
      apply({ hooks }) {
        hooks.prepareSpawn.tapPromise('silent', () => new Promise<never>(() => {}));
      },
    };
    const simulation = await scanned({ services: { finger: {} }, plugins: [silent] });
    simulation.kernel.stop();
    await simulation.advanceMs(10_000);
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
  });

  test('while a service waits for its next start starts nothing', async () => {
    const simulation = await scanned({ services: { finger: {} }, stopTimeoutMs });
    simulation.endIn('/service/finger');
    await simulation.advanceMs(500);
    simulation.kernel.stop();
    await simulation.settle();
    expect(simulation.story).toEqual(['started finger', 'ended finger', 'released finger']);
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
  });

  test('while the log waits for its next start runs it once more, to read what is left', async () => {
    const simulation = await scanned({ services: { finger: { log: true } }, stopTimeoutMs });
    simulation.endIn('/service/finger/log');
    simulation.kernel.stop();
    simulation.endIn('/service/finger');
    await simulation.advanceMs(1000);
    expect(simulation.story.at(-1)).toBe('started finger/log');
    simulation.endIn('/service/finger/log');
    await simulation.settle();
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
  });

  test('leaves a log that was told to be down as it is', async () => {
    const simulation = await scanned({ services: { finger: { log: true } }, stopTimeoutMs });
    simulation.command('finger/log', 'd');
    simulation.endIn('/service/finger/log');
    simulation.kernel.stop();
    simulation.endIn('/service/finger');
    await simulation.settle();
    expect(simulation.processes.started).toHaveLength(2);
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
  });

  test('ends what has vanished, too', async () => {
    const simulation = await scanned({ services: { finger: {} }, stopTimeoutMs });
    simulation.files.rename('/service/finger', '/service/.finger');
    await simulation.advanceMs(SCAN_MS);
    simulation.kernel.stop();
    simulation.endIn('/service/.finger');
    await simulation.settle();
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
  });

  test('during the first scan of many begins no more of them', async () => {
    const services = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`s${index}`, { down: true }]));
    const simulation = await scanned({ services, stopTimeoutMs });
    simulation.kernel.stop();
    await simulation.advanceMs(1);
    expect(simulation.story).toHaveLength(32);
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
  });

  test('kills a removed service, too, that was being ended for its successor', async () => {
    const simulation = await scanned({ services: { finger: {} }, stopTimeoutMs });
    const [old] = simulation.processes.running;
    simulation.files.remove('/service/finger');
    simulation.files.makeService('/service/finger');
    await simulation.advanceMs(SCAN_MS);
    simulation.kernel.stop();
    await simulation.advanceMs(stopTimeoutMs);
    expect(old?.signals).toContain('SIGKILL');
  });

  test('does not wait for a look at a dead mount', async () => {
    const simulation = await scanned({ services: { finger: {} }, stopTimeoutMs });
    simulation.files.pauseListing();
    await simulation.advanceMs(SCAN_MS);
    simulation.kernel.stop();
    simulation.endIn('/service/finger');
    await simulation.advanceMs(10 * stopTimeoutMs);
    expect(simulation.isDone()).toBe(true);
  });

  test('leaves no sink open that came too late', async () => {
    const answer = Promise.withResolvers<void>();
    let open = 0;
    const slow: Plugin = {
      name: 'slow',
      apiVersion: 1,
      apply({ hooks }) {
        hooks.openLogSink.tapPromise('slow', async () => {
          await answer.promise;
          open++;
          return { openOutput: () => 500, end() {}, close: () => void open-- };
        });
      },
    };
    const simulation = await scanned({ services: { finger: {} }, plugins: [slow] });
    simulation.kernel.stop();
    await simulation.advanceMs(10_000);
    answer.resolve();
    await simulation.settle();
    expect([simulation.isDone(), open]).toEqual([true, 0]);
  });
});
