/** What a client makes of kernels that answer, refuse, are silent, or talk nonsense: simulated ones, on real sockets. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createRawServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { askKernel, keyOf } from './ask-kernel.ts';
import type { KernelEvent } from './ask-kernel.ts';

let here = '';
let servers: Server[] = [];
const connections = new Set<Socket>();
beforeEach(() => void (here = mkdtempSync(join(tmpdir(), 'daemontap-ask-'))));
afterEach(async () => {
  for (const connection of connections) connection.destroy();
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  servers = [];
  rmSync(here, { recursive: true });
});

type Respond = (request: IncomingMessage, response: ServerResponse) => void;

const service = {
  name: 'a',
  role: 'service',
  identity: '1-2',
  state: 'down',
  pid: null,
  paused: false,
  want: 'up',
  since: '2026-01-01T00:00:00.000Z',
  sinceNs: '1767225600000000000',
  forMs: 5,
  startDue: true,
  leaving: false,
};
const known = {
  name: 'a',
  role: 'service',
  identity: '1-2',
  state: 'down',
  pid: undefined,
  paused: false,
  want: 'up',
  sinceNs: 1_767_225_600_000_000_000n,
  startDue: true,
  leaving: false,
};
const key = keyOf({ role: 'service', identity: '1-2' });

async function listening(server: Server, path = join(here, 'http')): Promise<string> {
  servers.push(server);
  server.on('connection', (connection: Socket) => connections.add(connection.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return path;
}

/** A kernel that answers each path in its way. */
function kernel(answers: Readonly<Record<string, Respond>>): Promise<string> {
  return listening(
    createServer((request, response) => {
      const respond = answers[`${request.method} ${request.url}`];
      if (respond === undefined) response.writeHead(404).end('{}');
      else respond(request, response);
    }),
  );
}

/** A kernel that says these bytes to whoever connects. */
function babbler(text: string, ends = true): Promise<string> {
  return listening(createRawServer((socket) => void (ends ? socket.end(text) : socket.write(text))));
}

const says =
  (value: unknown, status = 200): Respond =>
  (_request, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
const list = { 'GET /v1/services': says({ version: 1, services: [service] }) };
const http = (body: string, length = body.length): string =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n${body}`;

describe('a kernel that answers', () => {
  test('tells its services, and what a later version adds is passed over', async () => {
    const later = { version: 1, more: true, services: [{ ...service, mood: 'good' }] };
    const { services } = await askKernel(await kernel({ 'GET /v1/services': says(later) }));
    expect([...services]).toEqual([[key, known]]);
  });

  test('is found by a path that is longer than the address of a socket', async () => {
    const path = join(here, `${'long-'.repeat(30)}/http`);
    await expect(askKernel(path)).rejects.toMatchObject({ kind: 'nobody' });
  });

  test('is not taken for another one, though both have paths as long as that', async () => {
    const paths = ['one', 'other'].map(async (name, index) => {
      mkdirSync(join(here, name));
      const answer = says({ version: 1, services: [{ ...service, identity: `1-${index}` }] });
      await listening(createServer(answer), join(here, name, 'http'));
      const long = join(here, `${'long-'.repeat(30)}${name}`);
      symlinkSync(name, long);
      return join(long, 'http');
    });
    for (const [index, path] of (await Promise.all(paths)).entries()) {
      const { services } = await askKernel(path);
      expect([...services.keys()]).toEqual([keyOf({ role: 'service', identity: `1-${index}` })]);
    }
  });

  test('is told a command, its name escaped', async () => {
    const bodies: string[] = [];
    const take: Respond = (request, response) => {
      request.setEncoding('utf8').on('data', (text: string) => bodies.push(text));
      request.on('end', () => says({ version: 1, service }, 202)(request, response));
    };
    const { command } = await askKernel(await kernel({ ...list, 'POST /v1/services/a%20b%2Flog/commands': take }));
    await command('a b/log', 'restart');
    expect(bodies).toEqual(['{"command":"restart","wait":false}']);
  });

  test('is not told anything about a name that two services have', async () => {
    const two = { version: 1, services: [service, { ...service, identity: '1-3' }] };
    const { command } = await askKernel(await kernel({ 'GET /v1/services': says(two) }));
    await expect(command('a', 'down')).rejects.toMatchObject({
      kind: 'refused',
      message: 'two services are shown as a',
    });
  });

  test('tells what happens, in pieces of any size, until that is no longer wanted', async () => {
    const about = { version: 1, name: 'a', role: 'service', identity: '1-2', at: '', atNs: '1' };
    const stream = [
      ['snapshot', { version: 1, services: [service] }],
      ['service', { version: 1, service: { ...service, pid: 7, state: 'up' } }],
      ['started', { ...about, pid: 7 }],
      ['ended', { ...about, exit: { pid: 7, exitCode: 3, signal: null } }],
      ['ended', { ...about, exit: { pid: 8, exitCode: null, signal: 'SIGKILL' } }],
      ['ended', { ...about, exit: { pid: 8, exitCode: null, signal: null } }],
      ['startFailed', { ...about, message: 'file does not exist' }],
      ['a later one', {}],
      ['released', about],
    ] as const;
    const text = stream
      .map(([name, data], id) => `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n: a comment\n\n`)
      .join('');
    const respond: Respond = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (let at = 0; at < text.length; at += 7) response.write(text.slice(at, at + 7));
    };
    const { follow } = await askKernel(await kernel({ ...list, 'GET /v1/events': respond }));
    const seen: KernelEvent[] = [];
    const end = new AbortController();
    await follow((event) => {
      seen.push(event);
      if (event.type === 'released') end.abort();
    }, end.signal);
    expect(seen).toEqual([
      { type: 'are', services: [known] },
      { type: 'are', services: [{ ...known, pid: 7, state: 'up' }] },
      { type: 'ended', key, text: 'it ended with exit code 3' },
      { type: 'ended', key, text: 'it ended by SIGKILL' },
      { type: 'ended', key, text: 'it ended in an unknown way' },
      { type: 'startFailed', key, text: 'unable to run it: file does not exist' },
      { type: 'released', key },
    ]);
  });

  test('and then tells no more is lost', async () => {
    const respond: Respond = (_request, response) => void response.writeHead(200).end(': nothing\n\n');
    const { follow } = await askKernel(await kernel({ ...list, 'GET /v1/events': respond }));
    await expect(follow(() => {}, new AbortController().signal)).rejects.toMatchObject({
      kind: 'lost',
      message: 'the events have ended',
    });
  });

  test('and begins to tell and then does not is lost', async () => {
    const respond: Respond = (_request, response) => void response.writeHead(200).write('event: snapshot\n');
    const { follow } = await askKernel(await kernel({ ...list, 'GET /v1/events': respond }));
    await expect(follow(() => {}, new AbortController().signal)).rejects.toMatchObject({
      kind: 'lost',
      message: 'no answer for 2 seconds',
    });
  });

  test('and refuses events is refused, with its reason', async () => {
    const refusal = says({ version: 1, error: { code: 'TOO_MANY', message: '32 streams are open' } }, 503);
    const { follow } = await askKernel(await kernel({ ...list, 'GET /v1/events': refusal }));
    await expect(follow(() => {}, new AbortController().signal)).rejects.toMatchObject({
      kind: 'refused',
      message: '32 streams are open',
    });
  });
});

describe('a kernel that does not answer', () => {
  test.each([
    ['is not there', () => Promise.resolve(join(here, 'nothing')), 'nobody', 'file does not exist'],
    ['has ended', () => Promise.resolve('/dev/null/http'), 'nobody', 'not a directory'],
    [
      'was a file',
      () => Promise.resolve((writeFileSync(join(here, 'file'), ''), join(here, 'file'))),
      'nobody',
      'connection refused',
    ],
    [
      'says no',
      () =>
        kernel({
          'GET /v1/services': says({ version: 1, error: { code: 'FORBIDDEN', message: 'who are you?' } }, 403),
        }),
      'refused',
      'who are you?',
    ],
    ['says no without a reason', () => kernel({}), 'refused', 'HTTP status 404'],
    ['says nothing', () => babbler('', false), 'lost', 'no answer for 2 seconds'],
    ['never finishes', () => babbler(http('{', 1000), false), 'lost', 'no answer for 2 seconds'],
    ['goes away', () => babbler(''), 'lost', 'connection reset'],
    ['goes away in the middle', () => babbler(http('{', 1000)), 'lost', 'connection reset'],
    ['speaks no HTTP', () => babbler('220 mail.example ESMTP\r\n'), 'lost', expect.stringMatching(/^Parse Error/)],
    ['speaks no JSON', () => babbler(http('<html>')), 'lost', 'what answers is no daemontap'],
    [
      'speaks another version',
      () => babbler(http('{"version":2,"services":[]}')),
      'lost',
      'its answer is of another version of daemontap',
    ],
  ] as const)('because it %s', async (_what, socket, kind, message) => {
    await expect(askKernel(await socket())).rejects.toMatchObject({ name: 'AskError', kind, message });
  });
});
