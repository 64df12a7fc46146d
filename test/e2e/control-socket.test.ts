/** The control socket of a real `daemontap up`: as the page shows it, and who may not use it. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type {
  ErrorAnswer,
  KernelAnswer,
  ServiceDetailsAnswer,
  ServicesAnswer,
} from '../../plugins/control-socket/src/index.ts';
import { rawConnection } from '../../plugins/control-socket/src/raw.test-support.ts';
import { socketPlace } from './support/control-socket.ts';
import type { SocketPlace } from './support/control-socket.ts';
import { asNobody, canBeNobody } from './support/nobody.ts';
import { run } from './support/run.ts';
import type { Argument } from './support/run.ts';
import { until } from './support/until.ts';

const hasCurl = spawnSync('curl', ['--version']).status === 0;
const page = readFileSync(join(import.meta.dirname, '../../docs/control-socket.md'), 'utf8');
/** The commands of the page's transcripts, each with what it shows. */
const transcripts = [...page.matchAll(/^```console\n(.*?)^```$/gms)].map(([, text = '']) =>
  text.split(/^\$ /m).slice(1),
);

describe.skipIf(!hasCurl)('what docs/control-socket.md shows', () => {
  /** What differs from run to run. */
  const masked = (text: string): string =>
    text
      .replaceAll(/"(pid|forMs|ranForMs)":\d+/g, '"$1":N')
      .replaceAll(/"(since|at)":"[^"]+"/g, '"$1":"TIME"')
      .replaceAll(/"(sinceNs|atNs)":"\d+"/g, '"$1":"NS"')
      .replaceAll(/"identity":"\d+-\d+"/g, '"identity":"DEV-INO"');

  const follow = async (
    steps: readonly string[],
    replacements: readonly (readonly [shown: string, real: string])[],
  ): Promise<void> => {
    const commands = steps.map((step) => step.slice(0, step.indexOf('\n')));
    const inward = (text: string): string =>
      replacements.reduce((changed, [shown, real]) => changed.replaceAll(shown, real), text);
    const outward = (text: string): string =>
      replacements.reduce((changed, [shown, real]) => changed.replaceAll(real, shown), text);
    const script = commands.map((command) => `${inward(command)}\nprintf '\\036'`).join('\n');
    const { stdout, stderr } = await run(['/bin/sh', '-c', script]);
    expect(stderr).toBe('');
    const outputs = outward(stdout).split('\x1e').slice(0, -1);
    expect(outputs.map(masked)).toEqual(steps.map((step) => masked(step.slice(step.indexOf('\n') + 1))));
  };

  test('is what is answered', async () => {
    await using place = socketPlace({ services: { finger: 'exec sleep 1000', 'finger/log': 'exec cat' } });
    place.up();
    await place.runs('finger');
    await place.runs('finger/log');
    await follow(transcripts[0] ?? [], [
      ['/run/daemontap', place.here.join('runtime')],
      ['/service"', `${place.scanDir}"`],
    ]);
  });

  test.skipIf(!canBeNobody)('is what others are told', async () => {
    await using place = socketPlace({ socket: (here) => ({ path: here.join('open/http'), mode: '0666' }) });
    place.here.makeDirectory('open');
    place.up();
    await place.socketPath();
    await follow(transcripts[1] ?? [], [['/run/open', place.here.join('open')]]);
  });
});

describe.skipIf(!canBeNobody || !hasCurl)('another account', () => {
  const curl = (socketPath: string, target: string, ...words: readonly string[]): readonly string[] => [
    ...['curl', '-s', '--max-time', '10', '-w', ' %{http_code}', '--unix-socket', socketPath],
    ...[...words, `http://localhost${target}`],
  ];
  const as = (groups: readonly number[], gid = 65534): readonly Argument[] => [
    ...['/usr/bin/setpriv', '--reuid=65534', `--regid=${gid}`],
    groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`,
  ];
  const placeWith = (options: object): SocketPlace => {
    const place = socketPlace({ socket: (here) => ({ path: here.join('open/http'), ...options }) });
    place.here.makeDirectory('open');
    place.up();
    return place;
  };

  test('is refused with 403 and the reason, whatever it asks, and nothing is done', async () => {
    await using place = placeWith({ mode: '0666' });
    const socketPath = await place.socketPath();
    const refusal =
      '{"version":1,"error":{"code":"FORBIDDEN","message":"user id 65534 may not use this socket"}}\n 403';
    await place.runs('finger');
    for (const words of [
      curl(socketPath, '/v1'),
      curl(socketPath, '/v1/services'),
      curl(socketPath, '/v1/services/finger/commands', '-d', '{"command":"down"}'),
      curl(socketPath, '/v1/services/finger/wait?for=paused'),
      curl(socketPath, '/v1/events'),
      curl(socketPath, '/v1/plugins'),
      curl(socketPath, '/nothing', '-X', 'DELETE'),
    ]) {
      const { stdout } = await run(asNobody(words));
      expect(stdout).toBe(refusal);
    }
    // Who is still sending may meet the end of the connection before it looks for an answer.
    const upload = curl(socketPath, '/v1', '-d', `@${daemontapBundle()}`);
    await until(async () => (await run(asNobody(upload))).stdout === refusal, {
      describe: 'an upload is refused, too',
    });
    const { body } = await place.ask<ServiceDetailsAnswer>('/v1/services/finger');
    expect(body.service).toMatchObject({ state: 'up', want: 'up' });
  });

  test('that connects as often as it can keeps nobody from being served', async () => {
    await using place = placeWith({ mode: '0666' });
    const socketPath = await place.socketPath();
    await place.runs('finger');
    const script = `const { connect } = require('net'); const again = () => { const socket = connect(${JSON.stringify(socketPath)});
      socket.on('error', () => {}).on('close', () => setImmediate(again)); }; for (let n = 0; n < 200; n++) again();`;
    const [setpriv, ...words] = as([]).map(String);
    const other = spawn(String(setpriv), [...words, process.execPath, '-e', script], { stdio: 'ignore' });
    try {
      for (let count = 0; count < 20; count++) {
        const beginMs = performance.now();
        expect((await place.ask('/v1/services')).status).toBe(200);
        expect(performance.now() - beginMs).toBeLessThan(2000);
      }
      await place.clients.svc('-p', 'finger');
      await until(async () => (await place.clients.svstat('finger'))[0]?.includes('paused'), { describe: 'svc works' });
    } finally {
      const ended = once(other, 'exit');
      other.kill('SIGKILL');
      await ended;
    }
  });

  test('cannot even connect by default', async () => {
    await using place = placeWith({});
    const socketPath = await place.socketPath();
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
    expect((await run(asNobody(curl(socketPath, '/v1')))).stdout).toBe(' 000');
  });

  test('is served as a member of the group, by its own group or another of its groups', async () => {
    await using place = placeWith({ group: 'mail' });
    const socketPath = await place.socketPath();
    const { gid, mode } = statSync(socketPath);
    expect([gid, mode & 0o777]).toEqual([8, 0o660]);
    expect((await run([...as([8, 60]), ...curl(socketPath, '/v1')])).stdout).toMatch(/ 200$/);
    expect((await run([...as([60, 8]), ...curl(socketPath, '/v1')])).stdout).toMatch(/ 200$/);
    expect((await run([...as([], 8), ...curl(socketPath, '/v1')])).stdout).toMatch(/ 200$/);
    expect((await run([...as([60]), ...curl(socketPath, '/v1')])).stdout).toBe(' 000');
  });

  test('that may connect and is no member of the group is refused', async () => {
    await using place = placeWith({ group: 'mail', mode: '0666' });
    const socketPath = await place.socketPath();
    expect((await run([...as([60]), ...curl(socketPath, '/v1')])).stdout).toMatch(/"FORBIDDEN".* 403$/s);
    expect((await run([...as([8]), ...curl(socketPath, '/v1')])).stdout).toMatch(/ 200$/);
  });

  test('that is named is served', async () => {
    await using place = placeWith({ users: ['nobody'] });
    expect((await run(asNobody(curl(await place.socketPath(), '/v1')))).stdout).toMatch(/ 200$/);
  });

  test('has a socket of its own, at which root may ask, too', async () => {
    await using place = socketPlace({ through: asNobody([]) });
    for (const path of [place.here.path, place.scanDir, join(place.scanDir, 'finger')]) chownSync(path, 65534, 65534);
    place.up();
    const socketPath = await place.socketPath();
    expect(statSync(socketPath).uid).toBe(65534);
    const command = curl(socketPath, '/v1/services/finger/commands', '-d', '{"command":"restart","wait":true}');
    expect((await run(asNobody(command))).stdout).toMatch(/ 200$/);
  });
});

describe('a kernel', () => {
  test('that was killed is followed by one that has its socket, and knows how services have ended', async () => {
    await using place = socketPlace();
    const first = place.up();
    await place.runs('finger');
    const command = { target: '/v1/services/finger/commands', body: { command: 'restart', wait: true } };
    expect((await place.ask(command)).status).toBe(200);
    const before = (await place.ask<ServiceDetailsAnswer>('/v1/services/finger')).body.service;
    process.kill(first.pid, 'SIGKILL');
    await first.exit;
    const second = place.up();
    await until(async () => (await place.ask<KernelAnswer>('/v1')).body.pid === second.pid, {
      describe: 'the second answers',
    });
    const after = await until(
      async () => {
        const { status, body } = await place.ask<ServiceDetailsAnswer>('/v1/services/finger');
        return status === 200 && body.service;
      },
      { describe: 'the service is known' },
    );
    expect([before.exits.length, after.exits]).toEqual([1, before.exits]);
    expect([after.pid, after.since]).toEqual([before.pid, before.since]);
  });

  test('that waits for a scan directory leaves the socket to the one that has it, and has it afterwards', async () => {
    await using place = socketPlace();
    const first = place.up();
    await place.socketPath();
    const second = place.up();
    await until(() => second.stderr().includes('temporary failure'), { describe: 'the second finds the lock taken' });
    expect((await place.ask<KernelAnswer>('/v1')).body.pid).toBe(first.pid);
    process.kill(first.pid, 'SIGTERM');
    await first.exit;
    await until(
      async () => {
        const { body } = await place.ask<KernelAnswer>('/v1');
        return body.pid === second.pid && body.scanDir === place.scanDir;
      },
      { describe: 'the second answers' },
    );
  });

  test('that takes up another configuration has its socket as that says, and no service notices', async () => {
    await using place = socketPlace();
    const up = place.up();
    await place.runs('finger');
    const socketPath = await place.socketPath();
    const pid = async (): Promise<unknown> =>
      (await place.ask<ServiceDetailsAnswer>('/v1/services/finger')).body.service.pid;
    const before = await pid();
    const config = join(place.scanDir, 'daemontap.config.json');
    for (const [text, mode] of [
      ['{"plugins":[["control-socket",{"mode":"0640"}]]}', 0o640],
      ['{}', 0o600],
      ['{"without":["control-socket"]}', undefined],
      ['{}', 0o600],
    ] as const) {
      writeFileSync(config, text);
      process.kill(up.pid, 'SIGHUP');
      const modeNow = (): number | undefined => {
        const stats = statSync(socketPath, { throwIfNoEntry: false });
        return stats && stats.mode & 0o777;
      };
      await until(() => modeNow() === mode, { describe: `its mode is ${mode}`, state: () => up.stderr() });
    }
    expect(await pid()).toBe(before);
    expect(up.stderr()).not.toContain('warning');
  });

  test('that is told to stop ends at once, whoever listens and waits, and they hear of it', async () => {
    await using place = socketPlace();
    const up = place.up();
    const socketPath = await place.socketPath();
    await place.runs('finger');
    const stream = await place.events();
    await stream.next();
    const others = Array.from({ length: 30 }, () => rawConnection(socketPath, { isPaused: true }));
    for (const { send } of others) send('GET /v1/events HTTP/1.1\r\n\r\n');
    const waiting = place.ask<ErrorAnswer>('/v1/services/finger/wait?for=paused');
    await place.ask('/v1');
    const beginMs = performance.now();
    process.kill(up.pid, 'SIGTERM');
    expect(await up.exit).toEqual({ code: 0, signal: undefined });
    expect(performance.now() - beginMs).toBeLessThan(3000);
    const seen: string[] = [];
    for await (const { event } of stream) seen.push(event);
    expect(seen.slice(-3)).toEqual(['ended', 'service', 'released']);
    expect((await waiting).body.error.message).toBe('finger is no longer supervised');
    for (const { socket } of others) socket.resume();
    await Promise.all(others.map(({ closed }) => closed));
    expect(readdirSync(place.here.join('runtime'))).toEqual([]);
  });

  test('whose runtime directory has a long name has a socket all the same', async () => {
    await using place = socketPlace({
      socket: (here) => ({ path: join(here.makeDirectory(`${'x'.repeat(100)}/${'y'.repeat(100)}`), 'http') }),
    });
    place.up();
    const dir = place.here.join('x'.repeat(100), 'y'.repeat(100));
    await until(() => existsSync(join(dir, 'http')), { describe: 'the socket is there' });
    const { stdout } = await run(['/bin/sh', '-c', `cd ${dir} && curl -s --unix-socket http http://localhost/v1`]);
    if (hasCurl) expect(stdout).toContain('"program":"daemontap"');
  });
});

describe('a client that is slow', () => {
  const closedAfterMs = async (place: SocketPlace, bytes: string): Promise<readonly [number, string]> => {
    const connection = rawConnection(await place.socketPath());
    const beginMs = performance.now();
    connection.send(bytes);
    const text = await connection.closed;
    return [performance.now() - beginMs, text];
  };

  test.concurrent('is told so, or disconnected, each in its time', async () => {
    await using place = socketPlace();
    place.up();
    await place.socketPath();
    const all = await Promise.all([
      closedAfterMs(place, ''),
      closedAfterMs(place, 'GET /v1 HTTP/1.1\r\nx: '),
      closedAfterMs(place, 'POST /v1/services/finger/commands HTTP/1.1\r\ncontent-length: 16\r\n\r\n{"comm'),
      closedAfterMs(place, 'GET /v1 HTTP/1.1\r\n\r\n'),
    ]);
    const statuses = all.map(([, text]) => /^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
    expect(statuses).toEqual(['408', '408', '408', '200']);
    const [none = 0, head = 0, body = 0, next = 0] = all.map(([ms]) => ms);
    for (const ms of [none, head]) expect([ms >= 5000, ms < 9000]).toEqual([true, true]);
    expect([body >= 10_000, body < 15_000]).toEqual([true, true]);
    expect([next >= 5000, next < 9000]).toEqual([true, true]);
  });

  test.concurrent('in taking its answers is disconnected after ten seconds in which it has taken nothing', async () => {
    const names = Array.from({ length: 200 }, (_, index) => `s${index}`);
    await using place = socketPlace({ services: Object.fromEntries(names.map((name) => [name, 'exec false'])) });
    for (const name of names) writeFileSync(join(place.scanDir, name, 'down'), '');
    const up = place.up();
    const listed = async (): Promise<number> => (await place.ask<ServicesAnswer>('/v1/services')).body.services.length;
    await until(async () => (await listed()) === 200, { describe: 'all are supervised' });
    const sockets = (): number =>
      readdirSync(`/proc/${up.pid}/fd`).filter((fd) => linkOf(`/proc/${up.pid}/fd/${fd}`).startsWith('socket:')).length;
    await until(() => sockets() === 1, { describe: 'nobody is connected' });
    const connection = rawConnection(await place.socketPath(), { isPaused: true });
    await until(() => sockets() === 2, { describe: 'one is connected' });
    const beginMs = performance.now();
    connection.send('GET /v1/services HTTP/1.1\r\n\r\n'.repeat(12)); // half a megabyte
    await until(() => sockets() === 1, { describe: 'it is disconnected', timeoutMs: 30_000 });
    expect(performance.now() - beginMs).toBeGreaterThan(10_000);
    connection.socket.resume();
    await connection.closed;
  });
});

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // closed meanwhile
  }
}

function daemontapBundle(): string {
  return join(import.meta.dirname, '../../packages/cli/dist/daemontap.cjs');
}
