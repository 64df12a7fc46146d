/** What is asked of a kernel, and what it answers: over a real socket, of a simulated kernel. */
import type { Plugin } from '@daemontap/kernel';
import { describe, expect, test } from 'vitest';
import { askedKernel } from './kernel.test-support.ts';
import type { AskedKernel } from './kernel.test-support.ts';
import type { CheckedAnswer, CheckedEvent } from './client.test-support.ts';
import type {
  KernelAnswer,
  PluginsAnswer,
  Service,
  ServiceAnswer,
  ServiceDetailsAnswer,
  ServicesAnswer,
} from './schema.ts';

const two = { services: { finger: { log: true }, nntp: { down: true } } };
const pidIn = ({ simulation }: AskedKernel, path: string): number => simulation.processIn(path)?.pid ?? 0;
const signalsTo = ({ simulation }: AskedKernel, path: string): readonly string[] =>
  simulation.processIn(path)?.signals ?? [];
const services = async (kernel: AskedKernel): Promise<readonly Service[]> =>
  (await kernel.ask<ServicesAnswer>('/v1/services')).body.services;
const details = async (kernel: AskedKernel, name: string): Promise<ServiceDetailsAnswer['service']> =>
  (await kernel.ask<ServiceDetailsAnswer>(`/v1/services/${name}`)).body.service;

describe('the kernel', () => {
  test('tells its program, release, pid, scan directory and since when it runs', async () => {
    await using kernel = await askedKernel();
    for (const target of ['/v1', '/v1/', '/v1?']) {
      expect((await kernel.ask<KernelAnswer>(target)).body).toEqual({
        version: 1,
        program: 'daemontap',
        release: expect.stringMatching(/^\d+\.\d+\.\d+/),
        pid: process.pid,
        scanDir: null, // a simulated one
        since: new Date(Math.floor(performance.timeOrigin)).toISOString(),
        sinceNs: expect.stringMatching(/^\d{19}$/),
      });
    }
  });

  test('shows its plugins and what they have cost, and no secrets', async () => {
    await using kernel = await askedKernel(two);
    const { body } = await kernel.ask<PluginsAnswer>('/v1/plugins');
    expect(body.pid).toBe(process.pid);
    expect(body.plugins.map(({ name }) => name)).toEqual(['simulation', 'control-socket']);
    expect(body.plugins[1]).toMatchObject({ version: null, module: null, place: null, options: {} });
    expect(body.plugins[1]?.hooks.find(({ hook }) => hook === 'openControl')).toMatchObject({ calls: 3, failures: 0 });
    const options = { interval: 5, token: 'x', nested: { password: 'y', user: 'z' } };
    const source = { place: 'plugins[0] in a.json', module: '/srv/a.mjs', version: '1.2.3', options };
    kernel.simulation.kernel.replacePlugins([
      ...kernel.simulation.plugins,
      { name: 'a', apiVersion: 1, source, apply() {} },
    ]);
    const after = await kernel.ask<PluginsAnswer>('/v1/plugins');
    expect(after.body.plugins[2]).toEqual({
      ...source,
      name: 'a',
      hooks: [],
      options: { interval: 5, nested: { user: 'z' } },
    });
  });
});

describe('services', () => {
  test('are listed by name, with what they are', async () => {
    await using kernel = await askedKernel(two);
    await kernel.simulation.advanceMs(1500);
    const all = await services(kernel);
    expect(all.map(({ name, role, state, want }) => [name, role, state, want])).toEqual([
      ['finger', 'service', 'up', 'up'],
      ['finger/log', 'log', 'up', 'up'],
      ['nntp', 'service', 'down', 'down'],
    ]);
    const [finger, log] = all;
    expect(finger).toMatchObject({
      pid: pidIn(kernel, '/service/finger'),
      paused: false,
      startDue: false,
      forMs: 1500,
    });
    expect(log?.identity).toBe(finger?.identity);
    expect(new Date(finger?.since ?? '').getTime()).toBe(Number(BigInt(finger?.sinceNs ?? 0) / 1_000_000n));
    expect(all[2]).toMatchObject({ pid: null, leaving: false });
  });

  test('have each state: starting, paused and stopping besides up and down', async () => {
    await using kernel = await askedKernel(two);
    const state = async (): Promise<string> => (await details(kernel, 'finger')).state;
    kernel.simulation.command('finger', 'p');
    expect(await state()).toBe('paused');
    kernel.simulation.command('finger', 'd');
    expect(await state()).toBe('stopping');
    kernel.simulation.endIn('/service/finger');
    expect(await state()).toBe('down');
    kernel.simulation.command('finger', 'u');
    expect(await state()).toBe('starting');
    kernel.simulation.command('finger', 'dx');
    await kernel.simulation.settle();
    expect(await kernel.refused('/v1/services/finger')).toEqual([
      404,
      'NO_SUCH_SERVICE',
      'no service "finger" is supervised',
    ]);
  });

  test('are found by their names of this moment, however these are written', async () => {
    await using kernel = await askedKernel({ services: { finger: { log: true }, 'a b-ü%': {} } });
    for (const name of ['finger/log', 'finger%2Flog', 'finger%2flog'])
      expect((await details(kernel, name)).name).toBe('finger/log');
    expect((await details(kernel, encodeURIComponent('a b-ü%'))).state).toBe('up');
    kernel.simulation.files.rename('/service/finger', '/service/fingerd');
    await kernel.simulation.advanceMs(5000);
    expect((await details(kernel, 'fingerd')).pid).toBe(pidIn(kernel, '/service/fingerd'));
    expect(await kernel.refused('/v1/services/finger')).toEqual([
      404,
      'NO_SUCH_SERVICE',
      'no service "finger" is supervised (did you mean fingerd?)',
    ]);
  });

  test('tell how their processes have ended, the newest first, and at most ten', async () => {
    await using kernel = await askedKernel(two);
    const pids: number[] = [];
    for (let count = 0; count < 12; count++) {
      pids.unshift(pidIn(kernel, '/service/finger'));
      await kernel.simulation.advanceMs(1000 + count);
      kernel.simulation.endIn('/service/finger', count % 2 === 0 ? { exitCode: count } : { signal: 9 });
    }
    const { exits } = await details(kernel, 'finger');
    expect(exits.map(({ pid }) => pid)).toEqual(pids.slice(0, 10));
    expect(exits.slice(0, 2)).toMatchObject([
      { exitCode: null, signal: 'SIGKILL', ranForMs: 1011 },
      { exitCode: 10, signal: null, ranForMs: 1010 },
    ]);
    expect(exits[0]?.atNs).toBe(String(kernel.simulation.clock.wallNs()));
    expect((await details(kernel, 'finger/log')).exits).toEqual([]);
  });
});

describe('commands', () => {
  const signals = [
    ['hangup', ['SIGHUP']],
    ['alarm', ['SIGALRM']],
    ['interrupt', ['SIGINT']],
    ['terminate', ['SIGTERM']],
    ['kill', ['SIGKILL']],
    ['pause', ['SIGSTOP']],
    ['continue', ['SIGCONT']],
    ['down', ['SIGTERM', 'SIGCONT']],
    ['restart', ['SIGTERM', 'SIGCONT']],
    ['once', []],
    ['up', []],
    ['exit', []],
  ] as const;
  test.each(signals)('%s is carried out before it is answered', async (command, expected) => {
    await using kernel = await askedKernel(two);
    const { status, body } = await kernel.command('finger', { command });
    expect([status, signalsTo(kernel, '/service/finger')]).toEqual([202, expected]);
    expect(body).toMatchObject({
      service: { name: 'finger', paused: command === 'pause', leaving: command === 'exit' },
    });
  });

  const waiting = async (
    kernel: AskedKernel,
    name: string,
    body: object,
    happens: () => void | Promise<void>,
  ): Promise<CheckedAnswer<ServiceAnswer>> => {
    let isAnswered = false;
    const answer = kernel.command(name, { wait: true, ...body }).finally(() => (isAnswered = true));
    await kernel.settle();
    await kernel.settle();
    expect(isAnswered).toBe(false);
    await happens();
    return answer;
  };

  test('down is done once the process has ended', async () => {
    await using kernel = await askedKernel(two);
    const { status, body } = await waiting(kernel, 'finger', { command: 'down' }, () =>
      kernel.simulation.endIn('/service/finger'),
    );
    expect([status, body.service.state, body.service.pid]).toEqual([200, 'down', null]);
  });

  test('up of a service that is down is done as soon as it runs', async () => {
    await using kernel = await askedKernel(two);
    const { status, body } = await kernel.command('nntp', { command: 'up', wait: true });
    expect(status).toBe(200);
    expect(body).toMatchObject({ service: { state: 'up', pid: pidIn(kernel, '/service/nntp') } });
  });

  test('up of a service that was told to stop is done once the next process runs', async () => {
    await using kernel = await askedKernel(two);
    await kernel.simulation.advanceMs(2000);
    const before = pidIn(kernel, '/service/finger');
    kernel.simulation.command('finger', 'd');
    const { body } = await waiting(kernel, 'finger', { command: 'up' }, () =>
      kernel.simulation.endIn('/service/finger'),
    );
    expect(body.service).toMatchObject({ state: 'up', pid: pidIn(kernel, '/service/finger') });
    expect(body.service.pid).not.toBe(before);
  });

  test('restart is done once another process runs, which comes a second after the one before', async () => {
    await using kernel = await askedKernel(two);
    const before = pidIn(kernel, '/service/finger');
    const { body } = await waiting(kernel, 'finger', { command: 'restart' }, async () => {
      kernel.simulation.endIn('/service/finger');
      await kernel.simulation.advanceMs(1000);
    });
    expect(body.service).toMatchObject({ state: 'up', want: 'up' });
    expect(body.service.pid).toBeGreaterThan(before);
  });

  test('restart is not done by a service that goes on as another process, but by the next start', async () => {
    await using kernel = await askedKernel(two);
    const { simulation } = kernel;
    const first = simulation.processIn('/service/finger');
    const request = first?.request;
    if (request === undefined) throw new Error('it does not run');
    const left = simulation.processes.spawn({ ...request, directoryFd: -1 }, () => {});
    const finder: Plugin = {
      name: 'finder',
      apiVersion: 1,
      apply({ hooks }) {
        hooks.findSuccessor.tap('finder', (_service, pid) =>
          pid === first?.pid ? { pid: left, startTicks: left } : undefined,
        );
      },
    };
    simulation.kernel.replacePlugins([...simulation.plugins, finder]);
    let isDone = false;
    const answer = waiting(kernel, 'finger', { command: 'restart' }, async () => {
      simulation.endIn('/service/finger');
      await simulation.advanceMs(1000);
      await kernel.settle();
      expect([isDone, simulation.statusOf('finger')?.pid]).toEqual([false, left]);
      simulation.processes.end(left);
    });
    void answer.then(() => (isDone = true));
    const { body } = await answer;
    expect(body.service.pid).toBeGreaterThan(left);
    const { exits } = await details(kernel, 'finger');
    expect(exits.map(({ pid }) => pid)).toEqual([left]);
  });

  test('exit is done once the service is released', async () => {
    await using kernel = await askedKernel(two);
    const { status, body } = await waiting(kernel, 'finger', { command: 'exit' }, () =>
      kernel.simulation.endIn('/service/finger'),
    );
    expect([status, body.service]).toEqual([200, expect.objectContaining({ pid: null, state: 'down' })]);
  });

  test('one that is not done in time is answered with what the service is, and why it does not start', async () => {
    await using kernel = await askedKernel(two);
    const answer = kernel.refused({
      target: '/v1/services/finger/commands',
      body: { command: 'down', wait: true, timeoutMs: 700 },
    });
    await kernel.settle();
    await kernel.simulation.advanceMs(700);
    expect(await answer).toEqual([504, 'TIMEOUT', 'finger: after 700 ms down is not done, but stopping']);
    kernel.simulation.endIn('/service/finger');
    kernel.simulation.processes.failNext('ENOENT', 100);
    const other = kernel.refused({
      target: '/v1/services/finger/commands',
      body: { command: 'up', wait: true, timeoutMs: 2500 },
    });
    await kernel.settle();
    await kernel.simulation.advanceMs(2500);
    expect((await other)[2]).toBe(
      'finger: after 2500 ms up is not done, but starting; its last start has failed: file does not exist',
    );
  });

  test.each([
    ['no JSON', '{"command":"up"', 'the body is not JSON'],
    ['no object', '"up"', 'unable to use the body: Invalid type: Expected Object but received "up"'],
    ['no command', '{}', /^unable to use the body: "command": /],
    ['an unknown command', '{"command":"u"}', /^unable to use the body: "command": Invalid type: Expected \("up" \| /],
    ['an unknown member', '{"command":"up","wiat":true}', 'unable to use the body: unknown member "wiat"'],
    ['a wait for ever', '{"command":"up","wait":true,"timeoutMs":600001}', /^unable to use the body: "timeoutMs": /],
    ['no time', '{"command":"up","wait":true,"timeoutMs":0}', /^unable to use the body: "timeoutMs": /],
    ['a wait that is text', '{"command":"up","wait":"yes"}', /^unable to use the body: "wait": /],
    ['nothing', '', 'the body is not JSON'],
  ])('a body that is %s is refused with the reason, and nothing is done', async (_what, rawBody, message) => {
    await using kernel = await askedKernel(two);
    const [status, code, said] = await kernel.refused({ target: '/v1/services/nntp/commands', rawBody });
    expect([status, code]).toEqual([400, 'BAD_REQUEST']);
    expect(said).toMatch(message);
    expect((await details(kernel, 'nntp')).want).toBe('down');
  });

  test('a body of the most that is allowed is taken, and one byte more is not', async () => {
    await using kernel = await askedKernel(two);
    const target = '/v1/services/nntp/commands';
    const text = '{"command":"down"}';
    expect((await kernel.ask({ target, rawBody: text.padEnd(65_536) })).status).toBe(202);
    const tooLong = text.padEnd(65_537);
    const expected = [413, 'TOO_LARGE', 'a body has at most 65536 bytes'];
    expect(await kernel.refused({ target, rawBody: tooLong })).toEqual(expected);
    const chunked = { target, rawBody: tooLong, headers: { 'transfer-encoding': 'chunked' } };
    expect(await kernel.refused(chunked)).toEqual(expected);
    const expects = { target, rawBody: tooLong, headers: { expect: '100-continue' } };
    expect(await kernel.refused(expects)).toEqual(expected);
  });
});

describe('waits', () => {
  const waitFor = (kernel: AskedKernel, state: string, timeoutMs = 60_000): Promise<CheckedAnswer<ServiceAnswer>> =>
    kernel.ask<ServiceAnswer>(`/v1/services/finger/wait?for=${state}&timeoutMs=${timeoutMs}`);

  test.each([
    ['up', (_kernel: AskedKernel) => {}],
    ['running', (_kernel: AskedKernel) => {}],
    ['paused', ({ simulation }: AskedKernel) => simulation.command('finger', 'p')],
    [
      'down',
      ({ simulation }: AskedKernel) => {
        simulation.command('finger', 'd');
        simulation.endIn('/service/finger');
      },
    ],
  ])('what is %s already is not waited for', async (state, happens) => {
    await using kernel = await askedKernel(two);
    happens(kernel);
    expect((await waitFor(kernel, state)).status).toBe(200);
  });

  test('what comes about is answered then, to all who wait for it', async () => {
    await using kernel = await askedKernel(two);
    const answers = Promise.all([waitFor(kernel, 'exited'), waitFor(kernel, 'exited')]);
    const paused = waitFor(kernel, 'paused');
    await kernel.settle();
    kernel.simulation.command('finger', 'p');
    expect((await paused).body.service.state).toBe('paused');
    kernel.simulation.command('finger', 'd');
    kernel.simulation.endIn('/service/finger');
    expect((await answers).map(({ body }) => body.service.state)).toEqual(['down', 'down']);
  });

  test('a service that is released is no longer waited for, but where that is what was waited for', async () => {
    await using kernel = await askedKernel(two);
    const [up, released, down] = [
      kernel.refused('/v1/services/finger/wait?for=paused'),
      waitFor(kernel, 'released'),
      waitFor(kernel, 'down'),
    ];
    await kernel.settle();
    kernel.simulation.command('finger', 'dx');
    kernel.simulation.endIn('/service/finger');
    expect(await up).toEqual([404, 'NO_SUCH_SERVICE', 'finger is no longer supervised']);
    expect([(await released).status, (await down).status]).toEqual([200, 200]);
  });

  test('what does not come about is answered at the deadline, with the service', async () => {
    await using kernel = await askedKernel(two);
    const answer = waitFor(kernel, 'paused', 300);
    await kernel.settle();
    await kernel.simulation.advanceMs(300);
    expect(await answer).toMatchObject({
      status: 504,
      body: { error: { message: 'finger: after 300 ms it is not paused, but up' }, service: { name: 'finger' } },
    });
  });

  test('a client that goes away waits no longer', async () => {
    await using kernel = await askedKernel(two);
    const before = kernel.simulation.clock.pendingTimers;
    const abort = new AbortController();
    const { signal } = abort;
    const answer = kernel.ask({ target: '/v1/services/finger/wait?for=paused', signal });
    await kernel.until(() => kernel.simulation.clock.pendingTimers > before);
    abort.abort();
    await expect(answer).rejects.toThrow();
    await kernel.until(() => kernel.simulation.clock.pendingTimers === before);
  });

  test.each([
    ['', 'the parameter for must be one of up, running, paused, down, exited, released'],
    ['?for=never', 'the parameter for must be one of up, running, paused, down, exited, released'],
    ['?for=up&timeoutMs=0', 'the parameter timeoutMs must be a number from 1 to 600000'],
    ['?for=up&timeoutMs=600001', 'the parameter timeoutMs must be a number from 1 to 600000'],
    ['?for=up&timeoutMs=1e3', 'the parameter timeoutMs must be a number from 1 to 600000'],
    ['?for=up&for=down', 'parameter "for" is given twice'],
    ['?for=up&timeout=1', 'unknown parameter "timeout"'],
  ])('"%s" is refused with the reason', async (query, message) => {
    await using kernel = await askedKernel(two);
    expect(await kernel.refused(`/v1/services/finger/wait${query}`)).toEqual([400, 'BAD_REQUEST', message]);
  });
});

describe('events', () => {
  const next = async (stream: AsyncGenerator<CheckedEvent>): Promise<CheckedEvent> => {
    const { value, done } = await stream.next();
    if (done === true) throw new Error('the stream has ended');
    return value;
  };
  const collect = async (stream: AsyncGenerator<CheckedEvent>, count: number): Promise<readonly string[]> => {
    const seen: string[] = [];
    while (seen.length < count) {
      const { event, data } = await next(stream);
      const name = 'service' in data ? data.service.name : 'name' in data ? data.name : '';
      const what = 'service' in data ? data.service.state : 'pid' in data ? 'a pid' : '';
      seen.push(`${event} ${String(name)} ${what}`.trim());
    }
    return seen;
  };

  test('begin with all services, and go on with what happens', async () => {
    await using kernel = await askedKernel(two);
    const stream = kernel.events();
    const first = await next(stream);
    expect(first.event === 'snapshot' && first.data.services.map(({ name }) => name)).toEqual([
      'finger',
      'finger/log',
      'nntp',
    ]);
    kernel.simulation.command('nntp', 'u');
    kernel.simulation.command('finger', 'p');
    await kernel.simulation.advanceMs(1000);
    kernel.simulation.endIn('/service/nntp', { signal: 11 });
    kernel.simulation.command('nntp', 'dx');
    kernel.simulation.endIn('/service/nntp');
    expect(await collect(stream, 11)).toEqual([
      'started nntp a pid',
      'service nntp up',
      'service finger paused',
      'ended nntp',
      'started nntp a pid',
      'service nntp up',
      'service nntp stopping',
      'service nntp stopping',
      'ended nntp',
      'service nntp down',
      'released nntp',
    ]);
  });

  test('tell of starts that fail, and of what the kernel and its plugins warn of', async () => {
    await using kernel = await askedKernel(two);
    const stream = kernel.events();
    await next(stream);
    kernel.simulation.processes.failNext('EACCES');
    kernel.simulation.kernel.log.info('nobody needs to know');
    kernel.simulation.kernel.log.warning('careful', { cause: new Error('it is\nslippery') });
    kernel.simulation.command('nntp', 'u');
    expect(await next(stream)).toMatchObject({
      event: 'message',
      data: { level: 'warning', message: 'careful', reason: 'it is slippery', name: null, plugin: null },
    });
    expect(await next(stream)).toMatchObject({
      event: 'message',
      data: { level: 'fatal', message: 'unable to start nntp/run', reason: 'access denied', name: 'nntp' },
    });
    expect(await next(stream)).toMatchObject({
      event: 'startFailed',
      data: { name: 'nntp', message: 'access denied' },
    });
  });

  test('are of one service where that is asked for', async () => {
    await using kernel = await askedKernel(two);
    const stream = kernel.events('/v1/events?service=finger%2Flog');
    const first = await next(stream);
    expect(first.event === 'snapshot' && first.data.services.map(({ name }) => name)).toEqual(['finger/log']);
    kernel.simulation.command('finger', 'p');
    kernel.simulation.kernel.log.warning('of no service');
    kernel.simulation.command('finger/log', 'p');
    expect(await collect(stream, 1)).toEqual(['service finger/log paused']);
    expect(await kernel.refused('/v1/events?service=fingre')).toEqual([
      404,
      'NO_SUCH_SERVICE',
      'no service "fingre" is supervised (did you mean finger?)',
    ]);
  });

  test('end with the kernel, which has told all of its services before', async () => {
    await using kernel = await askedKernel({ services: { finger: {} } });
    const stream = kernel.events();
    await next(stream);
    kernel.simulation.kernel.stop();
    kernel.simulation.endIn('/service/finger');
    await kernel.simulation.settle();
    const seen: string[] = [];
    for await (const { event } of stream) seen.push(event);
    expect(seen.slice(-3)).toEqual(['ended', 'service', 'released']);
    expect(kernel.simulation.isDone()).toBe(true);
  });
});

describe('what is not there', () => {
  test.each([
    ['/', 'NO_SUCH_PATH'],
    ['/v2/services', 'NO_SUCH_PATH'],
    ['/v1/service', 'NO_SUCH_PATH'],
    ['/v1/plugins/x', 'NO_SUCH_PATH'],
    ['/v1/events/x', 'NO_SUCH_PATH'],
    ['*', 'NO_SUCH_PATH'],
    ['http://localhost/v1', 'NO_SUCH_PATH'],
    ['//v1', 'NO_SUCH_PATH'],
    ['/v1/services/nowhere', 'NO_SUCH_SERVICE'],
    ['/v1/services/wait', 'NO_SUCH_SERVICE'],
    ['/v1/services//', 'NO_SUCH_SERVICE'],
    ['/v1/services/..%2F..', 'NO_SUCH_SERVICE'],
    ['/v1/services/nowhere/wait?for=up', 'NO_SUCH_SERVICE'],
    ['/v1/services/constructor', 'NO_SUCH_SERVICE'],
  ])('%s is answered with 404 and %s', async (target, code) => {
    await using kernel = await askedKernel(two);
    expect((await kernel.refused(target)).slice(0, 2)).toEqual([404, code]);
  });

  test('a path that is not percent-encoded UTF-8 is refused', async () => {
    await using kernel = await askedKernel(two);
    for (const target of ['/v1/services/%', '/v1/services/%ff', '/v1/services/%zz/wait'])
      expect((await kernel.refused(target)).slice(0, 2)).toEqual([400, 'BAD_REQUEST']);
  });

  test.each([
    ['POST', '/v1', 'GET'],
    ['DELETE', '/v1/services/finger', 'GET'],
    ['PUT', '/v1/events', 'GET'],
    ['GET', '/v1/services/finger/commands', 'POST'],
    ['PATCH', '/v1/services/nowhere/commands', 'POST'],
  ])('%s %s is refused, and %s is named', async (method, target, allow) => {
    await using kernel = await askedKernel(two);
    const { status, headers, body } = await kernel.ask({ method, target });
    expect([status, headers.allow, body]).toMatchObject([405, allow, { error: { code: 'METHOD_NOT_ALLOWED' } }]);
  });
});
