/** Services that go on as another process: found by a plugin when the one that was known has ended. */
import { basePlan, simulateScan, simulateService } from '@daemontap/testkit';
import type { FakeProcess, ServiceSimulationOptions, Simulation, World } from '@daemontap/testkit';
import { describe, expect, test } from 'vitest';
import type { LeftService, Successor } from '../hooks.ts';
import type { Plugin } from '../plugin/contract.ts';

const LABEL = '/service/finger';
const DEADLINE_MS = 30_000;
const nothing = { timers: 0, heldDirectories: 0, locks: 0, processes: 0, watches: 0 };

type Answer = Successor | undefined | Error;

/** A plugin that answers what it was told to, one answer after the other and then nothing. */
class Finder {
  /** About which pids. */
  readonly asked: (number | undefined)[] = [];
  readonly told: string[] = [];
  readonly answers: (Answer | (() => Answer))[] = [];
  readonly plugin: Plugin = {
    name: 'finder',
    apiVersion: 1,
    apply: ({ hooks }) => {
      hooks.findSuccessor.tap('finder', ({ role }, pid) => {
        if (role === 'log') return undefined;
        this.asked.push(pid);
        const answer = this.answers.shift();
        const given = typeof answer === 'function' ? answer() : answer;
        if (given instanceof Error) throw given;
        return given;
      });
      hooks.intended.tap('finder', (_service, intent) => void this.told.push(`intended ${intent}`));
      hooks.serviceEnded.tap('finder', (_service, pid, end) => void this.told.push(`${pid} ${JSON.stringify(end)}`));
    },
  };
}

/** Another process, which runs. */
const another = ({ processes }: Pick<World, 'processes'>): FakeProcess => {
  const pid = processes.spawn({ ...basePlan, directoryFd: -1 }, () => {});
  const found = processes.started.find((each) => each.pid === pid);
  if (found === undefined) throw new Error('it was not started');
  return found;
};
const named = ({ pid }: FakeProcess): Successor => ({ pid, startTicks: pid });
const pidOf = (simulation: Simulation): number | undefined => simulation.statusOf(LABEL)?.pid;
const saidOf = (simulation: Simulation): readonly string[] => simulation.reports.map(({ message }) => message);

/** A service that runs for ten seconds already. */
async function running(
  options: ServiceSimulationOptions = {},
): Promise<{ readonly simulation: Simulation; readonly finder: Finder; readonly first: FakeProcess }> {
  const finder = new Finder();
  const simulation = simulateService({ ...options, plugins: [finder.plugin, ...(options.plugins ?? [])] });
  await simulation.advanceMs(10_000);
  const first = simulation.processIn(LABEL);
  if (first === undefined) throw new Error('it does not run');
  expect(finder.asked.splice(0)).toEqual([undefined]);
  finder.told.length = 0;
  return { simulation, finder, first };
}

/** Lets it end, and leaves nothing behind. */
async function finish(simulation: Simulation): Promise<void> {
  simulation.command(LABEL, 'dx');
  for (const { pid } of simulation.processes.running) simulation.processes.end(pid);
  await simulation.advanceMs(1000);
  expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
}

describe('a service whose process has ended and that goes on as another one', () => {
  test('is up with that pid, since now, and nothing is told of an end', async () => {
    const { simulation, finder, first } = await running();
    const daemon = another(simulation);
    finder.answers.push(named(daemon));
    simulation.processes.end(first.pid, { exitCode: 3 });
    expect(simulation.statusOf(LABEL)).toEqual({
      pid: daemon.pid,
      paused: false,
      want: 'up',
      sinceNs: simulation.clock.wallNs(),
      startDue: false,
      leaving: false,
    });
    expect([finder.asked, finder.told]).toEqual([[first.pid], []]);
    expect(daemon.signals).toEqual([]);
    simulation.command(LABEL, 'thp');
    expect([daemon.signals, simulation.statusOf(LABEL)?.paused]).toEqual([['SIGTERM', 'SIGHUP', 'SIGSTOP'], true]);
    await finish(simulation);
  });

  test('ends with the last of them, and is started again at once after a second of life', async () => {
    const { simulation, finder, first } = await running();
    const [one, other] = [another(simulation), another(simulation)];
    finder.answers.push(named(one), named(other));
    simulation.processes.end(first.pid);
    simulation.processes.end(one.pid);
    expect(pidOf(simulation)).toBe(other.pid);
    simulation.processes.end(other.pid, { signal: 9 });
    expect(finder.asked).toEqual([first.pid, one.pid, other.pid]);
    expect(finder.told).toEqual([`${other.pid} {"signal":9}`, 'intended start']);
    expect(simulation.processIn(LABEL)?.pid).toBeGreaterThan(other.pid);
    await finish(simulation);
  });

  test('is started again a second after its start, not after it has moved', async () => {
    const { simulation, finder, first } = await running();
    simulation.processes.end(first.pid);
    const second = simulation.processIn(LABEL);
    const daemon = another(simulation);
    finder.answers.push(named(daemon));
    await simulation.advanceMs(600);
    simulation.processes.end(second?.pid ?? 0);
    simulation.processes.end(daemon.pid);
    expect(simulation.processIn(LABEL)).toBeUndefined();
    await simulation.advanceMs(399);
    expect(simulation.processIn(LABEL)).toBeUndefined();
    await simulation.advanceMs(1);
    expect(simulation.processIn(LABEL)).toBeDefined();
    await finish(simulation);
  });

  test('wanted down, tells each of them to stop', async () => {
    const { simulation, finder, first } = await running();
    const [one, other] = [another(simulation), another(simulation)];
    simulation.command(LABEL, 'p');
    simulation.processes.signal(one.pid, 'SIGSTOP');
    finder.answers.push(named(one), named(other));
    simulation.command(LABEL, 'd');
    simulation.processes.end(first.pid);
    expect(one.signals).toEqual(['SIGSTOP', 'SIGTERM', 'SIGCONT']);
    expect(simulation.statusOf(LABEL)).toMatchObject({ pid: one.pid, want: 'down', paused: false });
    simulation.processes.end(one.pid);
    expect(other.signals).toEqual(['SIGTERM', 'SIGCONT']);
    expect(finder.told).toEqual(['intended stop', 'intended stop', 'intended stop']);
    simulation.processes.end(other.pid);
    expect(simulation.statusOf(LABEL)).toMatchObject({ pid: undefined, want: 'down' });
    await finish(simulation);
  });

  test('wanted once, is not started again, and after x leaves with the last of them', async () => {
    const { simulation, finder, first } = await running();
    const daemon = another(simulation);
    finder.answers.push(named(daemon));
    simulation.command(LABEL, 'ox');
    simulation.processes.end(first.pid);
    await simulation.settle();
    expect([simulation.statusOf(LABEL), simulation.isDone()]).toEqual([
      expect.objectContaining({ pid: daemon.pid, want: 'once', leaving: true }),
      false,
    ]);
    simulation.processes.end(daemon.pid);
    await simulation.settle();
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
  });

  test('is paused where the process that it goes on as is', async () => {
    const { simulation, finder, first } = await running();
    const daemon = another(simulation);
    simulation.processes.signal(daemon.pid, 'SIGSTOP');
    finder.answers.push(named(daemon));
    simulation.processes.end(first.pid);
    expect(simulation.statusOf(LABEL)?.paused).toBe(true);
    await finish(simulation);
  });

  test('asks again at once where the one that was found has ended since', async () => {
    const { simulation, finder, first } = await running();
    const daemon = another(simulation);
    finder.answers.push(() => {
      const gone = another(simulation);
      simulation.processes.end(gone.pid);
      return named(gone);
    }, named(daemon));
    simulation.processes.end(first.pid);
    expect(pidOf(simulation)).toBe(daemon.pid);
    await finish(simulation);
  });

  test('is not asked about without an end, however often none that is found is there', async () => {
    const { simulation, finder, first } = await running();
    finder.answers.push(...Array.from({ length: 12 }, (): Answer => ({ pid: 7, startTicks: 7 })));
    simulation.processes.end(first.pid);
    expect(finder.asked).toHaveLength(5);
    await simulation.advanceMs(1000);
    expect(finder.asked).toHaveLength(10);
    expect(pidOf(simulation)).toBe(first.pid);
    await simulation.advanceMs(1000);
    expect([finder.asked.length, finder.told[0]]).toEqual([13, `${first.pid} {"exitCode":0}`]);
    await finish(simulation);
  });
});

describe('a service of which nobody can tell what it goes on as', () => {
  test('counts as up, and is asked about each second', async () => {
    const { simulation, finder, first } = await running();
    const daemon = another(simulation);
    finder.answers.push('later', 'later', named(daemon));
    simulation.processes.end(first.pid);
    const before = simulation.statusOf(LABEL);
    await simulation.advanceMs(1999);
    expect([finder.asked.length, simulation.statusOf(LABEL)]).toEqual([2, before]);
    expect(before?.pid).toBe(first.pid);
    await simulation.advanceMs(1);
    expect([finder.asked.length, pidOf(simulation)]).toEqual([3, daemon.pid]);
    await simulation.advanceMs(10_000);
    expect(finder.asked).toHaveLength(3);
    await finish(simulation);
  });

  test('has ended once there is no answer any more', async () => {
    const { simulation, finder, first } = await running();
    finder.answers.push('later');
    simulation.processes.end(first.pid, { exitCode: 4 });
    await simulation.advanceMs(1000);
    expect(finder.told).toEqual([`${first.pid} {"exitCode":4}`, 'intended start']);
    await finish(simulation);
  });

  test('sends signals to nobody: the pid may be another process by then', async () => {
    const { simulation, finder, first } = await running();
    const daemon = another(simulation);
    finder.answers.push('later', named(daemon));
    simulation.processes.end(first.pid);
    simulation.command(LABEL, 'tkd');
    expect(first.signals).toEqual([]);
    expect(simulation.statusOf(LABEL)).toMatchObject({ pid: first.pid, want: 'down' });
    await simulation.advanceMs(1000);
    expect([pidOf(simulation), daemon.signals]).toEqual([daemon.pid, ['SIGTERM', 'SIGCONT']]);
    await finish(simulation);
  });

  test('wanted down, is given up by k, and that is said', async () => {
    const { simulation, finder, first } = await running();
    finder.answers.push('later', 'later', 'later');
    simulation.processes.end(first.pid);
    simulation.command(LABEL, 'k');
    expect(finder.told).toEqual([]);
    simulation.command(LABEL, 'dk');
    expect(finder.told).toEqual(['intended stop', `${first.pid} undefined`]);
    expect(simulation.statusOf(LABEL)).toMatchObject({ pid: undefined, want: 'down' });
    await simulation.advanceMs(5000);
    expect(finder.asked).toHaveLength(1);
    expect(saidOf(simulation)).toEqual([`unable to kill ${LABEL}: nobody knows its process`]);
    await finish(simulation);
  });

  test('leaves nothing behind when the plugin is taken away: it has ended', async () => {
    const { simulation, finder, first } = await running();
    finder.answers.push(...Array.from({ length: 20 }, (): Answer => 'later'));
    simulation.processes.end(first.pid);
    simulation.kernel.replacePlugins(simulation.plugins.filter(({ name }) => name !== 'finder'));
    await simulation.advanceMs(1000);
    expect(simulation.story).toEqual([`started ${LABEL}`, `ended ${LABEL}`, `started ${LABEL}`]);
    await finish(simulation);
  });
});

describe('a failure', () => {
  test('of the plugin is said once, and it is asked again each second', async () => {
    const { simulation, finder, first } = await running();
    const daemon = another(simulation);
    finder.answers.push(new Error('full'), new Error('full'), named(daemon));
    simulation.processes.end(first.pid);
    await simulation.advanceMs(2000);
    expect([pidOf(simulation), finder.told]).toEqual([daemon.pid, []]);
    expect(simulation.reports).toMatchObject([
      { level: 'warning', message: `plugin finder failed in findSuccessor for ${LABEL}`, service: LABEL },
    ]);
    await finish(simulation);
  });

  test('of the system to take the process over, too', async () => {
    const { simulation, finder, first } = await running();
    const daemon = another(simulation);
    finder.answers.push(null as unknown as Successor, named(daemon));
    simulation.processes.end(first.pid);
    expect([pidOf(simulation), saidOf(simulation)]).toEqual([first.pid, [`unable to find what ${LABEL} goes on as`]]);
    await simulation.advanceMs(1000);
    expect(pidOf(simulation)).toBe(daemon.pid);
    await finish(simulation);
  });
});

describe('what an earlier kernel has left', () => {
  const AGO_MS = 10_000;

  /** A plugin that tells of a process that is no more, unless it tells of none at all. */
  const memory = (left: Partial<LeftService> | undefined): Plugin => ({
    name: 'memory',
    apiVersion: 1,
    apply({ hooks, clock }) {
      hooks.findRunning.tap('memory', () => {
        const sinceNs = clock.wallNs() - BigInt(AGO_MS) * 1_000_000n;
        const process = { pid: 7, startTicks: 7 };
        return left && { process, want: 'up', startDue: false, leaving: false, stopDue: false, sinceNs, ...left };
      });
    },
  });

  /** A kernel that begins after it. */
  function begun(
    left: Partial<LeftService> | undefined,
    answers: (daemon: FakeProcess) => readonly Answer[],
    service: ServiceSimulationOptions['service'] = {},
  ): { readonly simulation: Simulation; readonly finder: Finder; readonly daemon: FakeProcess } {
    const finder = new Finder();
    let daemon: FakeProcess | undefined;
    const simulation = simulateService({
      service,
      plugins: [memory(left), finder.plugin],
      before(world) {
        daemon = another(world);
        finder.answers.push(...answers(daemon));
      },
    });
    if (daemon === undefined) throw new Error('there is no world');
    return { simulation, finder, daemon };
  }

  test('is taken over as what it goes on as, where its process has ended', async () => {
    const { simulation, finder, daemon } = begun({}, (found) => [named(found)]);
    await simulation.settle();
    expect(finder.asked).toEqual([7]);
    expect([simulation.story, simulation.statusOf(LABEL)]).toMatchObject([
      [],
      { pid: daemon.pid, want: 'up', sinceNs: simulation.clock.wallNs() },
    ]);
    expect(daemon.signals).toEqual([]);
    simulation.processes.end(daemon.pid);
    expect(simulation.story).toEqual([`ended ${LABEL}`, `started ${LABEL}`]);
    await finish(simulation);
  });

  test.each([{}, undefined])('and where the process is not known: %o', async (left) => {
    const { simulation, finder, daemon } = begun(left && { process: undefined, startDue: true }, (found) => [
      named(found),
    ]);
    await simulation.settle();
    expect([finder.asked, simulation.story]).toEqual([[undefined], []]);
    expect(simulation.statusOf(LABEL)).toMatchObject({ pid: daemon.pid, want: 'up' });
    await finish(simulation);
  });

  test.each([{ stopDue: true }, { stopDue: false }])('is told to stop where it is wanted down: %o', async (left) => {
    const { simulation, daemon } = begun({ want: 'down', ...left }, (found) => [named(found)]);
    await simulation.settle();
    expect(daemon.signals).toEqual(['SIGTERM', 'SIGCONT']);
    await finish(simulation);
  });

  test('goes on leaving', async () => {
    const { simulation, daemon } = begun({ leaving: true }, (found) => [named(found)]);
    await simulation.settle();
    expect(simulation.statusOf(LABEL)).toMatchObject({ pid: daemon.pid, leaving: true });
    simulation.processes.end(daemon.pid);
    await simulation.settle();
    expect([simulation.isDone(), simulation.story]).toEqual([true, [`ended ${LABEL}`, `released ${LABEL}`]]);
  });

  test('counts as up while nobody can tell what it goes on as', async () => {
    const { simulation, finder, daemon } = begun({}, (found) => ['later', named(found)]);
    await simulation.settle();
    expect([simulation.statusOf(LABEL)?.pid, simulation.story]).toEqual([7, []]);
    await simulation.advanceMs(1000);
    expect([finder.asked.length, pidOf(simulation)]).toEqual([2, daemon.pid]);
    await finish(simulation);
  });

  test('is not begun with while that is so and nothing is known of it: the next scan asks again', async () => {
    const finder = new Finder();
    finder.answers.push('later', new Error('full'));
    const simulation = simulateScan({ services: { finger: {} }, plugins: [finder.plugin] });
    await simulation.settle();
    expect([simulation.story, saidOf(simulation), simulation.leftovers().locks]).toEqual([
      [],
      ['unable to find finger'],
      0,
    ]);
    await simulation.advanceMs(5000);
    expect(saidOf(simulation)).toEqual(['unable to find finger', 'plugin finder failed in findSuccessor for finger']);
    await simulation.advanceMs(5000);
    expect(simulation.story).toEqual(['started finger']);
    simulation.kernel.stop();
    simulation.endIn('/service/finger');
    await simulation.settle();
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
  });
});

describe('an orderly stop', () => {
  /** A service with two processes behind its first. */
  async function withTwo(): Promise<{
    readonly simulation: Simulation;
    readonly finder: Finder;
    readonly first: FakeProcess;
    readonly others: readonly [FakeProcess, FakeProcess];
  }> {
    const finder = new Finder();
    const simulation = simulateScan({
      services: { finger: { log: true } },
      plugins: [finder.plugin],
      stopTimeoutMs: DEADLINE_MS,
    });
    await simulation.advanceMs(10_000);
    const first = simulation.processIn('/service/finger');
    if (first === undefined) throw new Error('it does not run');
    const others = [another(simulation), another(simulation)] as const;
    return { simulation, finder, first, others };
  }

  test('tells one after the other, and kills each at once after the deadline', async () => {
    const { simulation, finder, first, others } = await withTwo();
    finder.answers.push(...others.map(named));
    simulation.kernel.stop();
    simulation.processes.end(first.pid);
    await simulation.advanceMs(DEADLINE_MS - 1);
    expect(others.map(({ signals }) => signals)).toEqual([['SIGTERM', 'SIGCONT'], []]);
    await simulation.advanceMs(1);
    expect(others[0].signals).toEqual(['SIGTERM', 'SIGCONT', 'SIGKILL']);
    simulation.processes.end(others[0].pid);
    expect(others[1].signals).toEqual(['SIGTERM', 'SIGCONT', 'SIGKILL']);
    simulation.processes.end(others[1].pid);
    simulation.endIn('/service/finger/log');
    await simulation.settle();
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
    expect(saidOf(simulation)).toEqual(['finger has not ended for 30 seconds: killing it']);
  });

  test('ends although nobody can tell what the service goes on as', async () => {
    const { simulation, finder, first, others } = await withTwo();
    finder.answers.push(named(others[0]), ...Array.from({ length: 99 }, (): Answer => 'later'));
    simulation.kernel.stop();
    simulation.processes.end(first.pid);
    await simulation.advanceMs(DEADLINE_MS);
    simulation.processes.end(others[0].pid);
    await simulation.advanceMs(DEADLINE_MS);
    expect(saidOf(simulation)).toEqual([
      'finger has not ended for 30 seconds: killing it',
      'finger has not ended for 30 seconds: killing it',
      'unable to kill finger: nobody knows its process',
    ]);
    simulation.endIn('/service/finger/log');
    await simulation.settle();
    expect(simulation.isDone()).toBe(true);
  });
});
