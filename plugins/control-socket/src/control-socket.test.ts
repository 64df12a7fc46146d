/** The API on a real socket, asked about services of a simulated kernel. */
import { cpSync, existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Closeable, PluginFactory, ServiceDirectory } from '@daemontap/kernel';
import { isListening } from '@daemontap/posix';
import { applyAlone, controlTransportContract } from '@daemontap/testkit';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { ask } from './client.test-support.ts';
import { controlSocket } from './index.ts';
import type {
  CommandWord,
  ControlSocketOptions,
  Service,
  ServiceAnswer,
  ServiceDetailsAnswer,
  ServicesAnswer,
} from './index.ts';
import { askedKernel, inDirectory, temporaryDirectory } from './kernel.test-support.ts';
import type { AskedKernel } from './kernel.test-support.ts';
import { commandWords } from './schema.ts';

const wordOf = (letter: string): string =>
  Object.entries(commandWords).find(([, each]) => each === letter)?.[0] ?? letter;

controlTransportContract({
  name: 'control-socket',
  create: () => controlSocket(),
  async send({ directory, stateDir }, bytes) {
    const socketPath = join(stateDir, 'http');
    const target = `/v1/services/${encodeURIComponent(directory.label)}/commands`;
    for (const letter of bytes.toString('latin1')) {
      const { status } = await ask({ socketPath, target, body: { command: wordOf(letter) } });
      if (status !== 202) throw new Error(`status ${status}`);
    }
    if (bytes.length === 0) await ask({ socketPath, target: '/v1' });
  },
  wrongOptions: {
    'a relative path': () => controlSocket({ path: 'http' }),
    'a mode that is a number': () => controlSocket({ mode: 0o660 as unknown as string }),
    'a mode that is none': () => controlSocket({ mode: '999' }),
    'a group without a name': () => controlSocket({ group: '' }),
    'a user that is none': () => controlSocket({ users: ['a:b'] }),
    'an unknown option': () => controlSocket({ port: 80 } as ControlSocketOptions),
  },
});

describe('in a kernel', () => {
  const one = { services: { finger: {} } };
  /** The stack with another socket in the place of the one that it has. */
  const replaceSocket = (kernel: AskedKernel, options: ControlSocketOptions = {}): void => {
    const [own] = kernel.simulation.plugins;
    if (own === undefined) throw new Error('there is no plugin of the simulation');
    kernel.simulation.kernel.replacePlugins([own, inDirectory(controlSocket(options), kernel.stateDir)]);
  };

  test('that has ended in order, nothing is left of it', async () => {
    const kernel = await askedKernel(one);
    kernel.simulation.endIn('/service/finger');
    await kernel.ask('/v1');
    await kernel.simulation.advanceMs(1000);
    expect(readdirSync(kernel.stateDir)).toEqual(['exits', 'http']);
    kernel.simulation.kernel.stop();
    kernel.simulation.endIn('/service/finger');
    await kernel.simulation.settle();
    expect([kernel.simulation.isDone(), readdirSync(kernel.stateDir)]).toEqual([true, []]);
    expect(kernel.simulation.leftovers()).toMatchObject({ timers: 0, watches: 0 });
    await kernel[Symbol.asyncDispose]();
  });

  test('without any service it answers', async () => {
    await using kernel = await askedKernel();
    expect((await kernel.ask('/v1/services')).body).toEqual({ version: 1, services: [] });
  });

  test('whose socket cannot be made, services run, and it is said once', async () => {
    await using kernel = await askedKernel({ ...one, socket: { path: '/nonexist/http' } });
    await kernel.simulation.advanceMs(60_000);
    expect(kernel.simulation.processes.running).toHaveLength(1);
    expect(kernel.simulation.reports).toMatchObject([
      { level: 'warning', message: 'unable to listen on /nonexist/http, it is tried again', cause: { code: 'ENOENT' } },
    ]);
  });

  const hasMode = async (socket: ControlSocketOptions, mode: number): Promise<void> => {
    await using kernel = await askedKernel({ ...one, socket });
    expect(statSync(kernel.socketPath).mode & 0o777).toBe(mode);
  };
  test.each([
    [{}, 0o600],
    [{ users: ['nobody'] }, 0o666],
    [{ mode: '606' }, 0o606],
  ])('with %o its file has mode %o', hasMode);

  test.runIf(process.geteuid?.() === 0).each([
    [{ group: 'root' }, 0o660],
    [{ users: ['nobody'], group: 'root' }, 0o666],
    [{ mode: '0640', group: 'root' }, 0o640],
  ])('with %o its file has mode %o', hasMode);

  test('that is replaced, another goes on in its place; who waits is told', async () => {
    await using kernel = await askedKernel(one);
    kernel.simulation.endIn('/service/finger', { signal: 15 });
    await kernel.simulation.advanceMs(2000);
    const stream = kernel.events();
    await stream.next();
    const waiting = kernel.refused('/v1/services/finger/wait?for=paused');
    await kernel.settle();
    replaceSocket(kernel);
    expect(await waiting).toEqual([503, 'UNAVAILABLE', 'this socket is being closed']);
    expect((await stream.next()).done).toBe(true);
    const { body } = await kernel.ask<ServiceDetailsAnswer>('/v1/services/finger');
    expect(body.service).toMatchObject({ state: 'up', exits: [{ signal: 'SIGTERM' }] });
    expect((await kernel.command('finger', { command: 'pause', wait: true })).status).toBe(200);
    expect(kernel.simulation.reports).toEqual([]);
  });

  test('whose place is changed, it is there and no longer here', async () => {
    await using kernel = await askedKernel(one);
    const path = join(kernel.stateDir, 'elsewhere');
    replaceSocket(kernel, { path });
    expect([existsSync(kernel.socketPath), isListening(path)]).toEqual([false, true]);
    const [fd = -1] = kernel.simulation.readiness.watched;
    kernel.simulation.readiness.ready(fd);
    expect((await ask({ socketPath: path, target: '/v1/services/finger' })).status).toBe(200);
  });

  test('that is left out and taken back, it is there again', async () => {
    await using kernel = await askedKernel(one);
    const [own] = kernel.simulation.plugins;
    const before = readdirSync('/proc/self/fd').length;
    kernel.simulation.kernel.replacePlugins([...kernel.simulation.plugins.slice(0, 1)]);
    expect([existsSync(kernel.socketPath), readdirSync('/proc/self/fd').length]).toEqual([false, before - 1]);
    expect(own?.name).toBe('simulation');
    kernel.simulation.kernel.replacePlugins(kernel.simulation.plugins);
    expect((await kernel.ask('/v1/services/finger')).status).toBe(200);
  });

  test('that follows one that was killed, it tells what that one has seen', async () => {
    const stateDir = temporaryDirectory();
    const first = await askedKernel({ ...one, stateDir });
    const { pid } = first.simulation.processes.running[0] ?? {};
    await first.simulation.advanceMs(3000);
    first.simulation.endIn('/service/finger', { exitCode: 111 });
    await first.simulation.advanceMs(0);
    cpSync(join(stateDir, 'exits'), join(stateDir, 'kept'));
    await first[Symbol.asyncDispose]();
    renameSync(join(stateDir, 'kept'), join(stateDir, 'exits'));
    {
      await using second = await askedKernel({ ...one, stateDir });
      const { body } = await second.ask<ServiceDetailsAnswer>('/v1/services/finger');
      expect(body.service.exits).toMatchObject([{ pid, exitCode: 111, ranForMs: 3000 }]);
    }
    rmSync(stateDir, { recursive: true });
  });

  test('two services of one name, as a rename may make them, are both listed, and the younger one is meant', async () => {
    const stateDir = temporaryDirectory();
    const plugin = applyAlone(controlSocket(), { stateDir });
    const told: string[] = [];
    const opened: Closeable[] = [];
    const meet = (identity: string): void => {
      const directory: ServiceDirectory = { label: 'finger', role: 'service', hasLog: false, identity, path: '/' };
      const command = (letter: string): void => void told.push(`${identity} ${letter}`);
      plugin.call('openControl', directory, { command, opened: (thing) => void opened.push(thing) });
      plugin.call('statusChanged', directory, {
        ...{ pid: 7, paused: false, want: 'up', sinceNs: 5n, startDue: false, leaving: false },
      });
    };
    meet('1-1');
    meet('1-2');
    for (const fd of plugin.readiness.watched) plugin.readiness.ready(fd);
    const socketPath = join(stateDir, 'http');
    const { body } = await ask<ServicesAnswer>({ socketPath, target: '/v1/services' });
    expect(body.services.map(({ identity }) => identity).toSorted()).toEqual(['1-1', '1-2']);
    await ask({ socketPath, target: '/v1/services/finger/commands', body: { command: 'hangup' } });
    expect(told).toEqual(['1-2 h']);
    for (const each of opened) each.close();
    await new Promise((resolve) => void setImmediate(resolve));
    rmSync(stateDir, { recursive: true });
  });

  test('helpers of plugins are listed and commanded as services are', async () => {
    const stateDir = temporaryDirectory();
    const plugin = applyAlone(controlSocket(), { stateDir });
    const opened: Closeable[] = [];
    const directory: ServiceDirectory = {
      ...{ label: 'log-host/root', role: 'helper', plugin: 'log-host', hasLog: false, identity: '1-9', path: '/' },
    };
    plugin.call('openControl', directory, { command() {}, opened: (thing) => void opened.push(thing) });
    plugin.call('statusChanged', directory, {
      ...{ pid: undefined, paused: false, want: 'up', sinceNs: 5n, startDue: true, leaving: false },
    });
    for (const fd of plugin.readiness.watched) plugin.readiness.ready(fd);
    const { body } = await ask<ServiceDetailsAnswer>({
      socketPath: join(stateDir, 'http'),
      target: '/v1/services/log-host/root',
    });
    expect(body.service).toMatchObject({ name: 'log-host/root', role: 'helper', state: 'starting' });
    expect(controlSocket().meetsHelpers).toBe(true);
    for (const each of opened) each.close();
    await new Promise((resolve) => void setImmediate(resolve));
    rmSync(stateDir, { recursive: true });
  });
});

test('the types: options may be left out, answers are what the schema says', () => {
  expectTypeOf(controlSocket).toEqualTypeOf<PluginFactory<ControlSocketOptions>>();
  expectTypeOf<ServiceAnswer['service']>().toEqualTypeOf<Service>();
  expectTypeOf<CommandWord>().extract<'restart' | 'up'>().toEqualTypeOf<'restart' | 'up'>();
  // @ts-expect-error: a mode is text
  const wrong = (): unknown => controlSocket({ mode: 0o660 });
  expect(wrong).toThrow('mode: it must be octal digits in quotes');
});
