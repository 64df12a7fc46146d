/** Every command in every state of a service, and what svstat makes of it: sections 2.5, 2.6 and 5 of the contract. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { daemontap, implementations, supervisors } from './support/implementations.ts';
import { run } from './support/run.ts';
import { endsAtOnce, ignoresTerm, logsSignals } from './support/runs.ts';
import { start } from './support/start.ts';
import { clientsIn, linesOf, ourScanners, processState, readRecord } from './support/supervised.ts';
import { scanCombinations, scanDirectory } from './support/supervised.ts';
import type { ScanDirectory } from './support/supervised.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

// Services are waited for most of the time, C's svscan for up to five seconds.
vi.setConfig({ maxConcurrency: 14 });

const letters = ['u', 'd', 'o', 'p', 'c', 'h', 'a', 'i', 't', 'k', 'x'] as const;
type Letter = (typeof letters)[number];

/** What a service has become: its events since, which process it is, what is wanted, how it stands. */
type Outcome = `${string}; ${'same' | 'new' | 'down'} ${'up' | 'down' | 'once'}${'' | ' paused' | ' paused, stopped'}`;

interface Case {
  readonly state: string;
  readonly command: string;
  readonly ignoresTerm?: true;
  /** Brings eleven services there, named after the letters. */
  reach(scan: ScanDirectory, names: readonly string[]): Promise<void>;
  /** What each command makes of it. */
  readonly outcomes: Readonly<Record<Letter, Outcome>>;
  readonly says: Readonly<Partial<Record<Letter, string>>>;
}

const all = async (names: readonly string[], body: (name: string) => Promise<unknown>): Promise<void> => {
  await Promise.all(names.map(body));
};
const isUp = (scan: ScanDirectory, names: readonly string[]): Promise<void> =>
  all(names, async (name) => {
    await scan.up(name);
    await until(() => linesOf(scan.path(name, 'events')).length > 0, { describe: `${name} takes signals` });
  });
const becomes = (scan: ScanDirectory, names: readonly string[], what: Partial<ReturnType<typeof readRecord>>) =>
  all(names, (name) =>
    until(
      () => Object.entries(what ?? {}).every(([key, value]) => Reflect.get(scan.record(name) ?? {}, key) === value),
      {
        describe: `${name} is ${JSON.stringify(what)}`,
        state: () => scan.record(name),
      },
    ),
  );

const cases: readonly Case[] = [
  {
    state: 'up',
    command: logsSignals(),
    reach: isUp,
    outcomes: {
      u: '; same up',
      d: 'TERM; down down',
      o: '; same once',
      p: '; same up paused, stopped',
      c: 'CONT; same up',
      h: 'HUP; same up',
      a: 'ALRM; same up',
      i: 'INT; same up',
      t: 'TERM start; new up',
      k: 'start; new up',
      x: '; same up',
    },
    says: { d: 'down N seconds, normally up', o: 'up (pid N) N seconds', p: 'up (pid N) N seconds, paused' },
  },
  {
    state: 'paused',
    command: logsSignals(),
    async reach(scan, names) {
      await isUp(scan, names);
      await scan.svc('-p', ...names);
      await becomes(scan, names, { paused: true });
      await all(names, (name) =>
        until(() => processState(scan.record(name)?.pid ?? 0) === 'T', { describe: `${name} is stopped` }),
      );
    },
    outcomes: {
      u: '; same up paused, stopped',
      d: 'TERM; down down',
      o: '; same once paused, stopped',
      p: '; same up paused, stopped',
      c: 'CONT; same up',
      h: '; same up paused, stopped',
      a: '; same up paused, stopped',
      i: '; same up paused, stopped',
      t: '; same up paused, stopped',
      k: 'start; new up',
      x: '; same up paused, stopped',
    },
    says: { c: 'up (pid N) N seconds', t: 'up (pid N) N seconds, paused', k: 'up (pid N) N seconds' },
  },
  {
    state: 'down by -d',
    command: logsSignals(),
    async reach(scan, names) {
      await isUp(scan, names);
      await scan.svc('-d', ...names);
      await becomes(scan, names, { pid: 0, want: 'down' });
    },
    outcomes: {
      u: 'start; new up',
      d: '; down down',
      o: 'start; new once',
      p: '; down down',
      c: '; down down',
      h: '; down down',
      a: '; down down',
      i: '; down down',
      t: '; down down',
      k: '; down down',
      x: 'start; new up', // its supervise exits, and a new one looks for the `down` file, which is not there
    },
    says: { u: 'up (pid N) N seconds', p: 'down N seconds, normally up', o: 'up (pid N) N seconds' },
  },
  {
    state: 'down by a `down` file',
    command: logsSignals(),
    async reach(scan, names) {
      await becomes(scan, names, { pid: 0, want: 'down' });
      await all(names, (name) => until(() => existsSync(scan.path(name, 'supervise/ok')), { describe: 'it is ready' }));
    },
    outcomes: {
      u: 'start; new up',
      d: '; down down',
      o: 'start; new once',
      p: '; down down',
      c: '; down down',
      h: '; down down',
      a: '; down down',
      i: '; down down',
      t: '; down down',
      k: '; down down',
      x: '; down down',
    },
    says: { u: 'up (pid N) N seconds, normally down', o: 'up (pid N) N seconds, normally down', k: 'down N seconds' },
  },
  {
    state: 'once',
    command: logsSignals(),
    async reach(scan, names) {
      await isUp(scan, names);
      await scan.svc('-o', ...names);
      await becomes(scan, names, { want: 'once' });
    },
    outcomes: {
      u: '; same up',
      d: 'TERM; down down',
      o: '; same once',
      p: '; same once paused, stopped',
      c: 'CONT; same once',
      h: 'HUP; same once',
      a: 'ALRM; same once',
      i: 'INT; same once',
      t: 'TERM; down once',
      k: '; down once',
      x: '; same once',
    },
    says: { t: 'down N seconds, normally up', u: 'up (pid N) N seconds', c: 'up (pid N) N seconds' },
  },
  {
    state: 'wanted down but ignoring TERM',
    command: logsSignals({ ignoresTerm: true }),
    async reach(scan, names) {
      await isUp(scan, names);
      await scan.svc('-d', ...names);
      await becomes(scan, names, { want: 'down' });
      await all(names, (name) =>
        until(() => linesOf(scan.path(name, 'events')).includes('CONT'), { describe: `${name} has got TERM and CONT` }),
      );
    },
    outcomes: {
      u: '; same up',
      d: 'TERM CONT; same down',
      o: '; same once',
      p: '; same down paused, stopped',
      c: 'CONT; same down',
      h: 'HUP; same down',
      a: 'ALRM; same down',
      i: 'INT; same down',
      t: 'TERM; same down',
      k: '; down down',
      x: '; same down',
    },
    says: {
      u: 'up (pid N) N seconds',
      d: 'up (pid N) N seconds, want down',
      o: 'up (pid N) N seconds',
      p: 'up (pid N) N seconds, paused, want down',
      k: 'down N seconds, normally up',
    },
  },
];

describe.concurrent.each(scanCombinations)('commands ($title)', (combination) => {
  test.each(cases)('each command does to a service that is $state what the contract says', async (given) => {
    const withDown = given.state.includes('file');
    await using scan = scanDirectory(combination, {
      prepare({ make, path }) {
        for (const letter of letters) {
          make(letter, given.command);
          if (withDown) writeFileSync(path(letter, 'down'), '');
        }
      },
    });
    await given.reach(scan, letters);
    const before = new Map(
      letters.map((name) => [name, { ...scan.record(name), events: linesOf(scan.path(name, 'events')).length }]),
    );
    const observe = (name: Letter): string => {
      const [now, was] = [scan.record(name), before.get(name)];
      const process = now === undefined || now.pid === 0 ? 'down' : now.pid === was?.pid ? 'same' : 'new';
      const paused = now?.paused === true ? ' paused' : '';
      const stopped = now !== undefined && processState(now.pid) === 'T' ? ', stopped' : '';
      return `${linesOf(scan.path(name, 'events')).slice(was?.events).join(' ')}; ${process} ${now?.want}${paused}${stopped}`;
    };
    await all(letters, (letter) => scan.svc(`-${letter}`, letter));
    const holds = (letter: Letter): Promise<boolean> =>
      until(() => observe(letter) === given.outcomes[letter], {
        describe: `-${letter} has made of it "${given.outcomes[letter]}"`,
        state: () => [observe(letter), scan.svscan.stderr()],
      });
    await Promise.all(letters.map(holds));
    for (const [letter, line] of Object.entries(given.says)) await scan.says(letter, line);
    // Nothing more follows: a later command is carried out, and all else is as it was.
    const steady = letters.filter((letter) => letter !== 'x'); // there a new supervise may still have to come
    const versions = new Map<string, string | undefined>(steady.map((name) => [name, scan.record(name)?.version]));
    await scan.svc('-p', ...steady);
    await all(steady, (name) =>
      until(() => scan.record(name)?.version !== versions.get(name), { describe: `${name} has got -p` }),
    );
    const plain = (text: string): string => text.replace(/ paused.*/, '');
    for (const letter of steady)
      expect([letter, plain(observe(letter))]).toEqual([letter, plain(given.outcomes[letter])]);
    expect(scan.svscan.stderr()).toBe('');
  });

  test('a service that ends at once is started once a second, whatever is said short of -d, -o and -x', async () => {
    await using scan = scanDirectory(combination, {
      prepare: ({ make }) => letters.forEach((letter) => make(letter, endsAtOnce)),
    });
    const starts = (name: string): readonly number[] => linesOf(scan.path(name, 'starts')).map(Number);
    const startsAgain = (name: string, count: number): Promise<boolean> =>
      until(() => starts(name).length >= count, {
        describe: `${name} has been started ${count} times`,
        state: () => starts(name),
      });
    await all(letters, (letter) => startsAgain(letter, 2));
    // With a `down` file the supervise that comes after the one that has left starts nothing.
    writeFileSync(scan.path('x', 'down'), '');
    await all(letters, (letter) => scan.svc(`-${letter}`, letter));
    await scan.svc('-uuuu', 'u');
    await scan.svc('-c', 'p'); // it may have been stopped in the moment that it lived
    await scan.down('d');
    await scan.down('o', 'once');
    await scan.down('x');
    await scan.says('d', 'down N seconds, normally up');
    await scan.says('o', 'down N seconds, normally up');
    await scan.says('x', 'down N seconds'); // left, and supervised again by the next scan
    const ended = ['d', 'o', 'x'].map((name) => starts(name).length);
    const others = letters.filter((letter) => !'dox'.includes(letter));
    await all(others, (letter) => startsAgain(letter, starts(letter).length + 3));
    expect(['d', 'o', 'x'].map((name) => starts(name).length)).toEqual(ended);
    for (const letter of others) {
      const [first = 0, ...more] = starts(letter);
      // The starts are a second apart; their own times waver with the load of the machine.
      expect((more.at(-1) ?? 0) - first).toBeGreaterThan(more.length - 0.5);
    }
  });

  test('several commands and several directories in one call, and the exit that -x asks for', async () => {
    const names = ['dx', 'xd', 'ox', 'du', 'xu', 'oo', 'pd'];
    await using scan = scanDirectory(combination, {
      prepare({ make }) {
        for (const name of names) make(name, logsSignals());
      },
    });
    await isUp(scan, names);
    // A `down` file tells the supervise that follows after an exit from the one that stays.
    for (const name of ['dx', 'xd', 'ox', 'xu']) writeFileSync(scan.path(name, 'down'), '');
    const before = new Map(names.map((name) => [name, scan.record(name)?.pid]));
    await all(names.slice(0, 4), (name) => scan.svc(`-${name}`, name));
    await scan.svc('-x', 'xu');
    await scan.svc('-u', 'xu');
    await scan.svc('-o', '-p', '-c', 'oo', 'pd');
    await scan.svc('-pd', 'pd');
    await becomes(scan, ['dx', 'xd'], { pid: 0, want: 'down' });
    await scan.down('pd');
    await scan.up('du', before.get('du'));
    await becomes(scan, ['oo'], { pid: before.get('oo') ?? 0, want: 'once', paused: false });
    await becomes(scan, ['ox'], { pid: before.get('ox') ?? 0, want: 'once' });
    // `x` cannot be taken back: at its end the service is left, and the next supervise finds the `down` file.
    await becomes(scan, ['xu'], { pid: before.get('xu') ?? 0, want: 'up' });
    await scan.svc('-t', 'xu', 'ox');
    await becomes(scan, ['xu', 'ox'], { pid: 0, want: 'down' });
    // Those that were left are supervised again by the next scan.
    for (const name of ['dx', 'xd', 'ox', 'xu']) await scan.says(name, 'down N seconds');
    for (const name of ['du', 'oo']) await scan.says(name, 'up (pid N) N seconds');
    await scan.says('pd', 'down N seconds, normally up');
    const outcome = await scan.trySvc('-u', 'dx', 'nonexist', 'xd');
    expect(outcome).toEqual({
      code: 0,
      signal: undefined,
      stdout: '',
      stderr: 'svc: warning: unable to chdir to nonexist: file does not exist\n',
    });
    await scan.up('dx');
    await scan.up('xd');
  });

  test('a `d` and a `u` while it still ends make one restart', async () => {
    await using scan = scanDirectory(combination, {
      prepare: ({ make }) => make('a', 'trap "sleep 0.5; exit" TERM; echo x >>starts; while :; do sleep 0.05; done'),
    });
    const pid = await scan.up('a');
    await until(() => existsSync(scan.path('a', 'starts')), { describe: 'it has begun' });
    await scan.svc('-d', 'a');
    await scan.svc('-u', 'a');
    await scan.svc('-u', 'a');
    await scan.up('a', pid);
    await until(() => linesOf(scan.path('a', 'starts')).length === 2, { describe: 'it has been started again' });
    await scan.scanPasses();
    expect(linesOf(scan.path('a', 'starts'))).toHaveLength(2);
  });
});

describe.concurrent.each(supervisors)('supervise ($name)', (implementation) => {
  const client = implementations.find((each) => each !== implementation) ?? implementation;

  const supervised = (directory: string, cwd: string) => start([implementation.path('supervise'), directory], { cwd });

  test.each([
    ['no directory', []],
    ['two directories', ['a', 'b']],
  ])('%s is wrong use', async (_, words) => {
    expect(await run([implementation.path('supervise'), ...words])).toEqual({
      code: 100,
      signal: undefined,
      stdout: '',
      stderr: 'supervise: usage: supervise dir\n',
    });
  });

  test('of a directory that is not there ends with 111', async () => {
    expect(await run([implementation.path('supervise'), 'nonexist'])).toEqual({
      code: 111,
      signal: undefined,
      stdout: '',
      stderr: 'supervise: fatal: unable to chdir to nonexist: file does not exist\n',
    });
  });

  test.each(implementations)('of a directory that $name supervises already ends with 111', async (other) => {
    await using here = temporaryDirectory();
    here.makeService('a');
    await using first = start([other.path('supervise'), 'a'], { cwd: here.path });
    const pid = await until(() => readRecord(here.join('a'))?.pid || undefined, { describe: 'the first runs' });
    expect(await run([implementation.path('supervise'), 'a'], { cwd: here.path })).toEqual({
      code: 111,
      signal: undefined,
      stdout: '',
      stderr: 'supervise: fatal: unable to acquire a/supervise/lock: temporary failure\n',
    });
    expect(readRecord(here.join('a'))?.pid).toBe(pid);
    expect(first.stderr()).toBe('');
  });

  test.each([
    ['is missing', 'file does not exist', undefined, 0],
    ['is not executable', 'access denied', '#!/bin/sh\n', 0o644],
    ['has no interpreter line', 'exec format error', 'exec sleep 9\n', 0o755],
    ['has an interpreter that is not there', 'file does not exist', '#!/no/such\n', 0o755],
  ])('of a service whose run %s retries each second and exits 0 when asked', async (_, reason, content, mode) => {
    await using here = temporaryDirectory();
    mkdirSync(here.join('m'));
    if (content !== undefined) {
      writeFileSync(here.join('m/run'), content);
      chmodSync(here.join('m/run'), mode);
    }
    const line = `supervise: fatal: unable to start m/run: ${reason}\n`;
    await using supervise = supervised('m', here.path);
    await until(() => supervise.stderr().startsWith(line.repeat(2)), {
      describe: 'it has tried twice',
      state: supervise.stderr,
    });
    await clientsIn(client, here.path).svc('-dx', 'm');
    expect(await supervise.exit).toEqual({ code: 0, signal: undefined });
    // How often depends on when it was looked at, and the C program tries once more before it reads the command.
    expect(supervise.stderr()).toMatch(new RegExp(`^(${line}){2,}$`));
    expect(readRecord(here.join('m'))).toMatchObject({ pid: 0, want: 'down' });
  });

  test('makes the files of the contract, and with a `down` file runs the service once when asked to', async () => {
    await using here = temporaryDirectory();
    here.makeService('o', 'echo ran');
    writeFileSync(here.join('o/down'), '');
    await using supervise = supervised('o', here.path);
    const clients = clientsIn(client, here.path);
    await until(async () => (await clients.svok('o')) === 0, { describe: 'it is there' });
    expect(modesOf(here.join('o/supervise'))).toEqual(['700', 'control 600', 'lock 600 0', 'ok 600', 'status 644 18']);
    expect(readFileSync(here.join('o/supervise/status'), 'hex')).toMatch(/^40000000[0-9a-f]{16}000000000064$/);
    await clients.svc('-ox', 'o');
    expect(await supervise.exit).toEqual({ code: 0, signal: undefined });
    expect(supervise.stdout()).toBe('ran\n');
    expect(await clients.svok('o')).toBe(100);
    expect(await clients.svstat('o')).toEqual(['o: supervise not running']);
  });

  test('-x ends one whose service is down at once', async () => {
    await using here = temporaryDirectory();
    here.makeService('a');
    writeFileSync(here.join('a/down'), '');
    await using supervise = supervised('a', here.path);
    const clients = clientsIn(client, here.path);
    await until(async () => (await clients.svok('a')) === 0, { describe: 'it is there' });
    rmSync(here.join('a/down'));
    await clients.svc('-x', 'a');
    expect(await supervise.exit).toEqual({ code: 0, signal: undefined });
    expect(readRecord(here.join('a'))).toMatchObject({ pid: 0, want: 'down' });
  });

  test('goes on under its new name when its directory is renamed', async () => {
    await using here = temporaryDirectory();
    here.makeService('a');
    await using supervise = supervised('a', here.path);
    await until(() => (readRecord(here.join('a'))?.pid ?? 0) > 0, { describe: 'it runs' });
    const clients = clientsIn(client, here.path);
    await run(['mv', 'a', 'b'], { cwd: here.path });
    await clients.says('b', 'up (pid N) N seconds');
    await clients.svc('-d', 'b');
    await clients.says('b', 'down N seconds, normally up');
    await clients.svc('-x', 'b');
    expect(await supervise.exit).toEqual({ code: 0, signal: undefined });
    expect(supervise.stderr()).toBe('');
  });
});

describe.concurrent('where daemontap departs', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s makes supervise end its service and exit 0, as -dx', async (signal) => {
    await using here = temporaryDirectory();
    here.makeService('a', logsSignals());
    await using supervise = start([daemontap.path('supervise'), 'a'], { cwd: here.path });
    await until(() => linesOf(here.join('a/events')).includes('start'), { describe: 'it runs' });
    process.kill(supervise.pid, signal);
    expect(await supervise.exit).toEqual({ code: 0, signal: undefined });
    expect(linesOf(here.join('a/events'))).toEqual(['start', 'TERM']);
    expect(readRecord(here.join('a'))).toMatchObject({ pid: 0, want: 'down' });
    expect(supervise.pids()).toEqual([]);
  });

  test('HUP changes nothing about supervise and its service: a closed terminal ends neither', async () => {
    await using here = temporaryDirectory();
    here.makeService('a', logsSignals());
    await using supervise = start([daemontap.path('supervise'), 'a'], { cwd: here.path });
    await until(() => linesOf(here.join('a/events')).includes('start'), { describe: 'it runs' });
    const pid = await until(() => readRecord(here.join('a'))?.pid || undefined, { describe: 'its status says so' });
    for (let count = 0; count < 3; count++) process.kill(supervise.pid, 'SIGHUP');
    await clientsIn(daemontap, here.path).svc('-a', 'a');
    await until(() => linesOf(here.join('a/events')).includes('ALRM'), { describe: 'commands reach the service' });
    expect(linesOf(here.join('a/events'))).toEqual(['start', 'ALRM']);
    expect(readRecord(here.join('a'))).toMatchObject({ pid, want: 'up' });
    process.kill(supervise.pid, 'SIGTERM');
    expect(await supervise.exit).toEqual({ code: 0, signal: undefined });
    expect(supervise.stderr()).toBe('');
  });

  test('a `d` is never followed by one more start, and `x` with a restart pending leaves at once', async () => {
    await using here = temporaryDirectory();
    here.makeService('a', endsAtOnce);
    await using supervise = start([daemontap.path('supervise'), 'a'], { cwd: here.path });
    const starts = (): number => linesOf(here.join('a/starts')).length;
    await until(() => starts() >= 2, { describe: 'it runs a second time' });
    writeFileSync(here.join('a/supervise/control'), 'd');
    const isDown = (): boolean => {
      const record = readRecord(here.join('a'));
      return record?.want === 'down' && record.pid === 0;
    };
    await until(isDown, { describe: '-d is read, and it is down' });
    const before = starts();
    writeFileSync(here.join('a/supervise/control'), 'u');
    await until(() => starts() > before, { describe: 'it runs again, and not before' });
    writeFileSync(here.join('a/supervise/control'), 'x');
    expect(await supervise.exit).toEqual({ code: 0, signal: undefined });
    const after = starts();
    expect(supervise.pids()).toEqual([]);
    expect(starts()).toBe(after);
  });

  test.each(ourScanners)('a service that cannot be started is shown as down, and wanted up ($name)', async (ours) => {
    await using scan = scanDirectory(ours, { prepare: ({ path }) => mkdirSync(path('a')) });
    const tried = 'supervise: fatal: unable to start a/run: file does not exist\n';
    await until(() => scan.svscan.stderr().startsWith(tried.repeat(2)), { describe: 'it was tried twice' });
    expect(await scan.svstat('a')).toEqual(['a: down N seconds, normally up, want up']);
  });

  test.each(ourScanners)(
    'a service that ignores TERM is wanted down: commands are answered, nothing kills it ($name)',
    async (ours) => {
      await using scan = scanDirectory(ours, {
        env: { DAEMONTAP_STOP_TIMEOUT: '0.1' },
        prepare: ({ make }) => make('a', ignoresTerm),
      });
      const pid = await scan.up('a');
      await until(() => existsSync(scan.path('a/ready')), { describe: 'it ignores TERM' });
      await scan.svc('-d', 'a');
      await scan.says('a', 'up (pid N) N seconds, want down');
      await scan.scanPasses();
      expect(scan.record('a')).toMatchObject({ pid, want: 'down' });
    },
  );
});

describe.runIf(process.getuid?.() === 0).concurrent.each(ourScanners)('$name, started as root', (ours) => {
  test.each([
    ['of its own accord goes before its services', [], [-10, 0, 0]],
    ['by nice -n 1 has, and gives, what it was given', ['/usr/bin/nice', '-n', '1'], [1, 1, 1]],
  ] as const)('%s', async (_, through, expected) => {
    await using scan = scanDirectory(ours, {
      through,
      prepare({ make }) {
        make('a');
        make('a/log', 'exec cat >/dev/null');
      },
    });
    const pids = [scan.svscan.pid, await scan.up('a'), await scan.up('a/log')];
    expect(pids.map(niceOf)).toEqual(expected);
    process.kill(pids[1] ?? NaN, 'SIGKILL');
    expect(niceOf(await scan.up('a', pids[1]))).toBe(expected[1]);
  });
});

/** The mode of a directory, and of each file in it with its size; FIFOs have none that means anything. */
function modesOf(directory: string): readonly string[] {
  const mode = (path: string): string => (statSync(path).mode & 0o7777).toString(8);
  const size = (path: string): string => (statSync(path).isFIFO() ? '' : ` ${statSync(path).size}`);
  const files = readdirSync(directory).toSorted();
  return [
    mode(directory),
    ...files.map((name) => `${name} ${mode(`${directory}/${name}`)}${size(`${directory}/${name}`)}`),
  ];
}

function niceOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
}
