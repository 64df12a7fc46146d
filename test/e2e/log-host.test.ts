/**
 * Log hosts that are treated badly: garbage on their socket, stopped, out of descriptors, under accounts that may not do
 * what they are to do. Services are supervised all the same, and what they write is where it belongs in the end.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { connectForPackets, hasCode, receivePacket, sendPacket } from '@daemontap/posix';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { makeFifo } from './support/fifo.ts';
import { compareWithSent, linesIn } from './support/numbered.ts';
import { asNobody, canBeNobody } from './support/nobody.ts';
import { joinBytes, oddNames } from './support/odd-names.ts';
import { run } from './support/run.ts';
import { floodsNumbers, writesNumbers } from './support/runs.ts';
import { stack } from './support/stack.ts';
import type { HostSeen, Stack } from './support/stack.ts';
import { isWriting, linesOf, processState } from './support/supervised.ts';
import { until } from './support/until.ts';

const isRoot = process.geteuid?.() === 0;
const writer = isRoot ? { account: 'nobody' } : {};
const script = ['t', 's999999', 'n999', './main'];
const plugin = ['log-multilog', { script, ...writer }] as const;
const intact = { problems: [], repeatedBytes: 0 };

const countIn = (dir: string): number => (existsSync(dir) ? linesIn(dir).length : 0);

async function grows(dir: string, more = 50): Promise<void> {
  const before = countIn(dir);
  await until(() => countIn(dir) >= before + more, { describe: `${dir} grows`, state: () => countIn(dir) });
}

async function endIntact(up: Stack, names: readonly string[], said: string | RegExp = ''): Promise<void> {
  expect(await up.stop()).toEqual({ code: 0, signal: undefined });
  expect([up.pids(), up.left()]).toEqual([[], []]);
  for (const name of names) {
    expect([name, compareWithSent(up.path(name), linesIn(up.path(name, 'main')))]).toEqual([name, intact]);
  }
  expect(up.said()).toEqual(typeof said === 'string' ? said : expect.stringMatching(said));
}

/** Somebody who speaks to a host. */
interface Peer extends Disposable {
  /** False: the host does not read. The paths are opened, and their descriptors go with the packet. */
  send(message: unknown, paths?: readonly string[]): boolean;
  /** The next packet; empty: there is none. */
  receive(): string;
}

async function connect({ dir }: HostSeen): Promise<Peer> {
  const fd = await until(() => attempt(() => connectForPackets(join(dir, 'socket'))), {
    describe: 'it listens',
    everyMs: 1,
  });
  return {
    send(message, paths = []) {
      const bytes = Buffer.isBuffer(message) ? message : Buffer.from(JSON.stringify(message));
      const fds = paths.map((path) => openSync(path, 'r'));
      try {
        return sendPacket(fd, { bytes, fds });
      } finally {
        for (const each of fds) closeSync(each);
      }
    },
    receive: () => receivePacket(fd)?.bytes.toString() ?? '',
    [Symbol.dispose]: () => closeSync(fd),
  };
}

/** `undefined` while too many others wait. */
function attempt<T>(body: () => T): T | undefined {
  try {
    return body();
  } catch (error) {
    if (hasCode(error, 'EAGAIN')) return undefined;
    throw error;
  }
}

describe('a log host', { concurrent: true }, () => {
  test('is sent garbage: it goes on, and no stream notices', async () => {
    await using up = stack({ plugins: [plugin], prepare: ({ make }) => void make('a', writesNumbers) });
    const dir = up.path('a/main');
    await up.runs('a');
    const host = await up.host();
    await grows(dir);
    const pipes = join(host.dir, '..');
    const [pipe = ''] = readdirSync(pipes).filter((name) => name.startsWith('pipe-'));
    const id = pipe.slice('pipe-'.length);
    const open = { type: 'open', id: 'x', label: 'x', options: { script }, isEnding: false };
    chmodSync(up.here.makeDirectory('open'), 0o777);
    const bad: readonly (readonly [message: unknown, ...paths: string[]])[] = [
      [open],
      [open, '/dev/null', '/'],
      [open, '/etc/passwd', '/etc/passwd'],
      [open, '/', '/', '/', '/'],
      [{ ...open, id: undefined }, '/dev/null', '/'],
      [{ ...open, id: { toString: 7 } }, '/dev/null', '/'],
      // The FIFO is held, so that opening it does not wait.
      [{ ...open, label: undefined, options: undefined }, join(pipes, pipe), '/'],
      [open, '/dev/null', up.here.makeDirectory('open')],
      [{ ...open, id: 'y' }, join(pipes, pipe), up.here.path],
      [{ type: 'ending' }],
      [{ type: 'ending', id: 'y' }],
      [{ type: 'yield', id: ['y'] }],
      [{ type: 'hello' }, '/', '/'],
      [{ type: 'trouble', id }],
    ];
    for (const [message, ...paths] of bad) {
      using peer = await connect(host);
      expect([message, peer.send(message, paths)]).toEqual([message, true]);
    }
    using flood = await connect(host);
    const packet = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 2000 }).map((bytes) => Buffer.from(bytes)),
      fc.record({
        type: fc.constantFrom('open', 'ending', 'yield', 'hello', 'ended', 'dance'),
        id: fc.oneof(fc.string(), fc.json()),
        options: fc.jsonValue(),
      }),
    );
    // Nobody reads the answers.
    for (const message of fc.sample(packet, 1000)) {
      await until(() => flood.send(message), { describe: 'the host reads on', everyMs: 1 });
    }
    await until(() => flood.send(Buffer.alloc(100_000, ' ')), { describe: 'the host reads on' });
    for (let count = 0; count < 100; count++) (await connect(host))[Symbol.dispose]();
    // The kernel sees to a stream that the host was made to give up.
    using thief = await connect(host);
    thief.send({ type: 'yield', id });
    await grows(dir);
    expect((await up.host()).pid).toBe(host.pid);
    thief.send({ type: 'leave' });
    await up.host({ before: host.pid });
    await grows(dir);
    await endIntact(up, ['a']);
  });

  test('is told of a stream, of other options and to give it up, all at once: it gives it up', async () => {
    await using up = stack({ plugins: [plugin], prepare: ({ make }) => void make('a', writesNumbers) });
    const host = await up.host();
    await grows(up.path('a/main'));
    const pipe = up.here.join('pipe');
    makeFifo(pipe);
    const held = openSync(pipe, 'r+');
    using peer = await connect(host);
    const open = { type: 'open', id: 'z', label: 'z', isEnding: false };
    peer.send({ ...open, options: { script: ['./one'] } }, [pipe, up.here.path]);
    peer.send({ ...open, options: { script: ['./two'] } }, [pipe, up.here.path]);
    peer.send({ type: 'yield', id: 'z' });
    const isEnded = (): boolean => peer.receive().includes('"ended","id":"z"');
    await until(isEnded, { describe: 'the stream is given up', state: up.said });
    closeSync(held);
    await endIntact(up, ['a']);
  });

  test.runIf(canBeNobody)('is closed to its own account, and what root puts in its place is no obstacle', async () => {
    await using up = stack({ plugins: [plugin], prepare: ({ make }) => void make('a', writesNumbers) });
    const host = await up.host();
    await grows(up.path('a/main'));
    const attempt = `use Socket; socket my $s, AF_UNIX, SOCK_SEQPACKET, 0;
      connect $s, sockaddr_un("$ARGV[0]/socket") and die "connected";
      rename "$ARGV[0]/socket", "$ARGV[0]/gone" and die "renamed"; unlink "$ARGV[0]/socket" and die "removed";
      open my $p, "<", "$ARGV[0]/../$ARGV[1]" and die "read"; opendir my $d, "/proc/$ARGV[2]/fd" and die "listed";
      print "no way"`;
    const [pipe = ''] = readdirSync(join(host.dir, '..')).filter((name) => name.startsWith('pipe-'));
    const words = ['/usr/bin/perl', '-e', attempt, host.dir, pipe, String(host.pid)];
    const { stdout, stderr } = await run(asNobody(words));
    expect([stdout, stderr]).toEqual(['no way', '']);
    writeFileSync(up.here.join('elsewhere'), 'mine');
    process.kill(host.pid, 'SIGKILL');
    rmSync(join(host.dir, 'socket'));
    symlinkSync(up.here.join('elsewhere'), join(host.dir, 'socket'));
    await up.host({ before: host.pid });
    await grows(up.path('a/main'), 500);
    const isSocket = statSync(join(host.dir, 'socket')).isSocket();
    expect([readFileSync(up.here.join('elsewhere'), 'utf8'), isSocket]).toEqual(['mine', true]);
  });

  test('is stopped for a while: services wait only for room, and all goes on where it was', async () => {
    await using up = stack({
      plugins: [plugin],
      prepare({ make }) {
        make('slow', writesNumbers);
        make('flood', floodsNumbers);
      },
    });
    const host = await up.host();
    for (const name of ['slow', 'flood']) await grows(up.path(name, 'main'));
    process.kill(host.pid, 'SIGSTOP');
    const sent = (name: string): number => Number(linesOf(up.path(name, `sent.${up.record(name)?.pid}`))[0] ?? 0);
    const before = sent('slow');
    await until(() => sent('slow') > before + 100, { describe: 'who has room writes on' });
    const pid = await up.runs('flood');
    await until(() => isWriting(pid), { describe: 'who has none waits' });
    await up.svc('-t', 'flood');
    await up.runs('flood', pid);
    expect(await up.svstat('slow', 'flood')).toEqual(['slow', 'flood'].map((name) => `${name}: up (pid N) N seconds`));
    process.kill(host.pid, 'SIGCONT');
    await until(() => sent('flood') > 1000, { describe: 'the flood goes on' });
    expect((await up.host()).pid).toBe(host.pid);
    await endIntact(up, ['slow', 'flood']);
  });

  test('is stopped while everything is to stop: what there is is written once it goes on', async () => {
    await using up = stack({ plugins: [plugin], prepare: ({ make }) => void make('a', writesNumbers) });
    const host = await up.host();
    await grows(up.path('a/main'));
    const pid = await up.runs('a');
    process.kill(host.pid, 'SIGSTOP');
    const stopped = up.stop();
    await until(() => processState(pid) === undefined, { describe: 'the service has ended' });
    process.kill(host.pid, 'SIGCONT');
    expect(await stopped).toEqual({ code: 0, signal: undefined });
    expect([up.pids(), up.left(), up.said()]).toEqual([[], [], '']);
    expect(compareWithSent(up.path('a'), linesIn(up.path('a/main')))).toEqual(intact);
  });

  test.runIf(existsSync('/usr/bin/prlimit'))(
    'has too few descriptors for one more stream: told, and tried again',
    async () => {
      await using up = stack({ plugins: [plugin], prepare: ({ make }) => void make('a', writesNumbers) });
      const host = await up.host();
      await grows(up.path('a/main'));
      const limit = (files: number): void => {
        const words = ['prlimit', '--pid', String(host.pid), `--nofile=${files}:`];
        const [file = '', ...args] = isRoot ? asNobody(words).map(String) : words; // it needs no right then
        const { status, stderr } = spawnSync(file, args);
        expect([status, String(stderr)]).toEqual([0, '']);
      };
      const open = new Set(readdirSync(`/proc/${host.pid}/fd`).map(Number));
      limit([...open, -1].findIndex((_, fd) => !open.has(fd))); // no number below that one is free
      up.make('b', writesNumbers);
      process.kill(up.up.pid, 'SIGHUP');
      const text = 'supervise: warning: log-multilog: log of b: its log host has too few descriptors\n';
      await up.speaks(text);
      await grows(up.path('a/main'));
      limit(1024);
      await grows(up.path('b/main'));
      await endIntact(up, ['a', 'b'], new RegExp(`^(?:${text})+$`));
    },
  );

  test('serves services whose names are of any bytes, and tells of them on one line', async () => {
    const placeOf = (up: Pick<Stack, 'here'>, name: (typeof oddNames)[number][1]): Buffer =>
      joinBytes(`${up.here.path}/service/`, name);
    await using up = stack({
      plugins: [['log-multilog', { script: ['./main'], ...writer }]],
      prepare(given) {
        const file = given.here.join('run-of-all');
        writeFileSync(file, '#!/bin/sh\necho one; echo two; exec sleep 1000\n', { mode: 0o755 });
        for (const [what, name] of oddNames) {
          const dir = placeOf(given, name);
          mkdirSync(dir);
          symlinkSync(file, joinBytes(dir, '/run'));
          if (what === 'a newline in it') writeFileSync(joinBytes(dir, '/main'), '');
        }
      },
    });
    for (const [what, name] of oddNames.filter((each) => each[0] !== 'a newline in it')) {
      const file = joinBytes(placeOf(up, name), '/main/current');
      const text = (): string => (existsSync(file) ? readFileSync(file, 'latin1') : '');
      const state = (): unknown => [text(), up.said()];
      await until(() => text() === 'one\ntwo\n', { describe: `the log of one with ${what} is complete`, state });
    }
    await up.speaks('warning: log-multilog: log of a\\nb: unable to open directory ./main: not a directory\n');
    expect(up.hosts()).toHaveLength(1);
  });

  test('serves 200 services at once, and no starts leave descriptors open', async () => {
    const names = Array.from({ length: 200 }, (_, index) => `service-${index}`);
    await using up = stack({
      plugins: [plugin],
      prepare({ make }) {
        for (const name of names) make(name, 'echo "$$ 0"; echo 000000001 >sent.$$; exec sleep 1000');
      },
    });
    const lines = (): number => names.reduce((sum, name) => sum + countIn(up.path(name, 'main')), 0);
    const state = (): unknown => [lines(), up.said()];
    await until(() => lines() === 200, { describe: 'all have spoken', state, timeoutMs: 50_000, everyMs: 100 });
    expect(up.hosts()).toHaveLength(1);
    let { pid } = await up.host();
    /** How many the kernel has, and how many pipes, directories, files and others the host. */
    const descriptors = (): string => {
      const open = filesOf(pid);
      const of = (end: RegExp): number => open.filter((file) => end.test(file)).length;
      const streams = [of(/\/pipe-[-\d]+$/), of(/\/main$/), of(/\/main\/current$/), of(/\/main\/lock$/)];
      return String([filesOf(up.up.pid).length, ...streams]);
    };
    const few = names.slice(0, 5);
    let before: string | undefined;
    for (const [round, signal] of (['SIGTERM', 'SIGTERM', 'SIGKILL', 'SIGTERM'] as const).entries()) {
      const pids = few.map((name) => up.record(name)?.pid ?? 0);
      await up.svc('-t', ...few);
      process.kill(pid, signal);
      for (const [index, name] of few.entries()) await up.runs(name, pids[index]);
      ({ pid } = await up.host({ before: pid }));
      await until(() => lines() >= 205 + 5 * round, { describe: 'they have spoken again', state, everyMs: 100 });
      const areOpen = (): boolean => descriptors().endsWith(',200,200,200,200');
      await until(areOpen, { describe: 'all streams are open', state: descriptors });
      before ??= descriptors(); // the kernel has files that are kept from the first end of a service on
      const isAsBefore = (): boolean => descriptors() === before;
      await until(isAsBefore, { describe: 'no descriptor is left open', state: () => [before, descriptors()] });
    }
    expect(await up.stop()).toEqual({ code: 0, signal: undefined });
    expect([up.pids(), up.left(), up.said()]).toEqual([[], [], '']);
  });

  test.runIf(isRoot)('may not enter a service directory: told, and others are served', async () => {
    await using up = stack({
      plugins: [plugin],
      prepare({ make, path, here }) {
        for (const name of ['a', 'b']) make(name, writesNumbers);
        // Those above a service directory are no matter: it comes open.
        for (const each of [path('a'), path(), here.path]) chmodSync(each, 0o700);
      },
    });
    const text = /supervise: warning: log-multilog: log of a: unable to open directory \.\/main: access denied\n/;
    await up.speaks(text);
    await grows(up.path('b/main'));
    chmodSync(up.path('a'), 0o711);
    await grows(up.path('a/main'));
    await endIntact(up, ['a', 'b'], new RegExp(`^${text.source}[^\n]*log of a: goes on\n$`));
  });

  test.runIf(isRoot)(
    'has an account that there is not: a service that runs is supervised, and its log goes on later',
    async () => {
      await using up = stack({ plugins: [plugin], prepare: ({ make }) => void make('a', writesNumbers) });
      const pid = await up.runs('a');
      await grows(up.path('a/main'));
      await up.kill();
      up.configure({ plugins: [plugin], services: { a: { 'log-multilog': { account: 'no-such-account' } } } });
      up.start();
      await up.speaks('unable to write logs as no-such-account: unknown account\n');
      await up.says('a', 'up (pid N) N seconds');
      expect(up.record('a')?.pid).toBe(pid);
      up.configure({ plugins: [plugin] });
      await up.hangUp();
      await up.svc('-t', 'a');
      await up.runs('a', pid);
      await grows(up.path('a/main'), 300);
      await endIntact(up, ['a'], /unknown account/);
    },
  );
});

/** What a process has open. */
function filesOf(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return ''; // closed meanwhile
    }
  });
}
