/** What plugins cannot do to a kernel. */
import { SimulatedClock } from '@daemontap/testkit';
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from 'vitest';
import { createHooks } from '../hooks.ts';
import type { ControlPort, KernelHooks, LogSink, ScanWatch, ServiceDirectory } from '../hooks.ts';
import { KernelError } from '../errors.ts';
import type { SpawnPlan } from '../ports.ts';
import type { Logger, Plugin, PluginHooks, PluginKernel, ReportAbout } from './contract.ts';
import { applyPlugins } from './host.ts';

const service: ServiceDirectory = { label: 'finger', role: 'service', hasLog: true, identity: '1-2', path: '/held/3' };
const plan: SpawnPlan = {
  file: Buffer.from('./run'),
  argv: [],
  environment: [],
  descriptors: [],
  ignoredSignals: 0n,
  blockedSignals: 0n,
  descriptorLimit: undefined,
};
const reason = new Error('out of luck');
/** An asynchronous tap of a synchronous hook, as JavaScript allows it, and TypeScript without its linter. */
const rejects = (async () => {
  throw reason;
}) as () => void;

let clock: SimulatedClock;
let hooks: KernelHooks;
let said: { level: string; message: string; cause: unknown }[];
let log: Logger;
let strays: unknown[];
const onStray = (error: unknown): void => void strays.push(error);

beforeEach(() => {
  clock = new SimulatedClock();
  hooks = createHooks();
  said = [];
  strays = [];
  const say = (level: string) => (message: string, about?: ReportAbout) =>
    void said.push({ level, message, cause: about?.cause });
  log = { fatal: say('fatal'), warning: say('warning'), info: say('info'), debug: say('debug') };
  process.on('unhandledRejection', onStray);
});
afterEach(() => {
  process.off('unhandledRejection', onStray);
});

const apply = (...plugins: readonly Plugin[]): void =>
  applyPlugins(plugins, {
    hooks,
    log,
    clock,
    readiness: { watchReadable: () => ({ close() {} }) },
    runtimeDir: () => '/run/daemontap/1-1',
  });
const plugin = (name: string, body: (kernel: PluginKernel) => void): Plugin => ({ name, apply: body });
const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('applying', () => {
  test('two plugins of one name are refused', () => {
    expect(() =>
      apply(
        plugin('a', () => {}),
        plugin('a', () => {}),
      ),
    ).toThrow(expect.objectContaining({ code: 'PLUGIN_NAME_TAKEN', message: 'two plugins are called a' }));
  });

  test('a plugin whose apply throws is named, with its reason', () => {
    const bad = plugin('bad', () => {
      throw reason;
    });
    expect(() => apply(bad)).toThrow(
      expect.objectContaining({ code: 'PLUGIN_FAILED', message: 'unable to apply plugin bad', cause: reason }),
    );
  });

  test('a plugin sees hooks that it can tap and not call, and cannot change them', () => {
    apply(
      plugin('curious', (kernel) => {
        for (const hook of Object.values(kernel.hooks)) {
          expect(['tap', 'tapPromise']).toEqual(expect.arrayContaining(Object.keys(hook)));
        }
        expect(Object.isFrozen(kernel.hooks)).toBe(true);
      }),
    );
  });

  test('the types allow no more than that', () => {
    expectTypeOf<PluginHooks['openLogSink']>().toHaveProperty('tapPromise');
    expectTypeOf<PluginHooks['statusChanged']>().not.toHaveProperty('tapPromise');
    expectTypeOf<PluginHooks['statusChanged']>().not.toHaveProperty('call');
    expectTypeOf<PluginHooks['openLogSink']>().not.toHaveProperty('promise');
    expectTypeOf<PluginHooks['openLogSink']>().not.toHaveProperty('intercept');
    const attempt = ({ hooks: tappable }: PluginKernel): void => {
      // @ts-expect-error: only the kernel calls
      tappable.serviceReleased.call(service);
      // @ts-expect-error: only the kernel asks
      void tappable.prepareSpawn.promise(plan, service);
      // @ts-expect-error: an asynchronous answer needs tapPromise
      tappable.prepareSpawn.tap('late', async (given) => given);
      // @ts-expect-error: hooks are not to be replaced
      tappable.reported = tappable.serviceEnded;
    };
    expect(attempt).toBeTypeOf('function');
  });
});

describe('hooks that tell', () => {
  test('a tap that throws is reported with plugin and hook, and the taps behind it are called', () => {
    const heard: string[] = [];
    apply(
      plugin('thrower', (kernel) => {
        kernel.hooks.serviceReleased.tap('thrower', () => {
          throw reason;
        });
      }),
      plugin('listener', (kernel) => {
        kernel.hooks.serviceReleased.tap('listener', ({ label }) => void heard.push(label));
      }),
    );
    hooks.serviceReleased.call(service);
    expect(heard).toEqual(['finger']);
    expect(said).toEqual([
      { level: 'warning', message: 'unable to tell plugin thrower of serviceReleased', cause: reason },
    ]);
  });

  test('an asynchronous tap that rejects is reported and ends nothing', async () => {
    apply(
      plugin('rejecter', (kernel) => {
        kernel.hooks.serviceStarted.tap('rejecter', rejects);
      }),
    );
    hooks.serviceStarted.call(service, 7);
    await settle();
    expect(said).toEqual([
      { level: 'warning', message: 'unable to tell plugin rejecter of serviceStarted', cause: reason },
    ]);
    expect(strays).toEqual([]);
  });

  test('a plugin that fails to show messages is not told about it, and the next one shows them', () => {
    const shown: string[] = [];
    apply(
      plugin('broken', (kernel) => {
        kernel.hooks.reported.tap('broken', () => {
          throw reason;
        });
      }),
      plugin('working', (kernel) => {
        kernel.hooks.reported.tap('working', ({ message }) => void shown.push(message));
      }),
    );
    hooks.reported.call({ level: 'info', program: 'svscan', message: 'hello', cause: undefined, service: undefined });
    expect([shown, said]).toEqual([['hello'], []]);
  });
});

describe('hooks that ask', () => {
  const failing = (message: string): unknown =>
    expect.objectContaining({ code: 'PLUGIN_FAILED', message, cause: reason });

  test('the first sink wins, and undefined passes', async () => {
    const sink: LogSink = { openOutput: () => 1, end() {}, close() {} };
    const asked: string[] = [];
    apply(
      plugin('none', (kernel) => {
        kernel.hooks.openLogSink.tap('none', () => {
          asked.push('none');
          return undefined;
        });
      }),
      plugin('some', (kernel) => {
        kernel.hooks.openLogSink.tapPromise('some', async () => sink);
      }),
      plugin('late', (kernel) => {
        kernel.hooks.openLogSink.tap('late', () => {
          asked.push('late');
          return undefined;
        });
      }),
    );
    expect(await hooks.openLogSink.promise(service)).toBe(sink);
    expect(asked).toEqual(['none']);
  });

  test('each tap of prepareSpawn is given the plan of the one before it', async () => {
    apply(
      plugin('one', (kernel) => {
        kernel.hooks.prepareSpawn.tap('one', (given) => ({ ...given, argv: [...given.argv, Buffer.from('1')] }));
      }),
      plugin('two', (kernel) => {
        kernel.hooks.prepareSpawn.tapPromise('two', async (given) => ({
          ...given,
          argv: [...given.argv, Buffer.from('2')],
        }));
      }),
    );
    expect((await hooks.prepareSpawn.promise(plan, service)).argv.join('')).toBe('12');
  });

  test('a tap that throws fails the question, with its plugin and the hook', async () => {
    apply(
      plugin('thrower', (kernel) => {
        kernel.hooks.prepareSpawn.tap('thrower', () => {
          throw reason;
        });
      }),
    );
    await expect(hooks.prepareSpawn.promise(plan, service)).rejects.toEqual(
      failing('plugin thrower failed in prepareSpawn'),
    );
  });

  test('a tap that rejects does the same, and leaves no timer', async () => {
    apply(
      plugin('rejecter', (kernel) => {
        kernel.hooks.openLogSink.tapPromise('rejecter', async () => {
          throw reason;
        });
      }),
    );
    await expect(hooks.openLogSink.promise(service)).rejects.toEqual(failing('plugin rejecter failed in openLogSink'));
    await settle();
    expect(clock.pendingTimers).toBe(0);
  });

  test("a kernel's error is passed on as it is: its words are already right", async () => {
    const known = new KernelError('PIPE_FAILED', 'unable to create pipe for finger');
    apply(
      plugin('log-pipe', (kernel) => {
        kernel.hooks.openLogSink.tap('log-pipe', () => {
          throw known;
        });
      }),
    );
    await expect(hooks.openLogSink.promise(service)).rejects.toBe(known);
  });

  test('a tap that never answers fails the question after ten seconds', async () => {
    apply(
      plugin('silent', (kernel) => {
        kernel.hooks.prepareSpawn.tapPromise('silent', () => new Promise<never>(() => {}));
      }),
    );
    let answer: unknown;
    hooks.prepareSpawn.promise(plan, service).catch((error: unknown) => (answer = error));
    await settle();
    clock.advanceMs(9999);
    await settle();
    expect(answer).toBeUndefined();
    clock.advanceMs(1);
    await settle();
    expect(answer).toMatchObject({
      code: 'PLUGIN_SILENT',
      message: 'plugin silent has not answered prepareSpawn for 10 seconds',
    });
    expect(clock.pendingTimers).toBe(0);
  });

  test('a control transport that throws fails openControl, with its plugin', () => {
    apply(
      plugin('control-fifo', (kernel) => {
        kernel.hooks.openControl.tap('control-fifo', () => {
          throw reason;
        });
      }),
    );
    const control: ControlPort = { command() {}, opened() {} };
    expect(() => hooks.openControl.call(service, control)).toThrow(
      expect.objectContaining({ message: 'plugin control-fifo failed in openControl', cause: reason }),
    );
  });

  test('an asynchronous tap of a synchronous question that rejects is no stray rejection', async () => {
    apply(
      plugin('rejecter', (kernel) => {
        kernel.hooks.openControl.tap('rejecter', rejects);
        kernel.hooks.watchScanDirectory.tap('rejecter', rejects);
      }),
    );
    const watch: ScanWatch = { path: '/service', requestScan() {}, opened() {} };
    hooks.openControl.call(service, { command() {}, opened() {} });
    hooks.watchScanDirectory.call(watch);
    await settle();
    expect(strays).toEqual([]);
  });
});
