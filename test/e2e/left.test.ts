/** What svscan and supervise leave when they are told to leave, or are killed, and what the next ones make of it. */
import { chownSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { configure, killAt, makeKiller } from './support/daemons.ts';
import { asNobody, canBeNobody } from './support/nobody.ts';
import { run } from './support/run.ts';
import { keepsLines, logsSignals, writesNumbers } from './support/runs.ts';
import { start } from './support/start.ts';
import type { StartedProgram } from './support/start.ts';
import {
  clientsIn,
  combinations,
  linesOf,
  ourScanners,
  processState,
  readRecord,
  scanCombinations,
  scanDirectory,
  scannerOf,
  serverEnvironment,
} from './support/supervised.ts';
import type { Driven, ScanDirectory } from './support/supervised.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

vi.setConfig({ maxConcurrency: 8 });

/** The line of one service in the file of records. */
const RECORD_SIZE = 512;

const [ours] = ourScanners;
if (ours === undefined) throw new Error('there is no svscan of ours');

/** Ends the supervisor of a scan directory, so that it leaves everything as it is. */
async function end(program: StartedProgram, signal: 'SIGQUIT' | 'SIGKILL' = 'SIGKILL'): Promise<void> {
  process.kill(program.pid, signal);
  expect(await program.exit).toEqual(
    signal === 'SIGQUIT' ? { code: 0, signal: undefined } : { code: undefined, signal },
  );
}

/** Starts the next one, and waits until it has told of these services. */
async function again(
  scan: Pick<ScanDirectory, 'here' | 'path'>,
  driven: Driven,
  names: readonly string[],
): Promise<StartedProgram> {
  const versions = names.map((name) => readRecord(scan.path(name))?.version);
  const program = start([...scannerOf(driven), scan.path()], {
    cwd: scan.here.path,
    env: serverEnvironment(driven.server, scan.here),
  });
  const isTold = (): boolean => names.every((name, index) => readRecord(scan.path(name))?.version !== versions[index]);
  await until(isTold, { describe: 'the next one has told of all', state: program.stderr });
  const { svok } = clientsIn(driven.client, scan.path());
  const listens = async (): Promise<boolean> => (await Promise.all(names.map(svok))).every((code) => code === 0);
  await until(listens, { describe: 'it listens', state: program.stderr });
  return program;
}

const bytes = (path: string): string => readFileSync(join(path, 'supervise/status'), 'hex');
const lives = (pid: number): boolean => processState(pid) !== undefined && processState(pid) !== 'Z';
const runtimeDir = (scan: Pick<ScanDirectory, 'here'>): string => {
  const root = scan.here.join('runtime');
  const [own = ''] = readdirSync(root);
  return join(root, own);
};
const recordsOf = (scan: Pick<ScanDirectory, 'here'>): string => join(runtimeDir(scan), 'run-record/records');

describe.concurrent.each(scanCombinations.filter(({ server }) => server.name === 'daemontap'))(
  'the next one ($title)',
  (driven) => {
    test.each(['SIGQUIT', 'SIGKILL'] as const)('after %s finds everything as it was', async (signal) => {
      await using scan = scanDirectory(driven, {
        prepare({ make }) {
          for (const name of ['plain', 'paused', 'stopped', 'once']) make(name);
          make('logged', writesNumbers);
          make('logged/log', keepsLines);
        },
      });
      const names = ['plain', 'paused', 'stopped', 'once', 'logged', 'logged/log'];
      await Promise.all(names.map((name) => scan.up(name)));
      await scan.svc('-p', 'paused');
      await scan.svc('-d', 'stopped');
      await scan.svc('-o', 'once');
      const told = [
        'plain: up (pid N) N seconds',
        'paused: up (pid N) N seconds, paused',
        'stopped: down N seconds, normally up',
        'once: up (pid N) N seconds',
        'logged: up (pid N) N seconds',
        'logged/log: up (pid N) N seconds',
      ];
      const says = async (): Promise<boolean> => (await scan.svstat(...names)).join() === told.join();
      await until(says, { describe: 'all are as they are to be', state: () => scan.svstat(...names) });
      await until(() => readRecord(scan.path('once'))?.want === 'once', { describe: 'once is wanted once' });
      // Pids, and since when: to the nanosecond.
      const before = names.map((name) => bytes(scan.path(name)));

      await end(scan.svscan, signal);
      expect(await scan.svstat('plain', 'logged')).toEqual([
        'plain: supervise not running',
        'logged: supervise not running',
      ]);
      const count = linesOf(scan.path('logged/log/lines')).length;
      const logs = (): boolean => linesOf(scan.path('logged/log/lines')).length > count + 20;
      await until(logs, { describe: 'the log goes on without it' });

      await using next = await again(scan, driven, names);
      expect(names.map((name) => bytes(scan.path(name)))).toEqual(before);
      expect(await scan.svstat(...names)).toEqual(told);
      expect(next.stderr()).not.toContain('warning');

      // Each is commanded as before.
      const pid = readRecord(scan.path('plain'))?.pid ?? 0;
      await scan.svc('-t', 'plain', 'logged', 'logged/log');
      await scan.up('plain', pid);
      await scan.svc('-d', 'paused', 'once');
      await scan.svc('-c', 'paused');
      await scan.down('paused');
      await scan.down('once');
      await scan.svc('-u', 'stopped');
      await scan.up('stopped');
    });

    test('notices at once when a service ends that it has taken over, and starts it again', async () => {
      await using scan = scanDirectory(driven, { prepare: ({ make }) => void make('a') });
      const pid = await scan.up('a');
      await end(scan.svscan);
      await using _ = await again(scan, driven, ['a']);
      process.kill(pid, 'SIGKILL');
      expect(await scan.up('a', pid)).not.toBe(pid);
    });

    test('starts again what has ended while there was none, and lets rest what is to', async () => {
      await using scan = scanDirectory(driven, {
        prepare({ make }) {
          make('a');
          make('once');
        },
      });
      const pids = [await scan.up('a'), await scan.up('once')];
      await scan.svc('-o', 'once');
      await until(() => readRecord(scan.path('once'))?.want === 'once', { describe: 'once is wanted once' });
      await end(scan.svscan);
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      await until(() => !pids.some(lives), { describe: 'both have ended' });
      await using _ = await again(scan, driven, ['a', 'once']);
      await scan.up('a', pids[0]);
      expect(await scan.svstat('once')).toEqual(['once: down N seconds, normally up']);
    });
  },
);

describe.concurrent('what the next svscan finds', () => {
  const two = (scan: Pick<ScanDirectory, 'make'>): void => {
    scan.make('a', logsSignals());
    scan.make('b', logsSignals());
  };
  /** Two services under an svscan that was killed, and their pids. */
  const left = async (scan: ScanDirectory): Promise<readonly [a: number, b: number]> => {
    const pids = [await scan.up('a'), await scan.up('b')] as const;
    for (const name of ['a', 'b']) {
      await until(() => linesOf(scan.path(name, 'events')).length > 0, { describe: `${name} hears signals` });
    }
    await end(scan.svscan);
    return pids;
  };

  test('a pid that is another process now is left alone, and the service started', async () => {
    await using scan = scanDirectory(ours, { prepare: two });
    const [a, b] = await left(scan);
    const text = readFileSync(recordsOf(scan), 'latin1');
    // The same length, and another moment.
    writeFileSync(
      recordsOf(scan),
      text.replace(new RegExp(`"pid":${a},"startTicks":(\\d)`), (all, digit: string) => {
        return `${all.slice(0, -1)}${digit === '9' ? '8' : '9'}`;
      }),
      'latin1',
    );
    await using _ = await again(scan, ours, ['a', 'b']);
    expect(await scan.up('a', a)).not.toBe(a);
    expect([lives(a), readRecord(scan.path('b'))?.pid]).toEqual([true, b]);
    await scan.svc('-h', 'a');
    await until(() => linesOf(scan.path('a/events')).includes('HUP'), { describe: 'the new one has its signal' });
    expect(linesOf(scan.path('a/events')).filter((line) => line !== 'start')).toEqual(['HUP']);
  });

  test('records that end in the middle of a line: the lines before it count', async () => {
    await using scan = scanDirectory(ours, { prepare: two });
    const pids = await left(scan);
    truncateSync(recordsOf(scan), 2 * RECORD_SIZE + 100);
    await using next = await again(scan, ours, ['a', 'b']);
    const now = ['a', 'b'].map((name) => readRecord(scan.path(name))?.pid);
    expect(now.filter((pid, index) => pid === pids[index])).toHaveLength(1);
    expect([pids.every(lives), next.stderr()]).toEqual([true, '']);
  });

  test('records that are none are kept for who wants to know, and that is said', async () => {
    await using scan = scanDirectory(ours, { prepare: two });
    const pids = await left(scan);
    writeFileSync(recordsOf(scan), 'x'.repeat(3000));
    await using next = await again(scan, ours, ['a', 'b']);
    await scan.up('a', pids[0]);
    expect(next.stderr()).toBe(
      `svscan: warning: unable to use ${recordsOf(scan)}, it is kept as ${recordsOf(scan)}.unusable: it has no header\n`,
    );
  });

  test('no runtime directory any more: it knows of nothing, and starts second copies, which lose no line of either', async () => {
    await using scan = scanDirectory(ours, {
      prepare({ make }) {
        make('a', writesNumbers);
        make('a/log', keepsLines);
      },
    });
    const pids = [await scan.up('a'), await scan.up('a/log')] as const;
    await end(scan.svscan);
    rmSync(runtimeDir(scan), { recursive: true });
    await using _ = await again(scan, ours, ['a', 'a/log']);
    const second = [await scan.up('a', pids[0]), await scan.up('a/log', pids[1])] as const;
    const linesBy = (pid: number): number =>
      linesOf(scan.path('a/log/lines')).filter((line) => line.startsWith(`${pid} `)).length;
    for (const pid of [pids[0], second[0]]) {
      const before = linesBy(pid);
      await until(() => linesBy(pid) > before, { describe: `what ${pid} writes is logged` });
    }
    expect([...pids, ...second].every(lives)).toBe(true);
  });

  test('a second svscan that waited for its turn takes over what the killed first one has left', async () => {
    await using scan = scanDirectory(ours, { prepare: two });
    const pids = [await scan.up('a'), await scan.up('b')] as const;
    await using second = start([...scannerOf(ours), scan.path()], {
      cwd: scan.here.path,
      env: serverEnvironment(ours.server, scan.here),
    });
    // It has records of its own.
    const other = scan.here.makeService('other');
    writeFileSync(join(other, 'down'), '');
    await until(() => second.stderr().includes('b/supervise/lock'), {
      describe: 'it is refused',
      state: second.stderr,
    });
    const version = readRecord(scan.path('b'))?.version;
    await end(scan.svscan);
    await until(() => readRecord(scan.path('b'))?.version !== version, {
      describe: 'it has them',
      state: second.stderr,
    });
    await until(async () => (await scan.svok('a')) === 0, { describe: 'it listens' });
    expect(['a', 'b'].map((name) => readRecord(scan.path(name))?.pid)).toEqual(pids);
  });
});

const up = ourScanners.find(({ isUp }) => isUp === true);

describe.runIf(up !== undefined)('daemontap up', () => {
  test('killed before a change is recorded: nobody has seen that one, either', async () => {
    if (up === undefined) return;
    await using scan = scanDirectory(up, {
      prepare(made) {
        made.make('a');
        configure(made.path(), { plugins: [makeKiller(made)] });
      },
    });
    await scan.up('a');
    killAt(scan, 'unrecorded once');
    await scan.svc('-o', 'a');
    expect(await scan.svscan.exit).toEqual({ code: undefined, signal: 'SIGKILL' });
    expect(readRecord(scan.path('a'))?.want).toBe('up');
  });

  test('whose run-record is taken out at HUP and taken back leaves what the next one needs', async () => {
    if (up === undefined) return;
    await using scan = scanDirectory(up, { prepare: ({ make }) => void make('a') });
    const first = await scan.up('a');
    const isLocked = async (): Promise<boolean> =>
      (await run(['flock', '-n', recordsOf(scan), 'true'], { cwd: scan.here.path })).code === 1;
    const configure = async (without: readonly string[], locked: boolean): Promise<void> => {
      writeFileSync(scan.path('daemontap.config.json'), JSON.stringify({ preset: 'daemontools', without }));
      process.kill(scan.svscan.pid, 'SIGHUP');
      const isDone = async (): Promise<boolean> => (await isLocked()) === locked;
      await until(isDone, { describe: `the records are ${locked ? '' : 'not '}locked`, state: scan.svscan.stderr });
    };
    expect(await isLocked()).toBe(true);
    await configure(['run-record'], false);
    await scan.svc('-t', 'a');
    const second = await scan.up('a', first);
    await configure([], true);
    const isRecorded = (): boolean => readFileSync(recordsOf(scan), 'latin1').includes(String(second));
    await until(isRecorded, { describe: 'it is recorded', state: () => readFileSync(recordsOf(scan), 'latin1') });
    await end(scan.svscan);
    await using next = await again(scan, up, ['a']);
    expect([readRecord(scan.path('a'))?.pid, lives(second)]).toEqual([second, true]);
    process.kill(next.pid, 'SIGTERM');
    expect(await next.exit).toEqual({ code: 0, signal: undefined });
    expect(readdirSync(scan.here.join('runtime'))).toEqual([]);
  });
});

const ourSupervises = combinations.filter(({ server }) => server.name === 'daemontap');

describe.concurrent.each(ourSupervises)('supervise ($title)', ({ server, client }) => {
  const accounts = [
    { who: 'root', as: (argv: readonly string[]) => argv },
    ...(canBeNobody ? [{ who: 'nobody', as: asNobody }] : []),
  ];

  test.each(accounts)('as $who: killed and begun again it has its service as it was', async ({ who, as }) => {
    await using here = temporaryDirectory();
    const path = here.makeService('a');
    const runtime = here.makeDirectory('runtime');
    const env = serverEnvironment(server, here, { DAEMONTAP_RUNTIME_DIR: join(runtime, 'own') });
    if (who === 'nobody') for (const each of [path, runtime]) chownSync(each, 65_534, 65_534);
    const begin = (): StartedProgram => start(as([server.path('supervise'), 'a']).map(String), { cwd: here.path, env });
    const clients = clientsIn(client, here.path);
    await using first = begin();
    await until(() => (readRecord(path)?.pid ?? 0) !== 0, { describe: 'it is up', state: first.stderr });
    await clients.svc('-p', 'a');
    await until(() => readRecord(path)?.paused === true, { describe: 'it is paused' });
    const before = { bytes: bytes(path), version: readRecord(path)?.version };
    await end(first);
    await using second = begin();
    await until(() => readRecord(path)?.version !== before.version, { describe: 'it tells', state: second.stderr });
    expect([bytes(path), second.stderr()]).toEqual([before.bytes, '']);
    await clients.svc('-cdx', 'a');
    expect(await second.exit).toEqual({ code: 0, signal: undefined });
    expect([readRecord(path)?.pid, readdirSync(runtime)]).toEqual([0, ['own']]);
    expect(readdirSync(join(runtime, 'own'))).toEqual([]);
  });

  test('leaves by QUIT', async () => {
    await using here = temporaryDirectory();
    const path = here.makeService('a');
    await using program = start([server.path('supervise'), 'a'], {
      cwd: here.path,
      env: serverEnvironment(server, here),
    });
    await until(() => (readRecord(path)?.pid ?? 0) !== 0, { describe: 'it is up', state: program.stderr });
    await end(program, 'SIGQUIT');
    expect(lives(readRecord(path)?.pid ?? 0)).toBe(true);
    expect((await run([client.path('svok'), 'a'], { cwd: here.path })).code).toBe(100);
  });
});
