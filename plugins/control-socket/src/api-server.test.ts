/** Clients that keep to nothing, and as many of them as like: what they are told, and that nothing of them is left. */
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { askedKernel } from './kernel.test-support.ts';
import type { AskedKernel } from './kernel.test-support.ts';
import { answersIn, exchange, rawConnection } from './raw.test-support.ts';
import type { RawConnection } from './raw.test-support.ts';

const one = { services: { finger: {} } };
const get = (target: string, ...fields: readonly string[]): string =>
  [`GET ${target} HTTP/1.1`, 'host: x', ...fields, '', ''].join('\r\n');
const post = (body: string, ...fields: readonly string[]): string =>
  ['POST /v1/services/finger/commands HTTP/1.1', 'host: x', ...fields, '', body].join('\r\n');
const last = 'connection: close';
const wait = get('/v1/services/finger/wait?for=paused');
const codeOf = (body: unknown): unknown => (body as { readonly error?: { readonly code?: unknown } }).error?.code;
/** Sends bytes to a kernel and returns status and code of each answer. */
const told = async (kernel: AskedKernel, bytes: string | Buffer): Promise<readonly unknown[]> => {
  await kernel.settle();
  return (await exchange(kernel.socketPath, bytes)).map(({ status, body }) => [status, codeOf(body)]);
};

describe('what is not HTTP', () => {
  test.each([
    ['a word', 'hello\r\n\r\n'],
    ['bytes', Buffer.from([0, 1, 2, 255, 13, 10, 13, 10])],
    ['another protocol', 'SSH-2.0-OpenSSH_9.6\r\n'],
    ['a hello of TLS', Buffer.from('16030100a5010000a10303', 'hex')],
    ['a method that is none', 'BREW /v1 HTTP/1.1\r\nhost: x\r\n\r\n'],
    ['a version that is none', 'GET /v1 HTTP/9.9\r\nhost: x\r\n\r\n'],
    ['HTTP 2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a bare CR in a header', 'GET /v1 HTTP/1.1\r\nx: a\rb\r\n\r\n'],
    ['a header with a zero byte', 'GET /v1 HTTP/1.1\r\nx: a\0b\r\n\r\n'],
    ['a header without a name', 'GET /v1 HTTP/1.1\r\n: a\r\n\r\n'],
    ['two lengths', post('{}', 'content-length: 2', 'content-length: 3')],
    ['a length and pieces', post('0\r\n\r\n', 'content-length: 2', 'transfer-encoding: chunked')],
    ['a length that is none', post('{}', 'content-length: -2')],
    ['a length that is huge', post('{}', 'content-length: 99999999999999999999999')],
    ['a piece whose size is none', post('zz\r\n{}\r\n0\r\n\r\n', 'transfer-encoding: chunked')],
    ['a piece that is longer than it says', post('2\r\n{}{}{}\r\n0\r\n\r\n', 'transfer-encoding: chunked')],
  ])('%s is told so, and disconnected', async (_what, bytes) => {
    await using kernel = await askedKernel(one);
    expect(await told(kernel, bytes)).toEqual([[400, 'BAD_REQUEST']]);
    expect((await kernel.ask('/v1')).status).toBe(200);
  });

  test.each([
    ['a target', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n\r\n`],
    ['a header', get('/v1', `x: ${'y'.repeat(20_000)}`)],
    ['many headers', get('/v1', ...Array.from({ length: 5000 }, (_, index) => `x${index}: y`))],
  ])('%s that is too long is told so', async (_what, bytes) => {
    await using kernel = await askedKernel(one);
    expect(await told(kernel, bytes)).toEqual([[431, 'TOO_LARGE']]);
  });

  test('a piece with more about it than in it is told so', async () => {
    await using kernel = await askedKernel(one);
    const bytes = post(`1;${'x'.repeat(20_000)}\r\n{\r\n0\r\n\r\n`, 'transfer-encoding: chunked');
    expect(await told(kernel, bytes)).toEqual([[413, 'TOO_LARGE']]);
  });
});

describe('what is rare', () => {
  test('HTTP 1.0, and 1.1 without a host, are answered', async () => {
    await using kernel = await askedKernel(one);
    expect(await told(kernel, 'GET /v1 HTTP/1.0\r\n\r\n')).toEqual([[200, undefined]]);
    expect(await told(kernel, `GET /v1 HTTP/1.1\r\n${last}\r\n\r\n`)).toEqual([[200, undefined]]);
  });
  test('HEAD is refused, without a body', async () => {
    await using kernel = await askedKernel(one);
    await kernel.settle();
    const connection = rawConnection(kernel.socketPath);
    connection.send(`HEAD /v1 HTTP/1.1\r\n${last}\r\n\r\n`);
    expect(await connection.closed).toMatch(
      /^HTTP\/1\.1 405 Method Not Allowed\r\n[^]*\r\nallow: GET\r\n[^]*\r\n\r\n$/,
    );
  });
  test('CONNECT is refused, and of a wish for another protocol only the request is answered', async () => {
    await using kernel = await askedKernel(one);
    expect(await told(kernel, 'CONNECT example.org:443 HTTP/1.1\r\n\r\n')).toEqual([[405, 'METHOD_NOT_ALLOWED']]);
    const upgrade = get('/v1', 'connection: upgrade', 'upgrade: websocket');
    expect(await told(kernel, upgrade + get('/v1', last))).toEqual([[200, undefined]]);
  });
  test('100-continue is answered so, and any other expectation refused', async () => {
    await using kernel = await askedKernel(one);
    await kernel.settle();
    const connection = rawConnection(kernel.socketPath);
    connection.send(post('', 'content-length: 16', 'expect: 100-continue', last));
    await kernel.until(() => connection.received() === 'HTTP/1.1 100 Continue\r\n\r\n');
    connection.send('{"command":"up"}');
    expect(answersIn(await connection.closed)).toMatchObject([{ status: 202 }]);
    expect(await told(kernel, get('/v1', 'expect: the unexpected', last))).toEqual([[417, 'BAD_REQUEST']]);
  });
  test('a body that nobody wants is not waited for, and ends the connection', async () => {
    await using kernel = await askedKernel(one);
    expect(await told(kernel, get('/v1', 'content-length: 1000'))).toEqual([[200, undefined]]);
    expect(await told(kernel, get('/v1', 'transfer-encoding: chunked'))).toEqual([[200, undefined]]);
    expect(await told(kernel, get('/v1', 'content-length: 999999999'))).toEqual([[413, 'TOO_LARGE']]);
  });
  test('a body comes in as many pieces as it likes', async () => {
    await using kernel = await askedKernel(one);
    await kernel.settle();
    const connection = rawConnection(kernel.socketPath);
    const bytes = post('{"command":"pause"}', 'content-length: 19', last);
    for (const byte of bytes) {
      connection.send(byte);
      await new Promise((resolve) => void setImmediate(resolve));
    }
    expect(answersIn(await connection.closed)).toMatchObject([{ status: 202, body: { service: { paused: true } } }]);
  });
});

describe('requests behind each other', () => {
  test('are answered in their order', async () => {
    await using kernel = await askedKernel(one);
    const bytes = [get('/v1'), get('/v1/nothing'), post('{}', 'content-length: 2'), get('/v1/services', last)].join('');
    expect(await told(kernel, bytes)).toEqual([
      [200, undefined],
      [404, 'NO_SUCH_PATH'],
      [400, 'BAD_REQUEST'],
      [200, undefined],
    ]);
  });
  test('wait for the one before them', async () => {
    await using kernel = await askedKernel(one);
    await kernel.settle();
    const connection = rawConnection(kernel.socketPath);
    connection.send(wait + get('/v1', last));
    await kernel.until(() => kernel.simulation.clock.pendingTimers > 0);
    await kernel.settle();
    expect(connection.received()).toBe('');
    kernel.simulation.command('finger', 'p');
    expect(answersIn(await connection.closed)).toMatchObject([{ body: { service: {} } }, { body: { release: {} } }]);
  });
  test('nonsense behind one that waits ends both: no answer could be told from the other', async () => {
    await using kernel = await askedKernel(one);
    await kernel.settle();
    const before = kernel.simulation.clock.pendingTimers;
    const connection = rawConnection(kernel.socketPath);
    connection.send(`${wait}nonsense\r\n\r\n`);
    expect(await connection.closed).toBe('');
    expect(kernel.simulation.clock.pendingTimers).toBe(before);
  });
  test('of which more than sixteen wait end the connection', async () => {
    await using kernel = await askedKernel(one);
    await kernel.settle();
    const before = kernel.simulation.clock.pendingTimers;
    const connection = rawConnection(kernel.socketPath);
    connection.send(wait.repeat(16));
    await kernel.until(() => kernel.simulation.clock.pendingTimers === before + 16);
    await kernel.settle();
    expect(connection.socket.destroyed).toBe(false);
    connection.send(wait);
    expect(await connection.closed).toBe('');
    expect(kernel.simulation.clock.pendingTimers).toBe(before);
  });
});

describe('a client that says that nothing follows', () => {
  test('is answered what can be answered at once', async () => {
    await using kernel = await askedKernel(one);
    await kernel.settle();
    for (const bytes of [get('/v1'), post('{"command":"up"}', 'content-length: 16')]) {
      const connection = rawConnection(kernel.socketPath);
      connection.send(bytes);
      connection.end();
      expect(answersIn(await connection.closed)).toHaveLength(1);
    }
  });
  test('waits no longer', async () => {
    await using kernel = await askedKernel(one);
    await kernel.settle();
    const before = kernel.simulation.clock.pendingTimers;
    const connection = rawConnection(kernel.socketPath);
    connection.send(wait);
    await kernel.until(() => kernel.simulation.clock.pendingTimers > before);
    connection.end();
    expect(await connection.closed).toBe('');
    await kernel.until(() => kernel.simulation.clock.pendingTimers === before);
  });
  test.each(['', 'GET /v1', 'GET /v1 HTTP/1.1\r\nhost: x\r\n', post('{"com', 'content-length: 16')])(
    'in the middle of something is disconnected',
    async (bytes) => {
      await using kernel = await askedKernel(one);
      await kernel.settle();
      const connection = rawConnection(kernel.socketPath);
      connection.send(bytes);
      connection.end();
      for (const { status } of answersIn(await connection.closed)) expect(status).toBe(400);
    },
  );
});

describe('so many', () => {
  const connect = async (kernel: AskedKernel, count: number): Promise<readonly RawConnection[]> => {
    const all = Array.from({ length: count }, () => rawConnection(kernel.socketPath));
    await Promise.all(
      all.map(({ socket }) => new Promise<void>((resolve) => void socket.once('connect', () => resolve()))),
    );
    return all;
  };
  const endAll = async (connections: readonly RawConnection[]): Promise<void> => {
    for (const { socket } of connections) socket.destroy();
    await Promise.all(connections.map(({ closed }) => closed));
  };

  test('connections beyond 64 are told so, beyond 80 are closed, and served again when others are gone', async () => {
    await using kernel = await askedKernel(one);
    await kernel.settle();
    const before = readdirSync('/proc/self/fd').length;
    const all = await connect(kernel, 100);
    await Promise.all(all.slice(80).map(({ closed }) => closed));
    for (const { send } of all.slice(0, 80)) send(get('/v1'));
    await kernel.until(() => all.slice(0, 80).every(({ received }) => received().endsWith('}\n')));
    const answers = all.map(({ received }) => answersIn(received()).map(({ status }) => status));
    expect(answers.slice(0, 64)).toEqual(Array.from({ length: 64 }, () => [200]));
    expect(answers.slice(64, 80)).toEqual(Array.from({ length: 16 }, () => [503]));
    await Promise.all(all.slice(64, 80).map(({ closed }) => closed));
    await endAll(all);
    await kernel.settle();
    await kernel.until(() => readdirSync('/proc/self/fd').length <= before);
  });

  test('streams beyond 32 are told so', async () => {
    await using kernel = await askedKernel(one);
    await kernel.settle();
    const all = await connect(kernel, 32);
    for (const { send } of all) send(get('/v1/events'));
    await kernel.until(() => all.every(({ received }) => received().includes('event: snapshot')));
    expect(await kernel.refused('/v1/events')).toEqual([503, 'TOO_MANY', 'there are 32 event streams already']);
    await endAll(all.slice(0, 1));
    await kernel.settle();
    await kernel.events().next();
    await endAll(all);
  });

  test('waits beyond 256 are told so', async () => {
    await using kernel = await askedKernel(one);
    await kernel.settle();
    const before = kernel.simulation.clock.pendingTimers;
    const all = await connect(kernel, 16);
    for (const { send } of all) send(wait.repeat(16));
    await kernel.until(() => kernel.simulation.clock.pendingTimers === before + 256);
    expect(await kernel.refused('/v1/services/finger/wait?for=paused')).toEqual([
      503,
      'TOO_MANY',
      'there are 256 waits already',
    ]);
    expect((await kernel.ask('/v1/services/finger/wait?for=up')).status).toBe(200);
    await endAll(all);
    await kernel.until(() => kernel.simulation.clock.pendingTimers === before);
  });
});

describe('events', () => {
  test('that nobody takes end the stream when a megabyte waits, and others go on', async () => {
    await using kernel = await askedKernel(one);
    await kernel.settle();
    const [slow, quick] = [rawConnection(kernel.socketPath, { isPaused: true }), rawConnection(kernel.socketPath)];
    for (const { send } of [slow, quick]) send(get('/v1/events'));
    await kernel.until(() => quick.received().includes('event: snapshot'));
    const text = 'x'.repeat(100_000);
    for (let sent = 1; sent <= 20; sent++) {
      kernel.simulation.kernel.log.warning(`${sent}: ${text}`);
      await kernel.until(() => quick.received().includes(`"message":"${sent}: x`));
    }
    slow.socket.resume(); // who is cut off learns of it when it looks
    await slow.closed;
    kernel.simulation.kernel.log.warning('after all');
    await kernel.until(() => quick.received().includes('"after all"'));
    quick.socket.destroy();
    await quick.closed;
  });

  test('have a line between them every 15 seconds', async () => {
    await using kernel = await askedKernel(one);
    await kernel.settle();
    const connection = rawConnection(kernel.socketPath);
    connection.send(get('/v1/events'));
    await kernel.until(() => connection.received().includes('event: snapshot'));
    await kernel.simulation.advanceMs(14_000);
    await kernel.settle();
    expect(connection.received()).not.toContain('\r\n:\n\n');
    await kernel.simulation.advanceMs(1000);
    await kernel.until(() => connection.received().includes('\r\n:\n\n'));
    connection.socket.destroy();
    await connection.closed;
  });
});
