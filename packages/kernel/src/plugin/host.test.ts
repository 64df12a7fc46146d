/** What plugins cannot do to a kernel, and what becomes of them when they are replaced. */
import { basePlan, SimulatedClock } from '@daemontap/testkit';
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from 'vitest';
import type { ControlPort, LogSink, Report, ScanWatch, ServiceDirectory } from '../hooks.ts';
import { KernelError } from '../errors.ts';
import type { Closeable, SpawnPlan } from '../ports.ts';
import type { Plugin, PluginHooks, PluginKernel } from './contract.ts';
import { PluginHost } from './host.ts';

const service: ServiceDirectory = { label: 'finger', role: 'service', hasLog: true, identity: '1-2', path: '/held/3' };
const reason = new Error('out of luck');
const throws = (): never => {
  throw reason;
};
/** An asynchronous tap of a synchronous hook, as JavaScript allows it, and TypeScript without its linter. */
const rejects = (async () => throws()) as () => void;

let clock: SimulatedClock;
let host: PluginHost;
let said: { level: string; message: string; cause: unknown }[];
let strays: unknown[];
const onStray = (error: unknown): void => void strays.push(error);

beforeEach(() => {
  clock = new SimulatedClock();
  said = [];
  strays = [];
  host = new PluginHost({
    program: 'svscan',
    clock,
    readiness: { watchReadable: () => ({ close() {} }) },
    stateDir: (name) => `/run/daemontap/1-1/${name}`,
    serviceOptions: (name, { label }) => (name === 'special' && label === 'finger' ? { greeting: 'hi' } : {}),
    supervise: () => ({ close() {} }),
  });
  process.on('unhandledRejection', onStray);
});
afterEach(() => {
  process.off('unhandledRejection', onStray);
});

const listener = plugin('listener', ({ hooks }) => {
  hooks.reported.tap('listener', ({ level, message, cause }) => void said.push({ level, message, cause }));
});
const apply = (...plugins: readonly Plugin[]): void => void host.replace([listener, ...plugins]);
function plugin(name: string, body: (kernel: PluginKernel) => void, more: Partial<Plugin> = {}): Plugin {
  return { name, apiVersion: 1, apply: body, ...more };
}
const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
const warning = (message: string, cause: unknown = reason): object => ({ level: 'warning', message, cause });
const closeable = (name: string, closed: string[]): Closeable => ({ close: () => void closed.push(name) });
const sink: LogSink = { openOutput: () => 41, end() {}, close() {} };
const control: ControlPort = { command() {}, opened() {} };
const watch: ScanWatch = { path: '/held/1', requestScan() {}, opened() {} };
const place = 'plugins[1] in daemontap.config.json';

describe('applying', () => {
  const refusal = (...plugins: readonly Plugin[]): unknown => {
    try {
      apply(...plugins);
    } catch (error) {
      return error;
    }
    throw new Error('they were applied');
  };

  test('two plugins of one name are refused, with the places of both', () => {
    const [one, other] = ['plugins[0] in x.json', 'plugins[3] in x.json'].map((origin) =>
      plugin('same', () => {}, { origin }),
    ) as [Plugin, Plugin];
    expect(refusal(one, other)).toMatchObject({
      code: 'PLUGIN_NAME_TAKEN',
      message: 'two plugins are called same (plugins[0] in x.json, plugins[3] in x.json)',
    });
  });

  test('a plugin for another version of the API is refused', () => {
    const message = 'plugin future is made for version 2 of the plugin API: this kernel has 1';
    expect(refusal(plugin('future', () => {}, { apiVersion: 2 }))).toMatchObject({ code: 'PLUGIN_API', message });
    const { apiVersion: _, ...without } = plugin('old', () => {});
    expect(refusal(without as Plugin)).toMatchObject({
      message: 'plugin old is made for version undefined of the plugin API: this kernel has 1',
    });
  });

  test('a plugin that needs another one is refused without it, and taken with it, whatever the order', () => {
    const needing = plugin('needing', () => {}, { requires: ['needed'], origin: place });
    expect(refusal(needing)).toMatchObject({
      code: 'PLUGIN_MISSING',
      message: `plugin needing (${place}) needs plugin needed, which is not there`,
    });
    apply(
      needing,
      plugin('needed', () => {}),
    );
  });

  test('a plugin whose apply throws is named, with its reason, and what it has open is closed', () => {
    const closed: string[] = [];
    const broken = plugin('broken', (kernel) => {
      kernel.opened(closeable('thing', closed));
      throws();
    });
    expect(refusal(broken)).toMatchObject({
      code: 'PLUGIN_FAILED',
      message: 'unable to apply plugin broken',
      cause: reason,
    });
    expect(closed).toEqual(['thing']);
  });

  test('what a plugin says while it is applied is shown by those that are applied then', () => {
    apply(plugin('early', ({ log }) => log.info('hello')));
    expect(said).toEqual([{ level: 'info', message: 'hello', cause: undefined }]);
  });

  test("a plugin that a configuration names is named in what it says; the kernel's own is not", () => {
    const reports: Report[] = [];
    apply(
      plugin('shows', ({ hooks }) => hooks.reported.tap('shows', (report) => void reports.push(report))),
      plugin('own', ({ log }) => log.info('one')),
      plugin('foreign', ({ log }) => log.warning('two', { service, cause: reason }), { origin: place }),
    );
    expect(reports).toEqual([
      { level: 'info', program: 'svscan', plugin: undefined, message: 'one', cause: undefined, service: undefined },
      { level: 'warning', program: 'supervise', plugin: 'foreign', message: 'two', cause: reason, service: 'finger' },
    ]);
  });

  test('a plugin has a state directory of its own, and the options of a service', () => {
    const seen: unknown[] = [];
    const look = ({ stateDir, serviceOptions }: PluginKernel): void =>
      void seen.push(stateDir(), serviceOptions(service));
    apply(plugin('special', look), plugin('plain', look));
    expect(seen).toEqual(['/run/daemontap/1-1/special', { greeting: 'hi' }, '/run/daemontap/1-1/plain', {}]);
  });

  test('a plugin sees all plugins, what they were made of and what they have cost', () => {
    const source = { place, module: '/srv/heartbeat.mjs', version: '1.2.3', options: { interval: 5 } };
    let profiles: PluginKernel['profiles'] = () => [];
    apply(
      plugin('shows', (kernel) => void (profiles = () => kernel.profiles())),
      plugin('heartbeat', ({ hooks }) => hooks.serviceReleased.tap('heartbeat', () => {}), { origin: place, source }),
    );
    host.hooks.serviceReleased.call(service);
    expect(profiles().slice(1)).toEqual([
      { name: 'shows', origin: undefined, source: undefined, hooks: [] },
      { name: 'heartbeat', origin: place, source, hooks: [expect.objectContaining({ calls: 1 })] },
    ]);
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
      void tappable.prepareSpawn.promise(basePlan, service);
      // @ts-expect-error: an asynchronous answer needs tapPromise
      tappable.prepareSpawn.tap('late', async (given) => given);
      // @ts-expect-error: hooks are not to be replaced
      tappable.reported = tappable.serviceEnded;
    };
    expect(attempt).toBeTypeOf('function');
  });
});

describe('hooks that tell', () => {
  test('a tap that throws is reported with plugin, hook and service, and the taps behind it are called', () => {
    const heard: string[] = [];
    apply(
      plugin('thrower', ({ hooks }) => hooks.serviceReleased.tap('thrower', throws), { origin: place }),
      plugin('hears', ({ hooks }) => hooks.serviceReleased.tap('hears', ({ label }) => void heard.push(label))),
    );
    host.hooks.serviceReleased.call(service);
    expect(heard).toEqual(['finger']);
    expect(said).toEqual([warning(`plugin thrower (${place}) failed in serviceReleased for finger`)]);
  });

  test('an asynchronous tap that rejects is reported and ends nothing', async () => {
    apply(plugin('rejecter', ({ hooks }) => hooks.serviceStarted.tap('rejecter', rejects)));
    host.hooks.serviceStarted.call(service, 7);
    await settle();
    expect(said).toEqual([warning('plugin rejecter failed in serviceStarted for finger')]);
    expect(strays).toEqual([]);
  });

  test('a plugin that fails to show messages is not told about it, and the next one shows them', () => {
    host.replace([plugin('broken', ({ hooks }) => hooks.reported.tap('broken', throws)), listener]);
    host.log.info('hello');
    expect(said).toEqual([{ level: 'info', message: 'hello', cause: undefined }]);
  });
});

describe('openLogSink', () => {
  const ask = (): Promise<LogSink | undefined> => host.hooks.openLogSink.promise(service);
  /** Whether it is this file's sink, behind the guard. */
  const isSink = (given: unknown): boolean => (given as LogSink | undefined)?.openOutput() === 41;
  const sinkOf = (
    name: string,
    tap: () => LogSink | undefined | Promise<LogSink>,
    more: Partial<Plugin> = {},
  ): Plugin => plugin(name, ({ hooks }) => hooks.openLogSink.tap(name, tap as () => undefined), more);

  test('the first sink wins, and undefined passes', async () => {
    const asked: string[] = [];
    const note = (name: string) => (): undefined => void asked.push(name);
    apply(
      sinkOf('none', note('none')),
      plugin('some', ({ hooks }) => hooks.openLogSink.tapPromise('some', async () => sink)),
      sinkOf('late', note('late')),
    );
    expect(isSink(await ask())).toBe(true);
    expect(asked).toEqual(['none']);
  });

  test.each([
    ['throws', throws, reason],
    ['rejects', async () => throws(), reason],
    ['answers null', () => null, new TypeError('its answer must be a log sink or undefined, and is null')],
    ['promises a number', async () => 7, new TypeError('its answer must be a log sink or undefined, and is a number')],
    ['forgets end()', () => ({ openOutput() {}, close() {} }), new TypeError('the log sink must have a function end')],
  ])('a tap that %s is reported, and the next one is asked', async (_, tap, cause) => {
    apply(
      sinkOf('broken', tap as unknown as () => undefined, { origin: place }),
      sinkOf('works', () => sink),
    );
    expect(isSink(await ask())).toBe(true);
    expect(said).toEqual([warning(`plugin broken (${place}) failed in openLogSink for finger`, cause)]);
    expect([strays, clock.pendingTimers]).toEqual([[], 0]);
  });

  test('what is no sink is closed where it can be', async () => {
    const closed: string[] = [];
    apply(sinkOf('broken', () => closeable('half a sink', closed) as LogSink));
    expect(await ask()).toBeUndefined();
    expect(closed).toEqual(['half a sink']);
  });

  test('one that never answers is reported after ten seconds, and closed when it comes after all', async () => {
    const closed: string[] = [];
    const late = Promise.withResolvers<LogSink>();
    apply(
      sinkOf('silent', () => late.promise),
      sinkOf('works', () => sink),
    );
    let given: unknown;
    void ask().then((answer) => (given = answer));
    clock.advanceMs(9999);
    await settle();
    expect([given, said]).toEqual([undefined, []]);
    clock.advanceMs(1);
    await settle();
    expect(isSink(given)).toBe(true);
    const message = 'plugin silent has not answered openLogSink for finger for 10 seconds';
    expect(said).toEqual([{ level: 'warning', message, cause: undefined }]);
    late.resolve({ ...sink, ...closeable('the late one', closed) });
    await settle();
    expect([closed, clock.pendingTimers]).toEqual([['the late one'], 0]);
  });

  test("a kernel's error is a refusal: in its own words from the kernel's own plugins", async () => {
    const known = new KernelError('PIPE_FAILED', 'unable to create pipe for finger');
    const refuse = (): never => {
      throw known;
    };
    apply(
      sinkOf('log-pipe', refuse),
      sinkOf('works', () => sink),
    );
    await expect(ask()).rejects.toBe(known);
    apply(
      sinkOf('foreign', refuse, { origin: place }),
      sinkOf('works', () => sink),
    );
    await expect(ask()).rejects.toMatchObject({
      code: 'PIPE_FAILED',
      message: `plugin foreign (${place}) refuses in openLogSink for finger: unable to create pipe for finger`,
    });
  });
});

describe('what a plugin has handed over', () => {
  const foreign = (body: (kernel: PluginKernel) => void): Plugin => plugin('foreign', body, { origin: place });
  const failing: LogSink = {
    openOutput: throws,
    openInput: () => 'x' as unknown as number,
    end: throws,
    close: throws,
  };

  test('a sink that fails is named with what it failed in', () => {
    apply(foreign(({ hooks }) => hooks.openLogSink.tap('foreign', () => failing)));
    let given: LogSink | undefined;
    host.hooks.openLogSink.callAsync(service, (_error, answer) => (given = answer as LogSink));
    const failures = (['openOutput', 'openInput', 'end', 'close'] as const).map((name) => {
      try {
        return given?.[name]?.();
      } catch (error) {
        return error;
      }
    });
    const named = `plugin foreign (${place}) failed in`;
    expect(failures).toEqual([
      expect.objectContaining({ message: `${named} LogSink.openOutput for finger`, cause: reason }),
      expect.objectContaining({
        message: `${named} LogSink.openInput for finger`,
        cause: new TypeError('it must give a descriptor, and gives x'),
      }),
      expect.objectContaining({ message: `${named} LogSink.end for finger`, cause: reason }),
      expect.objectContaining({ message: `${named} LogSink.close for finger`, cause: reason }),
    ]);
  });

  test('a callback, or a close, that fails is named', () => {
    apply(
      foreign(({ clock: ticking, opened }) => {
        ticking.wakeAt(5n, throws);
        opened({ close: throws });
      }),
    );
    clock.advanceMs(1);
    host.close();
    expect(said).toEqual([
      warning(`plugin foreign (${place}) failed in the callback of wakeAt`),
      warning(`plugin foreign (${place}) failed in close`),
    ]);
  });

  test('a failure in a hook about a service is reported as the service', () => {
    const reports: Report[] = [];
    apply(
      plugin('shows', ({ hooks }) => hooks.reported.tap('shows', (report) => void reports.push(report))),
      foreign(({ hooks }) => hooks.serviceReleased.tap('foreign', throws)),
    );
    host.hooks.serviceReleased.call(service);
    expect(reports).toMatchObject([{ program: 'supervise', service: 'finger' }]);
  });
});

describe('prepareSpawn', () => {
  const ask = (): Promise<SpawnPlan> => host.hooks.prepareSpawn.promise(basePlan, service);
  const changes = (name: string, tap: (given: SpawnPlan) => unknown): Plugin =>
    plugin(name, ({ hooks }) => hooks.prepareSpawn.tap(name, tap as (given: SpawnPlan) => SpawnPlan));

  test('each tap is given the plan of the one before it', async () => {
    const adding = (word: string) => (given: SpawnPlan) => ({ ...given, argv: [...given.argv, Buffer.from(word)] });
    apply(
      changes('one', adding('1')),
      plugin('two', ({ hooks }) => hooks.prepareSpawn.tapPromise('two', async (given) => adding('2')(given))),
    );
    expect((await ask()).argv.join('')).toBe('./run12');
  });

  test('what one plugin confines a service by cannot be lost by another one, but changed', async () => {
    const confined = { account: { uid: 7, gid: 8, groups: [9] }, softLimits: { core: 0n } };
    const more = { account: { uid: 70, gid: 8, groups: [] }, softLimits: { core: 0n, as: 2n ** 64n - 1n } };
    apply(
      changes('first', (given) => ({ ...given, ...confined })),
      changes('second', (given) => ({ ...given, ...more })),
    );
    expect(await ask()).toEqual({ ...basePlan, ...more });
    apply(
      changes('first', (given) => ({ ...given, ...confined })),
      changes('loses', ({ account: _account, ...given }) => given),
      changes('never', () => expect.unreachable()),
    );
    await expect(ask()).rejects.toMatchObject({
      message: 'plugin loses failed in prepareSpawn for finger',
      cause: new TypeError("its answer must keep the plan's account, which another plugin has set"),
    });
    apply(
      changes('first', (given) => ({ ...given, ...confined })),
      changes('loses', (given) => ({ ...given, softLimits: undefined })),
    );
    await expect(ask()).rejects.toMatchObject({
      cause: new TypeError("its answer must keep the plan's softLimits, which another plugin has set"),
    });
  });

  test.each<[what: string, tap: (given: SpawnPlan) => unknown, cause: Error]>([
    ['throws', throws, reason],
    ['rejects', async () => throws(), reason],
    ['answers nothing', () => undefined, new TypeError('its answer must be the plan, and is undefined')],
    [
      'answers half a plan',
      () => ({ file: Buffer.from('./run') }),
      new TypeError("the plan's argv must be a list of Buffers without zero bytes, and is undefined"),
    ],
    [
      'asks for what no plan has',
      (given: SpawnPlan) => ({ ...given, uid: 65534 }),
      new TypeError(
        'a plan has no uid, only file, argv, environment, descriptors, ignoredSignals, blockedSignals, descriptorLimit, account, softLimits, markFd',
      ),
    ],
    [
      'hides a zero byte',
      (given: SpawnPlan) => ({ ...given, environment: [Buffer.from('A=\0')] }),
      new TypeError("the plan's environment must be a list of Buffers without zero bytes, and is a list"),
    ],
    [
      'names an account',
      (given: SpawnPlan) => ({ ...given, account: 'www' }),
      new TypeError("the plan's account must be numbers of a user and of groups, and is a string"),
    ],
    ...[
      { uid: 1, gid: 1 },
      { uid: -1, gid: 1, groups: [] },
      { uid: 1, gid: 2 ** 32 - 1, groups: [] },
    ].map<[string, (given: SpawnPlan) => unknown, Error]>((account) => [
      `has a wrong number in ${JSON.stringify(account)}`,
      (given: SpawnPlan) => ({ ...given, account }),
      new TypeError("the plan's account must be numbers of a user and of groups, and is a object"),
    ]),
    ...[{ core: 0 }, { core: -1n }, { core: 2n ** 64n }, { nofile: 5n }].map<
      [string, (given: SpawnPlan) => unknown, Error]
    >((softLimits) => [
      `has a wrong limit of ${Object.entries(softLimits).join()}`,
      (given: SpawnPlan) => ({ ...given, softLimits }),
      new TypeError("the plan's softLimits must be bigints by their resources, and is a object"),
    ]),
    [
      'answers strings',
      (given: SpawnPlan) => ({ ...given, file: './run' }),
      new TypeError("the plan's file must be a Buffer without a zero byte, and is a string"),
    ],
  ])('a tap that %s refuses the start, with plugin, hook and service', async (_, tap, cause) => {
    apply(
      changes('broken', tap),
      changes('never', () => expect.unreachable()),
    );
    await expect(ask()).rejects.toMatchObject({
      code: 'PLUGIN_FAILED',
      message: 'plugin broken failed in prepareSpawn for finger',
      cause,
    });
    expect([strays, clock.pendingTimers]).toEqual([[], 0]);
  });

  test('a tap that never answers refuses the start after ten seconds', async () => {
    apply(plugin('silent', ({ hooks }) => hooks.prepareSpawn.tapPromise('silent', () => new Promise<never>(() => {}))));
    let answer: unknown;
    ask().catch((error: unknown) => (answer = error));
    await settle();
    clock.advanceMs(9999);
    await settle();
    expect(answer).toBeUndefined();
    clock.advanceMs(1);
    await settle();
    expect(answer).toMatchObject({
      code: 'PLUGIN_SILENT',
      message: 'plugin silent has not answered prepareSpawn for finger for 10 seconds',
    });
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('openControl and watchScanDirectory', () => {
  test.each(['throws', 'rejects'])('a transport that %s is reported, and the next one is asked', async (how) => {
    const heard: string[] = [];
    const tap = how === 'throws' ? throws : rejects;
    apply(
      plugin('broken', ({ hooks }) => {
        hooks.openControl.tap('broken', tap);
        hooks.watchScanDirectory.tap('broken', tap);
      }),
      plugin('works', ({ hooks }) => {
        hooks.openControl.tap('works', ({ label }) => void heard.push(label));
        hooks.watchScanDirectory.tap('works', ({ path }) => void heard.push(path));
      }),
    );
    host.hooks.openControl.call(service, control);
    host.hooks.watchScanDirectory.call(watch);
    await settle();
    expect(heard).toEqual(['finger', '/held/1']);
    expect(said).toEqual([
      warning('plugin broken failed in openControl for finger'),
      warning('plugin broken failed in watchScanDirectory'),
    ]);
    expect(strays).toEqual([]);
  });

  test("a kernel's error that a transport throws is a refusal, in its own words", () => {
    const known = new KernelError('CONTROL_FAILED', 'unable to read finger/supervise/control', { cause: reason });
    apply(
      plugin('control-fifo', ({ hooks }) => {
        hooks.openControl.tap('control-fifo', () => {
          throw known;
        });
      }),
    );
    expect(() => host.hooks.openControl.call(service, control)).toThrow(known);
  });
});

describe('replacing', () => {
  test('who stays the same object stays as it is, who is gone is closed in reverse, who is new is applied', () => {
    const closed: string[] = [];
    let applied = 0;
    const opener = (name: string): Plugin =>
      plugin(name, ({ hooks, clock: ticking, opened }) => {
        applied++;
        opened(closeable(`${name}: its own`, closed));
        ticking.wakeAt(1n << 60n, () => {});
        hooks.openControl.tap(name, (_, port) => port.opened(closeable(`${name}: control`, closed)));
        hooks.watchScanDirectory.tap(name, ({ opened: hand }) => hand(closeable(`${name}: watch`, closed)));
      });
    const [stays, goes, comes] = [opener('stays'), opener('goes'), opener('comes')];
    apply(stays, goes);
    const handed: Closeable[] = [];
    host.hooks.openControl.call(service, { ...control, opened: (thing) => void handed.push(thing) });
    host.hooks.watchScanDirectory.call({ ...watch, opened: (thing) => void handed.push(thing) });
    const { addedHooks, ...changes } = host.replace([listener, comes, stays]);
    expect(changes).toEqual({ added: ['comes'], removed: ['goes'] });
    expect([closed, applied]).toEqual([['goes: watch', 'goes: control', 'goes: its own'], 3]);
    expect(clock.pendingTimers).toBe(2);
    for (const thing of handed) thing.close();
    expect(closed.slice(3)).toEqual(['stays: control', 'stays: watch']); // what is closed already stays so
    addedHooks.openControl.call(service, { ...control, opened: (thing) => thing.close() });
    expect(closed.slice(5)).toEqual(['comes: control']);
    host.close();
    expect(closed.slice(6)).toEqual(['stays: its own', 'comes: its own']);
    expect(clock.pendingTimers).toBe(0);
  });

  test('who is gone is no longer told or asked, and the order is the new one', () => {
    const heard: string[] = [];
    const hears = (name: string): Plugin =>
      plugin(name, ({ hooks }) => hooks.serviceReleased.tap(name, () => void heard.push(name)));
    const [one, two, three] = [hears('one'), hears('two'), hears('three')];
    host.replace([one, two, three]);
    host.replace([three, one]);
    host.hooks.serviceReleased.call(service);
    expect(heard).toEqual(['three', 'one']);
  });

  test('where one cannot be applied, all is as before', () => {
    const heard: string[] = [];
    const hears = plugin('hears', ({ hooks }) => hooks.serviceReleased.tap('hears', () => void heard.push('hears')));
    apply(hears);
    expect(() => host.replace([plugin('broken', throws)])).toThrow('unable to apply plugin broken');
    expect(() => host.replace([hears, hears])).toThrow('two plugins are called hears');
    host.hooks.serviceReleased.call(service);
    expect(heard).toEqual(['hears']);
  });

  test('a tap that is made later than in apply is one all the same', () => {
    const heard: string[] = [];
    apply(
      plugin('late', ({ hooks }) => {
        hooks.serviceStarted.tap('late', () => {
          hooks.serviceReleased.tap('late', ({ label }) => void heard.push(label));
        });
      }),
    );
    host.hooks.serviceStarted.call(service, 7);
    host.hooks.serviceReleased.call(service);
    expect(heard).toEqual(['finger']);
  });
});

test('the profile tells what the taps have cost, and how often they failed', async () => {
  apply(
    plugin('slow', ({ hooks }) => {
      hooks.serviceReleased.tap('slow', () => clock.advanceMs(3));
      hooks.prepareSpawn.tapPromise('slow', async (given) => {
        await settle();
        clock.advanceMs(20);
        return given;
      });
      hooks.serviceStarted.tap('slow', throws);
    }),
  );
  host.hooks.serviceReleased.call(service);
  host.hooks.serviceReleased.call(service);
  host.hooks.serviceStarted.call(service, 7);
  await host.hooks.prepareSpawn.promise(basePlan, service);
  const none = { failures: 0, spentNs: 0n, longestNs: 0n, waitedNs: 0n };
  expect(host.profiles.find(({ name }) => name === 'slow')).toEqual({
    name: 'slow',
    origin: undefined,
    hooks: [
      { ...none, hook: 'serviceReleased', calls: 2, spentNs: 6_000_000n, longestNs: 3_000_000n },
      { ...none, hook: 'prepareSpawn', calls: 1, waitedNs: 20_000_000n },
      { ...none, hook: 'serviceStarted', calls: 1, failures: 1 },
    ],
  });
});
