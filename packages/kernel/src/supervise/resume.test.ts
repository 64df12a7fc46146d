/** Services that an earlier kernel has left: taken over as they are, or begun again where they left off. */
import { basePlan, simulateScan, simulateService } from '@daemontap/testkit';
import type { FakeProcess, ServiceSimulationOptions, Simulation, World } from '@daemontap/testkit';
import { describe, expect, test } from 'vitest';
import { KernelError } from '../errors.ts';
import type { LeftService, LogSink } from '../hooks.ts';
import type { Plugin } from '../plugin/contract.ts';

const SCAN_MS = 5000;
const LABEL = '/service/finger';

/** What an earlier kernel has left: a process unless told otherwise, begun ten seconds ago. */
interface Left extends Partial<LeftService> {
  readonly isRunning?: boolean;
  readonly agoMs?: number;
}

/** A plugin that answers for one label, and a world with the process that it tells of. */
function leaving(
  left: Left,
  label = LABEL,
): { readonly plugin: Plugin; before(world: World): void; process(): FakeProcess | undefined } {
  let world: World | undefined;
  let pid = 0;
  const { isRunning = true, agoMs = 10_000, ...more } = left;
  return {
    plugin: {
      name: 'memory',
      apiVersion: 1,
      apply({ hooks, clock }) {
        hooks.findRunning.tap('memory', (service): LeftService | undefined => {
          if (service.label !== label) return undefined;
          return {
            process: isRunning ? { pid, startTicks: pid } : undefined,
            want: 'up',
            startDue: false,
            leaving: false,
            stopDue: false,
            sinceNs: clock.wallNs() - BigInt(agoMs) * 1_000_000n,
            ...more,
          };
        });
      },
    },
    before(given) {
      world = given;
      if (isRunning) pid = given.processes.spawn({ ...basePlan, directoryFd: -1 }, () => {});
    },
    process: () => world?.processes.started.find((each) => each.pid === pid),
  };
}

/** Notes everything that is told of the services, in order. */
function telling(): { readonly plugin: Plugin; readonly told: string[] } {
  const told: string[] = [];
  const plugin: Plugin = {
    name: 'telling',
    apiVersion: 1,
    apply({ hooks }) {
      hooks.intended.tap('telling', (_service, intent) => void told.push(`intended ${intent}`));
      hooks.serviceStarted.tap('telling', () => void told.push('started'));
      hooks.startFailed.tap('telling', () => void told.push('failed'));
      hooks.statusChanged.tap('telling', (_service, { pid, want }) => {
        told.push(`${pid === undefined ? 'down' : 'up'}, wanted ${want}`);
      });
      hooks.serviceEnded.tap('telling', (_service, _pid, end) => {
        told.push(end === undefined ? 'ended somehow' : 'ended');
      });
    },
  };
  return { plugin, told };
}

interface Resumed {
  readonly simulation: Simulation;
  readonly told: readonly string[];
  readonly process: () => FakeProcess | undefined;
}

async function resumed(left: Left, options: ServiceSimulationOptions = {}): Promise<Resumed> {
  const known = leaving(left);
  const { plugin, told } = telling();
  const simulation = simulateService({
    ...options,
    plugins: [known.plugin, plugin, ...(options.plugins ?? [])],
    before(world) {
      known.before(world);
      options.before?.(world);
    },
  });
  await simulation.settle();
  return { simulation, told, process: known.process };
}

describe('a process that runs', () => {
  test('is taken over as it is: nothing is started, and since when it runs is known', async () => {
    const { simulation, told, process } = await resumed({});
    expect(told).toEqual(['up, wanted up']);
    expect(simulation.statusOf(LABEL)).toEqual({
      pid: process()?.pid,
      paused: false,
      want: 'up',
      sinceNs: simulation.clock.wallNs() - 10_000_000_000n,
      startDue: false,
      leaving: false,
    });
    expect(process()?.signals).toEqual([]);
  });

  test('whose end is noticed is started again', async () => {
    const { simulation, told, process } = await resumed({});
    simulation.processes.end(process()?.pid ?? 0);
    await simulation.settle();
    expect(told.slice(1)).toEqual(['ended', 'intended start', 'started', 'up, wanted up']);
    expect(simulation.statusOf(LABEL)?.sinceNs).toBe(simulation.clock.wallNs());
  });

  test('is restarted no sooner than a second after it began, as any other', async () => {
    const { simulation, told, process } = await resumed({ agoMs: 300 });
    simulation.processes.end(process()?.pid ?? 0);
    await simulation.advanceMs(699);
    expect(told).not.toContain('started');
    await simulation.advanceMs(1);
    expect(told).toContain('started');
  });

  test('is commanded as any other', async () => {
    const { simulation, process } = await resumed({});
    simulation.command(LABEL, 'hpct');
    expect(process()?.signals).toEqual(['SIGHUP', 'SIGSTOP', 'SIGCONT', 'SIGTERM']);
    simulation.command(LABEL, 'dx');
    expect(process()?.signals.slice(4)).toEqual(['SIGTERM', 'SIGCONT']);
    simulation.processes.end(process()?.pid ?? 0);
    await simulation.settle();
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([
      true,
      { timers: 0, heldDirectories: 0, locks: 0, processes: 0, watches: 0 },
    ]);
  });

  test('that is stopped is paused', async () => {
    const { simulation, process } = await resumed(
      {},
      { before: ({ processes }) => processes.signal(processes.running[0]?.pid ?? 0, 'SIGSTOP') },
    );
    expect(simulation.statusOf(LABEL)).toMatchObject({ pid: process()?.pid, paused: true });
  });

  test('whatever lies in its directory now: a file down changes nothing', async () => {
    const { simulation, process } = await resumed({}, { service: { down: true } });
    expect(simulation.statusOf(LABEL)).toMatchObject({ pid: process()?.pid, want: 'up' });
  });

  test('wanted once is not started again', async () => {
    const { simulation, told, process } = await resumed({ want: 'once' });
    simulation.processes.end(process()?.pid ?? 0);
    await simulation.advanceMs(SCAN_MS);
    expect(told).toEqual(['up, wanted once', 'ended', 'down, wanted once']);
  });

  test('that was leaving leaves once it has ended', async () => {
    const { simulation, told, process } = await resumed({ want: 'down', leaving: true });
    expect(simulation.statusOf(LABEL)).toMatchObject({ leaving: true, want: 'down' });
    simulation.processes.end(process()?.pid ?? 0);
    await simulation.settle();
    expect([simulation.isDone(), told]).toEqual([true, ['up, wanted down', 'ended', 'down, wanted down']]);
  });

  test('that was about to be stopped is stopped, and that is intended first', async () => {
    const { told, process } = await resumed({ want: 'down', stopDue: true });
    expect(process()?.signals).toEqual(['SIGTERM', 'SIGCONT']);
    expect(told).toEqual(['intended stop', 'up, wanted down']);
  });

  test('that was told to stop is not told again', async () => {
    const { process } = await resumed({ want: 'down' });
    expect(process()?.signals).toEqual([]);
  });

  test('is no longer watched when supervision cannot begin after all', () => {
    const known = leaving({});
    let closed = 0;
    const broken: Plugin = {
      name: 'broken',
      apiVersion: 1,
      apply({ hooks }) {
        hooks.openControl.tap('broken', () => {
          throw new KernelError('CONTROL_FAILED', 'no fifo');
        });
      },
    };
    expect(() =>
      simulateService({
        plugins: [known.plugin, broken],
        before(world) {
          known.before(world);
          const adopt = world.processes.adopt.bind(world.processes);
          world.processes.adopt = (...args) => {
            const adopted = adopt(...args);
            return adopted && { ...adopted, close: () => void closed++ };
          };
        },
      }),
    ).toThrow('no fifo');
    expect(closed).toBe(1);
  });
});

describe('a process that is gone', () => {
  const gone = { before: ({ processes }: World) => processes.end(processes.running[0]?.pid ?? 0) };

  test('is started again at once where it was wanted up and had its second', async () => {
    const { told } = await resumed({}, gone);
    expect(told).toEqual(['intended start', 'started', 'up, wanted up']);
  });

  test('is paced by when it began', async () => {
    const { simulation, told } = await resumed({ agoMs: 400 }, gone);
    expect(told).toEqual(['down, wanted up']);
    await simulation.advanceMs(599);
    expect(told).toEqual(['down, wanted up']);
    await simulation.advanceMs(1);
    expect(told.slice(1)).toEqual(['intended start', 'started', 'up, wanted up']);
  });

  test('is paced from now on where the clock was set back meanwhile', async () => {
    const { simulation, told } = await resumed({ agoMs: -3_600_000 }, gone);
    await simulation.advanceMs(1000);
    expect(told.slice(1)).toEqual(['intended start', 'started', 'up, wanted up']);
  });

  test.each(['once', 'down'] as const)('rests where it was wanted %s', async (want) => {
    const { simulation, told } = await resumed({ want }, gone);
    await simulation.advanceMs(SCAN_MS);
    expect(told).toEqual([`down, wanted ${want}`]);
    expect(simulation.statusOf(LABEL)?.sinceNs).toBe(simulation.clock.wallNs() - BigInt(SCAN_MS) * 1_000_000n);
  });

  test('begins anew where it was leaving', async () => {
    const { told } = await resumed({ want: 'down', leaving: true }, gone);
    expect(told).toEqual(['intended start', 'started', 'up, wanted up']);
  });

  test('and whose pid is another one now is left alone', async () => {
    const { simulation, told, process } = await resumed({ process: { pid: 1001, startTicks: 5 } });
    expect(process()).toMatchObject({ pid: 1001, signals: [] });
    expect(told.at(-1)).toBe('up, wanted up');
    expect(simulation.statusOf(LABEL)?.pid).toBe(1002);
  });
});

describe('no process', () => {
  test('wanted down: it rests since when it did, whatever lies in its directory', async () => {
    const { simulation, told } = await resumed({ isRunning: false, want: 'down' });
    expect(told).toEqual(['down, wanted down']);
    expect(simulation.statusOf(LABEL)?.sinceNs).toBe(simulation.clock.wallNs() - 10_000_000_000n);
  });

  test('wanted once, and it has run: it rests', async () => {
    const { simulation, told } = await resumed({ isRunning: false, want: 'once' });
    await simulation.advanceMs(SCAN_MS);
    expect(told).toEqual(['down, wanted once']);
  });

  test('wanted once, and the start was due: it runs once', async () => {
    const { simulation, told } = await resumed({ isRunning: false, want: 'once', startDue: true });
    simulation.endIn(LABEL);
    await simulation.advanceMs(SCAN_MS);
    expect(told).toEqual(['intended start', 'started', 'up, wanted once', 'ended', 'down, wanted once']);
  });

  test('wanted up although a file down lies there: it is started', async () => {
    const { told } = await resumed({ isRunning: false }, { service: { down: true } });
    expect(told).toEqual(['intended start', 'started', 'up, wanted up']);
  });

  test('a directory that is being filled is not waited for: it is known', async () => {
    const known = leaving({ isRunning: false });
    const simulation = simulateScan({
      plugins: [leaving({ isRunning: false }, 'finger').plugin, { ...known.plugin, name: 'other' }],
      before: ({ files }) => files.makeService('/service/finger'),
    });
    await simulation.settle();
    expect(simulation.story).toEqual(['started finger']);
  });
});

describe('who cannot tell', () => {
  test('a plugin that throws: nothing is begun until the next scan, and it is said', async () => {
    let failures = 1;
    const forgetful: Plugin = {
      name: 'forgetful',
      apiVersion: 1,
      apply({ hooks }) {
        hooks.findRunning.tap('forgetful', () => {
          if (failures-- > 0) throw new KernelError('RECORD_FAILED', 'unable to read', { cause: new Error('torn') });
          return undefined;
        });
      },
    };
    const simulation = simulateScan({ services: { finger: {} }, plugins: [forgetful] });
    await simulation.settle();
    expect([simulation.story, simulation.leftovers().locks]).toEqual([[], 0]);
    expect(simulation.reports.map(({ level, message }) => [level, message])).toEqual([['fatal', 'unable to read']]);
    await simulation.advanceMs(SCAN_MS);
    expect(simulation.story).toEqual(['started finger']);
  });

  test('a process that cannot be watched: nothing is begun until the next scan', async () => {
    const known = leaving({}, 'finger');
    const simulation = simulateScan({
      services: { finger: {} },
      plugins: [known.plugin],
      before(world) {
        known.before(world);
        const adopt = world.processes.adopt.bind(world.processes);
        let failures = 1;
        world.processes.adopt = (...args) => {
          if (failures-- > 0) throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' });
          return adopt(...args);
        };
      },
    });
    await simulation.settle();
    expect([simulation.statusOf('finger'), simulation.leftovers().locks]).toEqual([undefined, 0]);
    expect(simulation.reports).toMatchObject([{ level: 'fatal', message: 'unable to supervise finger' }]);
    await simulation.advanceMs(SCAN_MS);
    expect(simulation.statusOf('finger')).toMatchObject({ pid: known.process()?.pid });
    expect(simulation.story).toEqual([]);
  });

  test('the first answer counts', async () => {
    const first = leaving({ isRunning: false, want: 'down' });
    const { told } = await resumed({ want: 'up' }, {});
    expect(told).toEqual(['up, wanted up']);
    const simulation = simulateService({ plugins: [first.plugin, { ...leaving({}).plugin, name: 'second' }] });
    await simulation.settle();
    expect(simulation.statusOf(LABEL)).toMatchObject({ want: 'down', pid: undefined });
  });
});

describe('what is told before it is done', () => {
  test('a start is intended, then begun, then told, and then the status', async () => {
    const { plugin, told } = telling();
    const simulation = simulateService({
      plugins: [plugin],
      before({ processes }) {
        const spawn = processes.spawn.bind(processes);
        processes.spawn = (...args) => {
          told.push('spawned');
          return spawn(...args);
        };
      },
    });
    await simulation.settle();
    expect(told).toEqual(['intended start', 'spawned', 'started', 'up, wanted up']);
  });

  test('a start that the system refuses was intended', async () => {
    const { plugin, told } = telling();
    const simulation = simulateService({ plugins: [plugin], before: ({ processes }) => processes.failNext('ENOENT') });
    await simulation.settle();
    expect(told).toEqual(['intended start', 'failed', 'down, wanted up']);
  });

  test('a stop is intended before TERM is sent; a TERM alone is none', async () => {
    const { plugin, told } = telling();
    const simulation = simulateService({
      plugins: [plugin],
      before({ processes }) {
        const signal = processes.signal.bind(processes);
        processes.signal = (pid, name) => {
          told.push(name);
          signal(pid, name);
        };
      },
    });
    await simulation.settle();
    told.length = 0;
    simulation.command(LABEL, 't');
    simulation.command(LABEL, 'd');
    expect(told).toEqual(['SIGTERM', 'intended stop', 'SIGTERM', 'SIGCONT', 'up, wanted down']);
  });
});

describe('a service with a log', () => {
  const sinks = (): { readonly plugin: Plugin; readonly story: string[] } => {
    const story: string[] = [];
    const sink: LogSink = {
      openOutput: () => (story.push('output'), 500),
      openInput: () => (story.push('input'), 501),
      end: () => void story.push('end'),
      close: () => void story.push('close'),
    };
    const plugin: Plugin = {
      name: 'sinks',
      apiVersion: 1,
      apply({ hooks }) {
        hooks.openLogSink.tap('sinks', () => (story.push('open'), sink));
      },
    };
    return { plugin, story };
  };

  test('the log is begun first', async () => {
    const { plugin, story } = sinks();
    const simulation = simulateScan({ services: { finger: { log: true } }, plugins: [plugin] });
    await simulation.settle();
    expect([simulation.story, story]).toEqual([
      ['started finger/log', 'started finger'],
      ['open', 'input', 'output'],
    ]);
  });

  test.each(['finger', 'finger/log'])(
    'its sink is held as soon as %s is taken over, before any start',
    async (label) => {
      const { plugin, story } = sinks();
      const known = leaving({}, label);
      const simulation = simulateScan({
        services: { finger: { log: true, down: true } },
        plugins: [known.plugin, plugin],
        before: known.before,
      });
      await simulation.settle();
      expect(story[0]).toBe('open');
      expect(simulation.statusOf(label)).toMatchObject({ pid: known.process()?.pid });
    },
  );

  test('a sink that cannot be opened is said, and what runs is taken over all the same', async () => {
    const known = leaving({}, 'finger');
    const broken: Plugin = {
      name: 'broken',
      apiVersion: 1,
      apply({ hooks }) {
        hooks.openLogSink.tap('broken', () => {
          throw new KernelError('PIPE_FAILED', 'no pipe');
        });
      },
    };
    const simulation = simulateScan({
      services: { finger: { log: true } },
      plugins: [known.plugin, broken],
      before: known.before,
    });
    await simulation.settle();
    expect(simulation.reports.map(({ message }) => message)).toContain('no pipe');
    expect(simulation.statusOf('finger')).toMatchObject({ pid: known.process()?.pid });
  });

  test.each(['gone', 'about to end'])(
    'a log that is %s is started again at once: it has met the end of its input',
    async (when) => {
      const known = leaving({ agoMs: 100 }, 'finger/log');
      const simulation = simulateScan({
        services: { finger: { log: true } },
        plugins: [known.plugin],
        before(world) {
          known.before(world);
          if (when === 'gone') world.processes.end(known.process()?.pid ?? 0);
        },
      });
      await simulation.settle();
      if (when === 'about to end') simulation.processes.end(known.process()?.pid ?? 0);
      expect(simulation.story.filter((line) => line === 'started finger/log')).toHaveLength(1);
      // From now on it is paced as any other.
      simulation.endIn('/service/finger/log');
      await simulation.advanceMs(999);
      expect(simulation.story.filter((line) => line === 'started finger/log')).toHaveLength(1);
    },
  );
});
