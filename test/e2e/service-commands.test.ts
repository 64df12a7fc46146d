/** `daemontap status`, `start`, `stop` and `restart`: the same whoever supervises, and however it is asked. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { fileIdentity } from '@daemontap/posix';
import { heldFifo } from './support/fifo.ts';
import { daemontap as ours } from './support/implementations.ts';
import { asNobody, canBeNobody } from './support/nobody.ts';
import { joinBytes, oddNames } from './support/odd-names.ts';
import { cleanEnvironment, run } from './support/run.ts';
import type { Argument, Outcome } from './support/run.ts';
import { endsAtOnce, ignoresTerm } from './support/runs.ts';
import { linesOf, scanDirectory, scanners, serverEnvironment } from './support/supervised.ts';
import type { ScanDirectory, ScanOptions } from './support/supervised.ts';
import { start } from './support/start.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

vi.setConfig({ maxConcurrency: 6 });

const program = join(ours.programDir, 'daemontap');

/** Who is asked through a socket; all others through the files in supervise/. */
const withSocket = scanners.filter(({ isUp }) => isUp === true);

/** Those that are asked, with options of the socket. */
type Asked = Omit<(typeof scanners)[number], 'title'> & { readonly options?: Readonly<Record<string, unknown>> };

/** A scan directory, and the command in it. */
interface Place extends ScanDirectory {
  daemontap(...words: readonly Argument[]): Promise<Outcome>;
}

const hasScript = existsSync('/usr/bin/script');
if (!hasScript) console.log('skipped: colours on a terminal; script(1) makes one');

const place = (scanner: Asked, prepare: NonNullable<ScanOptions['prepare']>): Place => {
  const scan = scanDirectory(scanner, {
    prepare(made) {
      const { options } = scanner;
      if (options !== undefined) configure(made.path(), options);
      prepare(made);
    },
  });
  const env = { ...cleanEnvironment, DAEMONTAP_RUNTIME_DIR: scan.here.join('runtime') };
  return { ...scan, daemontap: (...words) => run([program, ...words], { cwd: scan.path(), env }) };
};
/** A configuration with these options of the control socket. */
const configure = (scanDir: string, options: Readonly<Record<string, unknown>>): void =>
  writeFileSync(join(scanDir, 'daemontap.config.json'), JSON.stringify({ plugins: [['control-socket', options]] }));
const socketOf = (scan: Place): string =>
  scan.here.join('runtime', fileIdentity(scan.path()), 'control-socket', 'http');
const outcome = (code: number, stdout: string | RegExp, stderr: string | RegExp = ''): unknown => ({
  code,
  signal: undefined,
  stdout: typeof stdout === 'string' ? stdout : expect.stringMatching(stdout),
  stderr: typeof stderr === 'string' ? stderr : expect.stringMatching(stderr),
});
/** A table without what differs from run to run. */
const masked = (table: string): readonly string[] =>
  table
    .replaceAll(/\d+s\b/g, 'Ns')
    .replaceAll(/\b\d+\b/g, 'N')
    .replaceAll(/ +/g, ' ')
    .split('\n')
    .slice(0, -1);
const json = (text: string): readonly Readonly<Record<string, unknown>>[] =>
  (JSON.parse(text) as { services: readonly Readonly<Record<string, unknown>>[] }).services;

describe.concurrent.each<Asked>(scanners)('$name', (scanner) => {
  test('status shows what each service is, and tells by its exit code whether all are as they are wanted', async () => {
    await using scan = place(scanner, ({ make, path }) => {
      for (const name of ['up', 'down', 'paused', 'stopping', 'stopped', 'forced', 'once', 'logged', 'logged/log'])
        make(name, name === 'stopping' ? ignoresTerm : undefined);
      for (const name of ['down', 'forced']) writeFileSync(path(name, 'down'), '');
    });
    const { svc, up, down, daemontap } = scan;
    for (const name of ['up', 'paused', 'stopping', 'stopped', 'once', 'logged', 'logged/log']) await up(name);
    await until(() => linesOf(scan.path('stopping/ready')), { describe: 'it ignores TERM' });
    await svc('-p', 'paused');
    await svc('-d', 'stopping', 'stopped');
    await svc('-u', 'forced');
    await svc('-o', 'once');
    await up('forced');
    await down('stopped');
    await until(() => scan.record('stopping')?.want === 'down', { describe: 'stopping is told' });
    await until(() => scan.record('paused')?.paused, { describe: 'paused is paused' });
    await until(() => scan.record('once')?.want === 'once', { describe: 'once is told' });
    const shown = await daemontap('status');
    expect(masked(shown.stdout)).toEqual([
      'service state pid for',
      'down down Ns',
      'forced up N Ns normally down',
      'logged up N Ns',
      'logged/log up N Ns',
      'once up N Ns want once',
      'paused paused N Ns',
      'stopped down Ns normally up',
      'stopping stopping N Ns',
      'up up N Ns',
    ]);
    expect([shown.code, shown.stderr]).toEqual([0, '']);
    const codes = ['up', 'paused', 'stopping', 'down', 'stopped', 'nonexist'].map(
      async (name) => (await daemontap('status', name)).code,
    );
    expect(await Promise.all(codes)).toEqual([0, 0, 0, 3, 3, 4]);
    expect((await daemontap('status', 'up', 'down')).code).toBe(3);
    const { stdout } = await daemontap('status', '--json', 'logged/log', 'stopped', scan.path('forced'));
    const by = scanner.isUp === true ? 'kernel' : 'files';
    expect(json(stdout)).toMatchObject([
      {
        by,
        name: 'logged/log',
        role: 'log',
        state: 'up',
        pid: scan.record('logged/log')?.pid,
        want: 'up',
        paused: false,
      },
      { name: 'stopped', role: 'service', state: 'down', pid: null, want: 'down', normally: 'up', reason: null },
      { name: 'forced', state: 'up', want: 'up', normally: 'down', directory: scan.path('forced') },
    ]);
    for (const { since, forMs, identity } of json(stdout)) {
      expect([typeof identity, typeof forMs]).toEqual(['string', 'number']);
      expect(Math.abs(Date.parse(String(since)) + Number(forMs) - Date.now())).toBeLessThan(60_000);
    }
  });

  test('start, stop and restart tell services, and answer at once', async () => {
    await using scan = place(scanner, ({ make }) => ['a', 'b'].forEach((name) => make(name)));
    const { up, down, daemontap } = scan;
    await Promise.all([up('a'), up('b')]);
    expect(await daemontap('stop', 'a', './b')).toEqual(outcome(0, 'a: told to stop\n./b: told to stop\n'));
    await Promise.all([down('a'), down('b')]);
    expect(await daemontap('start', scan.path('a'))).toEqual(outcome(0, `${scan.path('a')}: told to start\n`));
    const pid = await up('a');
    expect(await daemontap('restart', 'a')).toEqual(outcome(0, 'a: told to restart\n'));
    await up('a', pid);
    expect(await daemontap('restart', 'b')).toEqual(outcome(0, 'b: told to restart\n'));
    await up('b');
  });

  test('with --wait they answer when it is done, for several services at once', async () => {
    await using scan = place(scanner, ({ make }) => ['a', 'b', 'b/log'].forEach((name) => make(name)));
    const { up, daemontap, record } = scan;
    const before = await Promise.all([up('a'), up('b'), up('b/log')]);
    expect(await daemontap('stop', 'a', 'b', '--wait')).toEqual(outcome(0, /^(a: down\nb: down|b: down\na: down)\n$/));
    expect([record('a')?.pid, record('b')?.pid, record('b/log')?.pid]).toEqual([0, 0, before[2]]);
    expect(await daemontap('stop', 'a', '--wait')).toEqual(outcome(0, 'a: down\n'));
    expect(await daemontap('start', '--wait', 'a')).toEqual(outcome(0, `a: up (pid ${await up('a')})\n`));
    const pid = record('a')?.pid;
    expect(await daemontap('start', '--wait', 'a')).toEqual(outcome(0, `a: up (pid ${pid})\n`));
    const { stdout, code } = await daemontap('restart', 'a', 'b', './b/log', '--wait');
    expect([code, ...stdout.split('\n').toSorted()]).toEqual([
      0,
      '',
      `./b/log: up (pid ${await up('b/log', before[2])})`,
      `a: up (pid ${await up('a', pid)})`,
      `b: up (pid ${await up('b')})`,
    ]);
  });

  test('with --wait they say what is not done in time, and why', async () => {
    await using scan = place(scanner, ({ make, path }) => {
      make('stubborn', ignoresTerm);
      make('fails', endsAtOnce);
      make('no-run');
      rmSync(path('no-run/run'));
      for (const name of ['fails', 'no-run']) writeFileSync(path(name, 'down'), '');
    });
    const { up, daemontap } = scan;
    const pid = await up('stubborn');
    await until(() => linesOf(scan.path('stubborn/ready')), { describe: 'it ignores TERM' });
    await until(() => scan.record('no-run'), { describe: 'all are supervised' });
    const still = (verb: string, seconds: string): string =>
      `daemontap: fatal: unable to ${verb} stubborn: still up (pid ${pid}) after ${seconds}\n`;
    expect(await daemontap('restart', 'stubborn', '--timeout', '1')).toEqual(
      outcome(111, '', still('restart', '1 second')),
    );
    expect(await daemontap('stop', 'stubborn', '--timeout', '0.5')).toEqual(
      outcome(111, '', still('stop', '0.5 seconds')),
    );
    // Where a process that ends at once takes longer than a second for that, it has stayed up.
    const message =
      /^daemontap: fatal: unable to start fails: it was started \d times? in 4 seconds and does not stay up/;
    await until(async () => message.test((await daemontap('start', 'fails', '--timeout', '4')).stderr), {
      describe: 'it does not stay up',
    });
    expect(await daemontap('start', 'no-run', '--timeout', '2.5')).toEqual(
      outcome(111, '', /^daemontap: fatal: unable to start no-run: (still down|it was started \d times)/),
    );
  });

  test('restart ends one that is paused, and start takes no process that is about to end', async () => {
    await using scan = place(scanner, ({ make }) => {
      make('paused');
      make('slow', `trap 'sleep 2; exit' TERM; : >ready; while :; do sleep 0.1; done`);
    });
    const { svc, up, daemontap } = scan;
    const [paused, slow] = await Promise.all([up('paused'), up('slow')]);
    await svc('-p', 'paused');
    await until(() => scan.record('paused')?.paused, { describe: 'it is paused' });
    expect(await daemontap('restart', 'paused', '--wait')).toEqual(
      outcome(0, `paused: up (pid ${await up('paused', paused)})\n`),
    );
    await until(() => linesOf(scan.path('slow/ready')), { describe: 'it takes TERM' });
    await svc('-d', 'slow');
    await until(() => scan.record('slow')?.want === 'down', { describe: 'it was told' });
    expect(await daemontap('start', 'slow', '--wait')).toEqual(
      outcome(0, `slow: up (pid ${await up('slow', slow)})\n`),
    );
  });

  test('--all is all services, without their logs', async () => {
    await using scan = place(scanner, ({ make }) => ['a', 'b', 'b/log'].forEach((name) => make(name)));
    const [, , log] = await Promise.all([scan.up('a'), scan.up('b'), scan.up('b/log')]);
    expect((await scan.daemontap('stop', '--all', '--wait')).stdout.split('\n').toSorted()).toEqual([
      '',
      'a: down',
      'b: down',
    ]);
    expect(scan.record('b/log')).toMatchObject({ pid: log, want: 'up' });
  });

  test('names of any bytes are names', async () => {
    const names = oddNames.map(([, name]) => Buffer.from(name)).filter((name) => !name.includes('/'));
    await using scan = place(scanner, ({ make, path }) => {
      for (const name of names) {
        make('made');
        renameSync(path('made'), joinBytes(path(), '/', name));
      }
    });
    const status = async (): Promise<readonly unknown[]> =>
      json((await scan.daemontap('status', '--json')).stdout).map(({ state }) => state);
    const all = (state: string): readonly string[] => names.map(() => state);
    await until(async () => JSON.stringify(await status()) === JSON.stringify(all('up')), {
      describe: 'all are up',
      state: status,
    });
    const stopped = await scan.daemontap('stop', '--wait', ...names);
    expect([stopped.code, stopped.stderr, stopped.stdout.split('\n').length]).toEqual([0, '', names.length + 1]);
    expect(await status()).toEqual(all('down'));
    const paths = names.map((name) => joinBytes('./', name));
    expect(await scan.daemontap('start', '--wait', ...paths)).toMatchObject({ code: 0, stderr: '' });
    expect(await status()).toEqual(all('up'));
  });
});

describe.concurrent('whoever supervises', () => {
  /** Three services that nobody supervises, and the command beside the scan directory. */
  const unsupervised = () => {
    const here = temporaryDirectory();
    for (const name of ['finger', 'finger/log', 'mail']) here.makeService(join('service', name));
    here.makeDirectory('service/no-service');
    const env = { ...cleanEnvironment, DAEMONTAP_RUNTIME_DIR: here.join('runtime') };
    return {
      here,
      env,
      daemontap: (...words: readonly Argument[]) => run([program, ...words], { cwd: here.join('service'), env }),
      [Symbol.asyncDispose]: () => here[Symbol.asyncDispose](),
    };
  };

  test.each([
    [['stop'], 100, 'unable to stop: no service is named; --all stands for all of them'],
    [['restart', '--all', 'mail'], 100, 'unable to restart: services are named, and --all'],
    [
      ['stop', 'mail', '--timeout', 'soon'],
      100,
      'unable to use --timeout soon: it must be a number of seconds, above 0',
    ],
    [['stop', 'mail', '--timeout', '0'], 100, 'unable to use --timeout 0: it must be a number of seconds, above 0'],
    [['status', '--dir', '/nonexist'], 111, 'unable to chdir to /nonexist: file does not exist'],
    [['status', '--dir', '/etc/passwd'], 111, 'unable to chdir to /etc/passwd: not a directory'],
    [['status', '--config', '/nonexist.json'], 100, '/nonexist.json: unable to read file: file does not exist'],
    [['status', './nonexist'], 4, 'unable to find ./nonexist: there is no such service in HERE/service'],
    [['status', '/nonexist/finger'], 4, 'unable to find /nonexist/finger: there is no such service in /nonexist'],
    [['status', ''], 4, "unable to find '': there is no such service in HERE/service"],
    [['status', 'no-service/log'], 4, 'unable to find no-service/log: there is no such service in HERE/service'],
    [
      ['status', '../service'],
      4,
      'unable to find a service ../service: it holds services (did you mean --dir ../service?)',
    ],
    [['start', 'mail'], 111, 'unable to start mail: supervise not running'],
    [['stop', '--wait', 'mail'], 111, 'unable to stop mail: supervise not running'],
    [['start', 'no-service'], 111, 'unable to start no-service: supervise not running'],
  ] as const)('%j is refused', async (words, code, message) => {
    await using place = unsupervised();
    const said = `daemontap: fatal: ${message.replace('HERE', place.here.path)}\n`;
    expect(await place.daemontap(...words)).toEqual(outcome(code, '', said));
  });

  test('of services that nobody supervises status says so', async () => {
    await using place = unsupervised();
    const table = /^service +state +pid +for\n(finger|finger\/log|mail) +not supervised\n(.* not supervised\n){2}$/;
    expect(await place.daemontap('status')).toEqual(outcome(4, table));
    expect(json((await place.daemontap('status', 'mail', '--json')).stdout)).toEqual([
      {
        ...{ name: 'mail', role: 'service', identity: expect.any(String), state: 'unsupervised' },
        ...{ pid: null, paused: null, want: null, since: null, sinceNs: null, forMs: null },
        ...{ startDue: null, leaving: null, normally: 'up', reason: null, directory: './mail', by: 'files' },
      },
    ]);
  });

  test('one name that is wrong, and nothing is told to the others; the nearest name is told', async () => {
    await using place = unsupervised();
    using control = heldFifo(place.here.join('service/mail/supervise/control'));
    expect(await place.daemontap('stop', 'mail', 'finge')).toEqual(
      outcome(100, '', /unable to find finge: there is no such service in \/.*\/service \(did you mean finger\?\)\n$/),
    );
    expect(control.read()).toBe('');
    expect(await place.daemontap('stop', 'mail')).toEqual(outcome(0, 'mail: told to stop\n'));
    expect(control.read()).toBe('d');
  });

  test('a control FIFO that is full is not waited for without an end', async () => {
    await using place = unsupervised();
    using control = heldFifo(place.here.join('service/mail/supervise/control'));
    control.fill();
    expect(await place.daemontap('stop', 'mail')).toEqual(
      outcome(111, '', 'daemontap: fatal: unable to stop mail: nobody reads supervise/control, and it is full\n'),
    );
  });

  test('the scan directory is --dir, or else $DAEMONTAP_SCAN_DIR, of any bytes, or else the current one', async () => {
    await using place = unsupervised();
    const { here, env } = place;
    const bytes = joinBytes(here.path, '/', Uint8Array.of(0xff));
    mkdirSync(joinBytes(bytes, '/other/supervise'), { recursive: true });
    const names = async (argv: readonly Argument[], cwd: string): Promise<readonly unknown[]> =>
      json((await run(argv, { cwd, env })).stdout).map(({ name }) => name);
    const all = ['finger', 'finger/log', 'mail'];
    const command = [program, 'status', '--json'];
    expect(await names(command, here.join('service'))).toEqual(all);
    expect(await names([...command, '--dir', here.join('service')], '/')).toEqual(all);
    expect(await names([...command, '--dir', bytes], '/')).toEqual(['other']);
    const variable = joinBytes('DAEMONTAP_SCAN_DIR=', bytes);
    expect(await names(['/usr/bin/env', variable, ...command], here.join('service'))).toEqual(['other']);
    expect(await names(['/usr/bin/env', variable, ...command, '--dir', 'service'], here.path)).toEqual(all);
  });

  test('a directory without services is taken for a mistake', async () => {
    await using place = unsupervised();
    const said = `daemontap: fatal: unable to find services in ${place.here.path}: --dir names the scan directory\n`;
    for (const words of [['status'], ['stop', '--all']])
      expect(await run([program, ...words], { cwd: place.here.path })).toEqual(outcome(111, '', said));
  });

  test('what is asked through sockets is loaded when somebody asks', async () => {
    await using here = temporaryDirectory();
    const hook = here.join('hook.cjs');
    const isLoaded = "process.moduleLoadList.includes('NativeModule _http_client')";
    writeFileSync(hook, `process.on('exit', () => require('fs').writeSync(2, String(${isLoaded})));`);
    const bundle = join(ours.programDir, '../dist/daemontap.cjs');
    const env = { ...cleanEnvironment, DAEMONTAP_NAME: 'daemontap' };
    const loads = async (...words: readonly string[]): Promise<string> =>
      (await run([process.execPath, '--require', hook, bundle, ...words], { cwd: here.makeDirectory('service'), env }))
        .stderr;
    expect(await loads('--help')).toBe('false');
    expect(await loads('status')).toMatch(/true$/);
  });

  test('a reader that goes away is no trouble', async () => {
    await using place = unsupervised();
    const script = `{ ${program} status; echo $? >code; } | :; cat code`;
    const { stdout, stderr } = await run(['/bin/sh', '-c', script], { cwd: place.here.join('service') });
    expect([['141\n', '4\n'].includes(stdout), stderr]).toEqual([true, '']);
  });

  test.skipIf(!hasScript)('colours are for terminals, unless NO_COLOR is set', async () => {
    await using place = unsupervised();
    const onTerminal = async (env: Readonly<Record<string, string>>): Promise<string> => {
      const words = ['/usr/bin/script', '-qec', `${program} status mail`, '/dev/null'];
      return (await run(words, { cwd: place.here.join('service'), env: { ...place.env, TERM: 'xterm', ...env } }))
        .stdout;
    };
    expect(await onTerminal({})).toContain('\x1b[31mnot supervised\x1b[39m');
    expect(await onTerminal({ NO_COLOR: '1' })).not.toContain('\x1b');
    expect(await onTerminal({ TERM: 'dumb' })).not.toContain('\x1b');
  });
});

describe.concurrent.each(withSocket)('$name, through its socket', (scanner) => {
  const silent = (scan: Place): string =>
    `daemontap: warning: unable to ask through ${socketOf(scan)}: no answer for 2 seconds; going by the files in supervise/\n`;

  test('it needs no file of the service', async () => {
    await using scan = place(scanner, ({ make }) => ['a', 'a/log'].forEach((name) => make(name)));
    const [pid, log] = await Promise.all([scan.up('a'), scan.up('a/log')]);
    for (const name of ['a', 'a/log']) renameSync(scan.path(name, 'supervise'), scan.path(name, 'elsewhere'));
    const shown = json((await scan.daemontap('status', '--json')).stdout);
    expect(shown).toMatchObject([
      { pid, by: 'kernel' },
      { pid: log, by: 'kernel' },
    ]);
    expect(await scan.daemontap('stop', 'a', 'a/log', '--wait')).toMatchObject({ code: 0, stderr: '' });
    expect(json((await scan.daemontap('status', '--json')).stdout)).toMatchObject([
      { state: 'down' },
      { state: 'down' },
    ]);
  });

  test('it says why a start fails', async () => {
    await using scan = place(scanner, ({ make, path }) => {
      make('fails', 'exit 3');
      make('killed', 'kill -9 $$');
      make('no-run');
      rmSync(path('no-run/run'));
    });
    await until(() => scan.record('no-run'), { describe: 'it is supervised' });
    const { code, stdout, stderr } = await scan.daemontap('start', '--all', '--timeout', '3.2');
    expect([
      code,
      stdout,
      ...stderr
        .replaceAll(/\d times/g, 'N times')
        .split('\n')
        .toSorted(),
    ]).toEqual([
      ...[111, '', ''],
      'daemontap: fatal: unable to start fails: it was started N times in 3.2 seconds and does not stay up: it ended with exit code 3',
      'daemontap: fatal: unable to start killed: it was started N times in 3.2 seconds and does not stay up: it ended by SIGKILL',
      'daemontap: fatal: unable to start no-run: still down after 3.2 seconds: unable to run it: file does not exist',
    ]);
  });

  test('a kernel that does not answer is done without', async () => {
    await using scan = place(scanner, ({ make }) => void make('a'));
    const pid = await scan.up('a');
    process.kill(scan.svscan.pid, 'SIGSTOP');
    try {
      const { code, stdout, stderr } = await scan.daemontap('status', '--json');
      expect([code, json(stdout), stderr]).toMatchObject([0, [{ state: 'up', pid, by: 'files' }], silent(scan)]);
      expect(await scan.daemontap('stop', 'a', '--timeout', '0.5')).toEqual(
        outcome(
          111,
          '',
          `${silent(scan)}daemontap: fatal: unable to stop a: still up (pid ${pid}) after 0.5 seconds\n`,
        ),
      );
    } finally {
      process.kill(scan.svscan.pid, 'SIGCONT');
    }
    await scan.down('a');
  });

  test('a kernel that is killed while it is waited for is done without, until the next one has done it', async () => {
    await using scan = place(
      scanner,
      ({ make }) => void make('slow', 'trap "sleep 4; exit" TERM; : >ready; while :; do sleep 0.1; done'),
    );
    await scan.up('slow');
    await until(() => existsSync(scan.path('slow/ready')), { describe: 'it takes TERM' });
    const stopping = scan.daemontap('stop', 'slow', '--wait', '--timeout', '30');
    await until(() => scan.record('slow')?.want === 'down', { describe: 'it was told' });
    process.kill(scan.svscan.pid, 'SIGKILL');
    await scan.svscan.exit;
    await using next = start([program, 'up', scan.path()], {
      cwd: scan.here.path,
      env: serverEnvironment(scanner.server, scan.here),
    });
    expect(next.pid).not.toBe(scan.svscan.pid);
    expect(await stopping).toEqual(
      outcome(
        0,
        'slow: down\n',
        /^daemontap: warning: unable to follow what becomes of services: .*; going by the files in supervise\/\n$/,
      ),
    );
  });

  test('a dead socket is none, also where the configuration names another', async () => {
    await using scan = place({ ...scanner, options: {} }, ({ make }) => void make('a'));
    await scan.up('a');
    process.kill(scan.svscan.pid, 'SIGKILL');
    await scan.svscan.exit;
    configure(scan.path(), { path: scan.here.join('nobody') });
    expect(await scan.daemontap('status', 'a')).toEqual(outcome(4, /not supervised/));
  });

  test('a socket elsewhere is found by the configuration', async () => {
    await using scan = place(scanner, ({ make, path, here }) => {
      make('a');
      configure(path(), { path: here.join('elsewhere') });
    });
    await scan.up('a');
    await until(() => existsSync(scan.here.join('elsewhere')), { describe: 'it listens' });
    const asked = async (...words: readonly string[]): Promise<unknown> =>
      json((await scan.daemontap('status', '--json', ...words)).stdout)[0]?.['by'];
    expect(await asked()).toBe('kernel');
    expect(await asked('--config', scan.path('daemontap.config.json'))).toBe('kernel');
    writeFileSync(scan.path('daemontap.config.json'), '{ "plugins": [');
    expect(await asked()).toBe('files');
  });

  test('a service whose directory was taken away can be told by its name', async () => {
    await using scan = place(scanner, ({ make }) => void make('gone'));
    const pid = await scan.up('gone');
    renameSync(scan.path('gone'), scan.here.join('gone'));
    expect(json((await scan.daemontap('status', '--json')).stdout)).toMatchObject([
      { name: 'gone', pid, by: 'kernel' },
    ]);
    expect(await scan.daemontap('stop', 'gone', '--wait')).toEqual(outcome(0, 'gone: down\n'));
  });

  test('one that was renamed is known by its new name', async () => {
    await using scan = place(scanner, ({ make }) => void make('old'));
    const pid = await scan.up('old');
    renameSync(scan.path('old'), scan.path('new'));
    expect(json((await scan.daemontap('status', '--json')).stdout)).toMatchObject([{ name: 'new', pid, by: 'kernel' }]);
    expect(await scan.daemontap('stop', 'new', '--wait')).toEqual(outcome(0, 'new: down\n'));
  });
});

describe.runIf(canBeNobody).concurrent('as an ordinary account', () => {
  test("services of one's own are shown and told, root's are not", async () => {
    await using scan = place(scanners[0] ?? expect.fail('no svscan'), ({ make }) =>
      ['mine', 'roots'].forEach((name) => make(name)),
    );
    await Promise.all([scan.up('mine'), scan.up('roots')]);
    execFileSync('chown', ['-R', '65534:65534', scan.path('mine')]);
    const asked = (...words: readonly string[]): Promise<Outcome> =>
      run(asNobody([program, ...words]), { cwd: scan.path() });
    const { code, stdout } = await asked('status', '--json');
    expect([code, json(stdout)]).toMatchObject([
      111,
      [
        { name: 'mine', state: 'up', pid: scan.record('mine')?.pid },
        { name: 'roots', state: 'unknown', pid: null, reason: 'unable to open supervise/ok: access denied' },
      ],
    ]);
    expect((await asked('status', 'mine')).code).toBe(0);
    expect(await asked('stop', 'mine', 'roots', '--wait')).toEqual(
      outcome(111, 'mine: down\n', 'daemontap: fatal: unable to stop roots: access denied\n'),
    );
    expect(scan.record('roots')).toMatchObject({ want: 'up' });
  });

  test('a service directory that may not be entered is unknown', async () => {
    await using here = temporaryDirectory();
    chmodSync(here.makeService('service/closed'), 0o700);
    const { code, stdout } = await run(asNobody([program, 'status', 'closed']), { cwd: here.join('service') });
    expect([code, masked(stdout)[1]]).toEqual([111, 'closed unknown unable to chdir: access denied']);
  });

  test.each(withSocket)('who may use the socket needs no right to the files', async (scanner) => {
    await using scan = place({ ...scanner, options: { users: ['nobody'] } }, ({ make }) => void make('roots'));
    const pid = await scan.up('roots');
    await until(() => existsSync(socketOf(scan)), { describe: 'it listens' });
    const asked = (...words: readonly string[]): Promise<Outcome> =>
      run(asNobody([program, ...words, '--runtime-dir', scan.here.join('runtime')]), { cwd: scan.path() });
    expect(json((await asked('status', '--json')).stdout)).toMatchObject([{ name: 'roots', pid, by: 'kernel' }]);
    expect(await asked('restart', 'roots', '--wait')).toEqual(
      outcome(0, `roots: up (pid ${await scan.up('roots', pid)})\n`),
    );
  });

  test.each(withSocket)(
    'who may not use the socket is told so, and goes by the files where these permit it',
    async (scanner) => {
      await using scan = place({ ...scanner, options: { mode: '0666' } }, ({ make }) =>
        ['open', 'closed'].forEach((name) => make(name)),
      );
      await Promise.all([scan.up('open'), scan.up('closed')]);
      await until(() => existsSync(socketOf(scan)), { describe: 'it listens' });
      for (const [path, mode] of [
        ['', 0o755],
        ['control', 0o666],
        ['ok', 0o666],
      ] as const)
        chmodSync(scan.path('open/supervise', path), mode);
      const warned = `daemontap: warning: unable to ask through ${socketOf(scan)}: .+; going by the files in supervise/\n`;
      const asked = (...words: readonly string[]): Promise<Outcome> =>
        run(asNobody([program, ...words, '--runtime-dir', scan.here.join('runtime')]), { cwd: scan.path() });
      expect(await asked('stop', 'open', 'closed', '--wait')).toEqual(
        outcome(111, 'open: down\n', new RegExp(`^${warned}daemontap: fatal: unable to stop closed: access denied\n$`)),
      );
      chmodSync(socketOf(scan), 0o600);
      expect(await asked('status', 'open')).toEqual(
        outcome(3, /^open +down /m, new RegExp(`^${warned.replace('.+', 'access denied')}$`)),
      );
    },
  );

  test.each([
    [1, 'not supervised'],
    [65_534, 'up'],
  ])(
    "a socket of user id %d where a kernel would have it is believed only if it is ours or root's: %s",
    async (uid, state) => {
      await using here = temporaryDirectory();
      here.makeService('service/a');
      const scanDir = here.join('service');
      const socketPath = join(here.makeDirectory(`runtime/${fileIdentity(scanDir)}/control-socket`), 'http');
      const times = { since: '', sinceNs: '1', forMs: 1 };
      const told = {
        name: 'a',
        role: 'service',
        identity: fileIdentity(join(scanDir, 'a')),
        state: 'up',
        pid: 7,
        want: 'up',
      };
      const services = [{ ...told, ...times, paused: false, startDue: false, leaving: false }];
      const server = createServer((_request, response) => response.end(JSON.stringify({ version: 1, services })));
      await new Promise<void>((resolve) => server.listen(socketPath, resolve));
      try {
        chmodSync(socketPath, 0o666);
        chownSync(socketPath, uid, uid);
        const words = [program, 'status', 'a', '--runtime-dir', here.join('runtime')];
        expect(masked((await run(asNobody(words), { cwd: scanDir })).stdout)[1]).toMatch(new RegExp(`^a ${state}`));
      } finally {
        server.closeAllConnections();
        server.close();
      }
    },
  );
});
