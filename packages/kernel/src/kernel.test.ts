/** Both kinds of kernel through the public entry. */
import {
  basePlan,
  FakeFiles,
  FakeProcesses,
  FakeReadiness,
  SimulatedClock,
  simulateScan,
  simulateService,
} from '@daemontap/testkit';
import type { Leftovers } from '@daemontap/testkit';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { KernelError, superviseScanDirectory, superviseService } from './index.ts';
import type { Kernel, KernelErrorCode, KernelOptions, Plugin, PluginKernel } from './index.ts';

const nothing: Leftovers = { timers: 0, heldDirectories: 0, locks: 0, processes: 0, watches: 0 };

function world(path: string): KernelOptions & { readonly ports: { readonly files: FakeFiles } } {
  const clock = new SimulatedClock();
  const files = new FakeFiles(clock);
  files.makeService('/service/finger');
  return {
    path: Buffer.from(path),
    plugins: [],
    ports: { clock, files, processes: new FakeProcesses(), readiness: new FakeReadiness() },
    basePlan,
    runtimeRoot: '/run/daemontap',
    stopTimeoutMs: undefined,
  };
}

const codeOf = (body: () => unknown): KernelErrorCode | undefined => {
  try {
    body();
    return undefined;
  } catch (error) {
    if (error instanceof KernelError) return error.code;
    throw error;
  }
};
const plugin = (name: string, body: (kernel: PluginKernel) => void = () => {}): Plugin => ({
  name,
  apiVersion: 1,
  apply: body,
});

describe('what is refused', () => {
  test('a directory that does not exist', () => {
    expect(codeOf(() => superviseScanDirectory(world('/nowhere')))).toBe('NO_DIRECTORY');
    expect(codeOf(() => superviseService(world('/nowhere')))).toBe('NO_DIRECTORY');
  });
  test('a file in the place of a directory', () => {
    expect(codeOf(() => superviseService(world('/service/finger/run')))).toBe('NO_DIRECTORY');
  });
  test('the directory / as a scan directory', () => {
    expect(codeOf(() => superviseScanDirectory(world('/')))).toBe('ROOT_DIRECTORY');
  });
  test('two plugins of one name, and one whose apply throws', () => {
    const twice = { ...world('/service'), plugins: [plugin('a'), plugin('a')] };
    expect(codeOf(() => superviseScanDirectory(twice))).toBe('PLUGIN_NAME_TAKEN');
    const broken = plugin('broken', () => {
      throw new Error('wrong option');
    });
    expect(codeOf(() => superviseScanDirectory({ ...world('/service'), plugins: [broken] }))).toBe('PLUGIN_FAILED');
  });
  test('a service that another supervisor has', () => {
    const options = world('/service/finger');
    options.ports.files.lockByOther('/service/finger');
    expect(codeOf(() => superviseService(options))).toBe('LOCK_HELD');
  });
  test('a service whose down file cannot be looked at', () => {
    const options = world('/service/finger');
    options.ports.files.writeFile('/service/finger/down');
    options.ports.files.failLooksAt('/service/finger/down', 'EACCES');
    expect(codeOf(() => superviseService(options))).toBe('STAT_FAILED');
  });

  test('and then no directory is held any more', () => {
    const locked = world('/service/finger');
    locked.ports.files.lockByOther('/service/finger');
    codeOf(() => superviseService(locked));
    const root = world('/');
    codeOf(() => superviseScanDirectory(root));
    expect([locked, root].map(({ ports }) => ports.files.heldDirectories)).toEqual([0, 0]);
  });
});

describe('supervise', () => {
  test('starts its service at once, whatever was changed just now', async () => {
    const options = world('/service/finger');
    superviseService(options);
    await new Promise((resolve) => void setImmediate(resolve));
    expect((options.ports.processes as FakeProcesses).running).toHaveLength(1);
  });

  test('restarts it, once a second', async () => {
    const simulation = simulateService();
    await simulation.settle();
    for (let count = 0; count < 3; count++) {
      simulation.endIn('/service/finger');
      await simulation.advanceMs(999);
      expect(simulation.processes.running).toEqual([]);
      await simulation.advanceMs(1);
      expect(simulation.processes.running).toHaveLength(1);
    }
  });

  test('with a down file waits for a command', async () => {
    const simulation = simulateService({ service: { down: true } });
    await simulation.advanceMs(10_000);
    expect(simulation.story).toEqual([]);
    simulation.command('/service/finger', 'o');
    await simulation.settle();
    simulation.endIn('/service/finger');
    await simulation.advanceMs(10_000);
    expect(simulation.story).toEqual(['started /service/finger', 'ended /service/finger']);
    expect(simulation.statusOf('/service/finger')).toMatchObject({ pid: undefined, want: 'once' });
  });

  test('goes on when a start fails, and says so each time', async () => {
    const simulation = simulateService({ before: ({ processes }) => processes.failNext('ENOEXEC', 2) });
    await simulation.advanceMs(2000);
    expect(simulation.story).toEqual(['failed /service/finger', 'failed /service/finger', 'started /service/finger']);
    expect(simulation.reports).toEqual([
      expect.objectContaining({
        level: 'fatal',
        program: 'supervise',
        message: 'unable to start /service/finger/run',
        cause: expect.objectContaining({ code: 'ENOEXEC' }),
      }),
      expect.objectContaining({ level: 'fatal' }),
    ]);
  });

  test('the stamp changes with the pid and with nothing else', async () => {
    const simulation = simulateService();
    await simulation.settle();
    const began = simulation.statusOf('/service/finger');
    await simulation.advanceMs(5000);
    simulation.command('/service/finger', 'p');
    expect(simulation.statusOf('/service/finger')).toEqual({ ...began, paused: true });
    simulation.command('/service/finger', 'cd');
    expect(simulation.statusOf('/service/finger')).toEqual({ ...began, want: 'down' });
    simulation.endIn('/service/finger');
    expect(simulation.statusOf('/service/finger')).toEqual({
      pid: undefined,
      paused: false,
      want: 'down',
      sinceNs: simulation.clock.wallNs(),
      startDue: false,
      leaving: false,
    });
  });

  test('any number of commands at once is carried out in order, in turns', async () => {
    const simulation = simulateService();
    await simulation.settle();
    simulation.command('/service/finger', 'pc'.repeat(200));
    await simulation.advanceMs(1);
    const expected = Array.from({ length: 200 }, () => ['SIGSTOP', 'SIGCONT']).flat();
    expect(simulation.processIn('/service/finger')?.signals).toEqual(expected);
  });

  test('x leaves when the service has ended, and the lock is free', async () => {
    const simulation = simulateService();
    await simulation.settle();
    simulation.command('/service/finger', 'dx');
    await simulation.settle();
    expect(simulation.isDone()).toBe(false);
    simulation.endIn('/service/finger');
    await simulation.settle();
    expect(simulation.isDone()).toBe(true);
    expect(simulation.story.at(-1)).toBe('released /service/finger');
    expect(simulation.leftovers()).toMatchObject({ timers: 0, locks: 0, processes: 0 });
  });

  test('stop is dx', async () => {
    const simulation = simulateService();
    await simulation.settle();
    simulation.kernel.stop();
    expect(simulation.processIn('/service/finger')?.signals).toEqual(['SIGTERM', 'SIGCONT']);
    simulation.endIn('/service/finger');
    await simulation.settle();
    expect(simulation.isDone()).toBe(true);
  });

  test('leaves nothing open when it is done', async () => {
    const simulation = simulateService();
    await simulation.settle();
    simulation.command('/service/finger', 'dx');
    simulation.endIn('/service/finger');
    await simulation.settle();
    expect(simulation.leftovers()).toEqual(nothing);
  });
});

describe('the sink of a single service', () => {
  test('is asked for again after it could not be opened', async () => {
    let failures = 1;
    const broken = plugin('broken', ({ hooks }) => {
      hooks.openLogSink.tapPromise('broken', async () => {
        if (failures-- > 0) throw new Error('no pipe');
        return undefined;
      });
    });
    const simulation = simulateService({ plugins: [broken] });
    await simulation.advanceMs(5000);
    expect(simulation.story).toContain('started /service/finger');
  });

  test('is closed when supervision ends', async () => {
    const story: string[] = [];
    const sinks = plugin('sinks', ({ hooks }) => {
      hooks.openLogSink.tap('sinks', () => ({
        openOutput: () => 500,
        end: () => void story.push('end'),
        close: () => void story.push('close'),
      }));
    });
    const simulation = simulateService({ plugins: [sinks] });
    await simulation.settle();
    simulation.command('/service/finger', 'dx');
    simulation.endIn('/service/finger');
    await simulation.settle();
    expect(simulation.isDone()).toBe(true);
    expect(story).toContain('close');
  });
});

describe('plugins that fail', () => {
  const broken = plugin('broken', ({ hooks }) => {
    hooks.statusChanged.tap('broken', () => {
      throw new Error('no room');
    });
    hooks.serviceStarted.tap('broken', () => {
      throw new Error('no room');
    });
    // As JavaScript allows it, and TypeScript without its linter.
    const rejects = (async () => {
      throw new Error('no room');
    }) as () => void;
    hooks.serviceEnded.tap('broken', rejects);
  });

  test('services go on, and the plugin is named', async () => {
    const simulation = simulateScan({ services: { finger: {} }, plugins: [broken] });
    await simulation.settle();
    simulation.endIn('/service/finger');
    await simulation.advanceMs(1000);
    expect(simulation.story).toEqual(['started finger', 'ended finger', 'started finger']);
    expect(new Set(simulation.reports.map(({ message }) => message))).toEqual(
      new Set([
        'plugin broken failed in statusChanged for finger',
        'plugin broken failed in serviceStarted for finger',
        'plugin broken failed in serviceEnded for finger',
      ]),
    );
  });

  test('the state directory of a plugin is made at the first call, in the one named after the scan directory', async () => {
    let path: string | undefined;
    const asking = plugin('asking', (kernel) => {
      kernel.hooks.serviceStarted.tap('asking', () => (path = kernel.stateDir()));
    });
    const simulation = simulateScan({ services: { finger: {} }, plugins: [asking] });
    await simulation.settle();
    expect(path).toMatch(/^\/run\/daemontap\/1-\d+\/asking$/);
    expect(() => simulation.files.hold(path ?? '').close()).not.toThrow();
  });
});

describe('other plugins, while services run', () => {
  const listening = (name: string, story: string[]): Plugin =>
    plugin(name, ({ hooks }) => {
      hooks.openControl.tap(name, ({ label }, { opened }) => {
        story.push(`${name} listens to ${label}`);
        opened({ close: () => void story.push(`${name} leaves ${label}`) });
      });
      hooks.watchScanDirectory.tap(name, ({ opened }) =>
        opened({ close: () => void story.push(`${name} looks away`) }),
      );
      hooks.statusChanged.tap(name, ({ label }, { pid }) => void story.push(`${name} hears of ${label}, ${pid}`));
      hooks.prepareSpawn.tap(name, (plan) => ({ ...plan, argv: [...plan.argv, Buffer.from(name)] }));
    });

  test.each(['a scan directory', 'a single service'])('in %s: no service notices', async (what) => {
    const story: string[] = [];
    const [stays, goes, comes] = ['stays', 'goes', 'comes'].map((name) => listening(name, story)) as [
      Plugin,
      Plugin,
      Plugin,
    ];
    const isScan = what === 'a scan directory';
    const simulation = isScan
      ? simulateScan({ services: { finger: { log: true } }, plugins: [stays, goes] })
      : simulateService({ plugins: [stays, goes] });
    await simulation.settle();
    await simulation.advanceMs(10);
    const pids = simulation.processes.running.map(({ pid }) => pid);
    const label = isScan ? 'finger' : '/service/finger';
    story.length = 0;
    const observer = simulation.plugins[0] as Plugin;
    expect(simulation.kernel.replacePlugins([observer, comes, stays])).toEqual({ added: ['comes'], removed: ['goes'] });
    const logged = isScan ? ['goes leaves finger/log', 'goes leaves finger'] : [`goes leaves ${label}`];
    expect(story).toEqual([
      ...logged,
      ...(isScan ? ['goes looks away'] : []),
      `comes listens to ${label}`,
      `comes hears of ${label}, ${simulation.processIn('/service/finger')?.pid}`,
      ...(isScan
        ? [
            'comes listens to finger/log',
            `comes hears of finger/log, ${simulation.processIn('/service/finger/log')?.pid}`,
          ]
        : []),
    ]);
    expect(simulation.processes.running.map(({ pid }) => pid)).toEqual(pids);
    simulation.endIn('/service/finger');
    await simulation.advanceMs(1000);
    const argv = simulation.processIn('/service/finger')?.request.argv.map(String);
    expect(argv).toEqual(['./run', 'comes', 'stays']);
    simulation.kernel.stop();
    await simulation.settle();
    for (const { pid } of simulation.processes.running) simulation.processes.end(pid);
    await simulation.settle();
    for (const { pid } of simulation.processes.running) simulation.processes.end(pid);
    await simulation.settle();
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([
      true,
      { timers: 0, heldDirectories: 0, locks: 0, processes: 0, watches: 0 },
    ]);
  });

  test('a plugin that refuses to listen to a service is reported, and the service runs on', async () => {
    const refusing = plugin('refusing', ({ hooks }) => {
      hooks.openControl.tap('refusing', () => {
        throw new KernelError('CONTROL_FAILED', 'unable to read finger/supervise/control');
      });
    });
    const simulation = simulateScan({ services: { finger: {} } });
    await simulation.settle();
    simulation.kernel.replacePlugins([...simulation.plugins, refusing]);
    expect(simulation.reports.map(({ message }) => message)).toEqual(['unable to read finger/supervise/control']);
    expect(simulation.processes.running.length).toBe(1);
  });

  test('the profiles tell what each plugin has cost', async () => {
    const simulation = simulateScan({ services: { finger: {} }, plugins: [listening('one', [])] });
    await simulation.settle();
    const profile = simulation.kernel.profiles().find(({ name }) => name === 'one');
    expect(profile?.hooks.map(({ hook, calls }) => [hook, calls])).toEqual([
      ['openControl', 1],
      ['watchScanDirectory', 1],
      ['statusChanged', 1],
      ['prepareSpawn', 1],
    ]);
  });
});

test('the public types say what a kernel is', () => {
  expectTypeOf(superviseScanDirectory).returns.toEqualTypeOf<Kernel>();
  expectTypeOf<Kernel['done']>().toEqualTypeOf<Promise<void>>();
  expectTypeOf<KernelOptions['path']>().toEqualTypeOf<Buffer>();
  // @ts-expect-error: paths are bytes
  const options: Pick<KernelOptions, 'path'> = { path: '/service' };
  expect(options).toBeDefined();
});
