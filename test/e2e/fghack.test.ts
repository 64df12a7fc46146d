/** Services that put themselves into the background, followed by the plugin fghack: who is up, and who gets which signal. */
import { chmodSync, existsSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { configure, daemonScan, kill, lives, runs } from './support/daemons.ts';
import type { DaemonScan } from './support/daemons.ts';
import { implementations } from './support/implementations.ts';
import { asNobody, canBeNobody } from './support/nobody.ts';
import { run } from './support/run.ts';
import {
  childrenOf,
  linesOf,
  ourScanners,
  processState,
  scanCombinations,
  serverEnvironment,
} from './support/supervised.ts';
import { until } from './support/until.ts';

vi.setConfig({ maxConcurrency: 6 });

const isRoot = process.geteuid?.() === 0;
const canDrop = isRoot && existsSync('/usr/sbin/capsh');
if (!isRoot) console.log('skipped: daemons that change their account; they need root');
if (!canDrop) console.log('skipped: daemons that root may not look at; they need root and capsh');

const ups = scanCombinations.filter(({ isUp }) => isUp);
const [up = failing()] = ourScanners.filter(({ isUp }) => isUp);
function failing(): never {
  throw new Error('there is no daemontap up');
}

/** The programs that vouch for the plugin: those in C where they are installed. */
const programs = implementations.at(-1) ?? up.server;
/** What root is in a container: without the right to look at everybody's descriptors. */
const asInContainer = ['/usr/sbin/capsh', '--drop=cap_sys_ptrace', '--', '-c', 'exec "$0" "$@"'];
const accounts = [
  { who: 'root', options: {} },
  ...(canBeNobody ? [{ who: 'nobody', options: { through: asNobody([]).map(String), isNobodys: true } }] : []),
].filter(({ who }) => who === 'nobody' || isRoot);

const gone = (pid: number): Promise<unknown> => until(() => !lives(pid), { describe: `${pid} has ended` });
const signals = (scan: DaemonScan, name: string): readonly string[] =>
  scan.events(name).filter((line) => !line.includes(' pid '));
/** The ends that are on record, of all services. */
function endsOf(scan: DaemonScan): readonly string[] {
  const root = scan.here.join('runtime');
  const [own = ''] = readdirSync(root);
  const text = readFileSync(join(root, own, 'run-record/records'), 'latin1');
  return [...text.matchAll(/"ends":\[([^\]]*)\]/g)].map(([, ends = '']) => ends.replaceAll(/ \d+/g, ''));
}

describe.concurrent.each(ups)('a daemon that has forked twice ($title)', (driven) => {
  test.each(accounts)('is the service: svstat tells its pid, commands reach it ($who)', async ({ options }) => {
    await using scan = daemonScan(driven, { services: { a: runs.twice }, ...options });
    const pid = await scan.upAs('a');
    expect(await scan.svstat('a')).toEqual(['a: up (pid N) N seconds']);
    expect(scan.pids('a', 'first')).not.toContain(pid);
    await scan.svc('-h', 'a');
    await until(() => signals(scan, 'a').length === 1, { describe: 'it hears HUP' });
    await scan.svc('-p', 'a');
    await until(() => processState(pid) === 'T', { describe: 'it is stopped' });
    expect(await scan.svstat('a')).toEqual(['a: up (pid N) N seconds, paused']);
    await scan.svc('-ca', 'a');
    await until(() => signals(scan, 'a').length === 2, { describe: 'it hears ALRM' });
    await scan.svc('-d', 'a');
    await scan.down('a');
    await scan.says('a', 'down N seconds, normally up');
    expect([lives(pid), signals(scan, 'a'), scan.svscan.stderr()]).toEqual([
      false,
      ['daemon HUP', 'daemon ALRM', 'daemon TERM'],
      '',
    ]);
    // By its own code, not by that of the process that ./run was.
    expect(endsOf(scan)).toEqual(['"e7"']);
    await scan.svc('-u', 'a');
    await scan.upAs('a', 'daemon', 2);
  });

  test('is started again when it ends, and not when it is wanted once', async () => {
    await using scan = daemonScan(driven, { services: { a: runs.twice } });
    const pid = await scan.upAs('a');
    kill(pid, 'SIGKILL');
    const second = await scan.upAs('a', 'daemon', 2);
    await scan.svc('-o', 'a');
    kill(second, 'SIGTERM');
    await scan.down('a', 'once');
    expect(scan.pids('a', 'first')).toHaveLength(2);
    expect(endsOf(scan)).toEqual(['"e7","s9"']);
  });

  test('and is to leave is supervised until its end', async () => {
    await using scan = daemonScan(driven, { services: { a: runs.twice } });
    const pid = await scan.upAs('a');
    await scan.svc('-x', 'a');
    expect([await scan.svok('a'), lives(pid)]).toEqual([0, true]);
    await scan.svc('-d', 'a');
    // svscan begins anew with whatever lies in its directory.
    await scan.upAs('a', 'daemon', 2);
  });
});

describe.concurrent('a service of several daemons', () => {
  test('is up as one after the other, the oldest first, and ends with the last', async () => {
    await using scan = daemonScan(up, { services: { a: runs.three } });
    const first = await scan.upAs('a', 'daemon1');
    kill(first, 'SIGTERM');
    const second = await scan.upAs('a', 'daemon2');
    kill(second, 'SIGKILL');
    const third = await scan.upAs('a', 'daemon3');
    expect(scan.pids('a', 'first')).toHaveLength(1);
    kill(third, 'SIGTERM');
    await until(() => scan.pids('a', 'first').length === 2, { describe: 'it is started again' });
    expect(endsOf(scan)).toEqual(['"e7"']);
  });

  test('one that ends while another is the service changes nothing', async () => {
    await using scan = daemonScan(up, { services: { a: runs.three } });
    const first = await scan.upAs('a', 'daemon1');
    const [second = 0] = await until(() => scan.pids('a', 'daemon2').length > 0 && scan.pids('a', 'daemon2'), {
      describe: 'the second has begun',
    });
    kill(second, 'SIGKILL');
    await until(() => processState(second) === undefined, { describe: 'it is reaped' });
    expect([scan.record('a')?.pid, scan.pids('a', 'first').length]).toEqual([first, 1]);
  });

  test('is stopped by one svc -d, which tells each of them once', async () => {
    await using scan = daemonScan(up, { services: { a: runs.three } });
    await scan.upAs('a', 'daemon1');
    await until(() => scan.pids('a', 'daemon3').length === 1, { describe: 'all three have begun' });
    await scan.svc('-d', 'a');
    await scan.down('a');
    expect(signals(scan, 'a')).toEqual(['daemon1 TERM', 'daemon2 TERM', 'daemon3 TERM']);
  });

  test('is not restarted by what ends one of them, and restart --wait says so', async () => {
    await using scan = daemonScan(up, { services: { a: runs.three } });
    await scan.upAs('a', 'daemon1');
    await until(() => scan.pids('a', 'daemon3').length === 1, { describe: 'all three have begun' });
    const restart = [join(up.server.programDir, 'daemontap'), 'restart', 'a', '--timeout', '2'];
    const { code, stderr } = await run(restart, { cwd: scan.path(), env: serverEnvironment(up.server, scan.here) });
    const [second] = scan.pids('a', 'daemon2');
    const line = `daemontap: fatal: unable to restart a: still up (pid ${second}) after 2 seconds\n`;
    expect([code, stderr, scan.pids('a', 'first').length]).toEqual([111, line, 1]);
  });

  test('gets all other signals for the one alone that is the service', async () => {
    await using scan = daemonScan(up, { services: { a: runs.threeStaying } });
    const first = await scan.upAs('a', 'daemon1');
    await until(() => scan.pids('a', 'daemon3').length === 1, { describe: 'all three have begun' });
    await scan.svc('-t', 'a');
    await until(() => signals(scan, 'a').length === 1, { describe: 'it hears TERM' });
    await scan.svc('-k', 'a');
    await scan.upAs('a', 'daemon2');
    expect([lives(first), signals(scan, 'a')]).toEqual([false, ['daemon1 TERM']]);
  });

  test('is killed one after the other when svscan stops and they do not', async () => {
    await using scan = daemonScan(up, { services: { a: runs.threeStaying }, more: { stopTimeout: 0.5 } });
    await scan.upAs('a', 'daemon1');
    await until(() => scan.pids('a', 'daemon3').length === 1, { describe: 'all three have begun' });
    const pids = [1, 2, 3].flatMap((number) => scan.pids('a', `daemon${number}`));
    kill(scan.svscan.pid, 'SIGTERM');
    expect(await scan.svscan.exit).toEqual({ code: 0, signal: undefined });
    expect([pids.map(lives), signals(scan, 'a')[0]]).toEqual([[false, false, false], 'daemon1 TERM']);
    // More than once where KILL, or the word of it, takes more than half a second.
    expect(scan.svscan.stderr()).toContain('a has not ended for 0.5 seconds: killing it');
    expect(readdirSync(scan.here.join('runtime'))).toEqual([]);
  });
});

describe.concurrent('a daemon', () => {
  test.each([
    ['the first thousand', 3, 1000],
    ['all but the first ten', 11, 2000],
    ['those that Stevens closes', 0, 63],
  ])('that closes %s descriptors is followed', async (_what, from, to) => {
    await using scan = daemonScan(up, { services: { a: runs.closing(from, to) } });
    const pid = await scan.upAs('a');
    kill(pid, 'SIGTERM');
    await scan.upAs('a', 'daemon', 2);
  });

  test('that closes all of them is taken for ended, and started a second time', async () => {
    await using scan = daemonScan(up, { services: { a: runs.closing(3, 2000) } });
    await until(() => scan.pids('a', 'daemon').length >= 2, { describe: 'there are two' });
    const pids = scan.pids('a', 'daemon').filter(lives);
    expect(pids.length).toBeGreaterThan(1);
    await scan.svc('-d', 'a');
    await scan.down('a');
    for (const pid of scan.pids('a', 'daemon').filter(lives)) kill(pid, 'SIGKILL');
  });

  test('finds nothing else changed: the same descriptors but for the pipe, and its parent is svscan', async () => {
    await using scan = daemonScan(up, {
      services: { a: 'exec sleep 1000', b: 'exec sleep 1000', c: runs.twice },
      more: { services: { b: { fghack: { follow: false } } } },
    });
    const fds = async (name: string): Promise<readonly (readonly [number: number, link: string])[]> => {
      const dir = `/proc/${await scan.up(name)}`;
      const isThere = (): boolean =>
        readFileSync(`${dir}/comm`, 'latin1') === 'sleep\n' && processState(scan.record(name)?.pid ?? 0) === 'S';
      await until(isThere, { describe: `${name} sleeps: it loads no library any more` });
      const all = readdirSync(`${dir}/fd`).map((fd) => [Number(fd), readlinkSync(`${dir}/fd/${fd}`)] as const);
      return all.toSorted(([one], [other]) => one - other);
    };
    const [a, b] = [await fds('a'), await fds('b')];
    const isPipe = ([, link]: readonly [number, string]): boolean => /\/fghack\/pipe-\d+-\d+$/.test(link);
    expect(a.filter(isPipe).map(([fd]) => fd)).toEqual([10, 31, 63, 255, 1023]);
    expect(a.filter((each) => !isPipe(each))).toEqual(b);
    const pid = await scan.upAs('c');
    expect(childrenOf(scan.svscan.pid)).toContain(pid);
  });

  test('of a service that is not to be followed is nobody’s, and reaped when it ends', async () => {
    await using scan = daemonScan(up, {
      services: { a: runs.twice, b: runs.twice },
      plugins: [['fghack', { follow: false }]],
      more: { services: { b: { fghack: { follow: true } } } },
    });
    await scan.upAs('b');
    await until(() => scan.pids('a', 'first').length >= 2, { describe: 'it is started again and again' });
    await scan.svc('-d', 'a');
    await scan.down('a');
    const left = scan.pids('a', 'daemon').filter(lives);
    expect(left.length).toBeGreaterThan(0);
    for (const pid of left) kill(pid, 'SIGKILL');
    for (const pid of left) await until(() => processState(pid) === undefined, { describe: `${pid} is reaped` });
    expect(scan.record('b')?.pid).toBe(scan.pids('b', 'daemon').at(-1));
  });

  test('has its log, which is not followed itself', async () => {
    await using scan = daemonScan(up, {
      services: { a: `echo logged; ${runs.twice}`, 'a/log': 'ls -l /proc/$$/fd >fds; exec cat >>lines' },
    });
    const pid = await scan.upAs('a');
    expect(readFileSync(scan.path('a/log/fds'), 'latin1')).not.toContain('fghack');
    expect(linesOf(scan.path('a/log/lines'))).toEqual(['logged']);
    kill(scan.svscan.pid, 'SIGTERM');
    expect([await scan.svscan.exit, lives(pid)]).toEqual([{ code: 0, signal: undefined }, false]);
  });

  test.runIf(isRoot)('under an account and limits of its own is followed as any other', async () => {
    await using scan = daemonScan(up, {
      services: { a: runs.twice },
      plugins: ['fghack', ['setuidgid', { account: 'nobody' }], ['softlimit', { openFiles: 40, coreBytes: 0 }]],
    });
    const pid = await scan.upAs('a');
    const isPipe = (fd: string): boolean => readlinkSync(`/proc/${pid}/fd/${fd}`).includes('/fghack/pipe-');
    const numbers = readdirSync(`/proc/${pid}/fd`).filter(isPipe).map(Number);
    expect(numbers.toSorted((one, two) => one - two)).toEqual([10, 31]);
    await scan.svc('-d', 'a');
    await scan.down('a');
    expect(signals(scan, 'a')).toEqual(['daemon TERM']);
  });

  test.runIf(isRoot).each(['dropping', 'executing'] as const)(
    'that changes its account is followed (%s)',
    async (kind) => {
      await using scan = daemonScan(up, { services: { a: runs[kind] } });
      await scan.upAs('a');
      await scan.svc('-d', 'a');
      await scan.down('a');
      expect(signals(scan, 'a')).toEqual(['daemon TERM']);
    },
  );
});

describe.runIf(canDrop)('where root may not look at every process, as in a container', () => {
  test('a daemon that was executed under another account is followed', async () => {
    await using scan = daemonScan(up, { services: { a: runs.executing }, through: asInContainer });
    await scan.upAs('a');
    await scan.svc('-d', 'a');
    await scan.down('a');
    expect(signals(scan, 'a')).toEqual(['daemon TERM']);
  });

  test('one that has become another account is up until its end, and that nobody finds it is said', async () => {
    await using scan = daemonScan(up, { services: { a: runs.dropping }, through: asInContainer });
    const told = 'supervise: warning: fghack: unable to find the process of a: it may not be looked at\n';
    await until(() => scan.svscan.stderr().includes(told), { describe: 'it is said', state: scan.svscan.stderr });
    const [pid = 0] = scan.pids('a', 'daemon');
    const [first] = scan.pids('a', 'first');
    expect([scan.record('a')?.pid, lives(pid), scan.pids('a', 'first').length]).toEqual([first, true, 1]);
    kill(pid, 'SIGTERM');
    await until(() => scan.pids('a', 'first').length === 2, { describe: 'it is started again' });
  });

  test('it is given up by svc -dk, and svscan stops without it', async () => {
    await using scan = daemonScan(up, {
      services: { a: runs.dropping, b: runs.dropping },
      through: asInContainer,
      more: { stopTimeout: 0.5 },
    });
    for (const name of ['a', 'b']) {
      await until(() => scan.pids(name, 'daemon').length === 1, { describe: `${name} has a daemon` });
    }
    await scan.svc('-dk', 'a');
    await scan.down('a');
    kill(scan.svscan.pid, 'SIGTERM');
    expect(await scan.svscan.exit).toEqual({ code: 0, signal: undefined });
    for (const name of ['a', 'b']) {
      expect(scan.svscan.stderr()).toContain(`supervise: warning: unable to kill ${name}: nobody knows its process\n`);
      const [pid = 0] = scan.pids(name, 'daemon');
      expect(lives(pid)).toBe(true);
      kill(pid, 'SIGKILL');
      await gone(pid);
    }
  });
});

describe.concurrent.each([
  { kind: 'twice', names: ['daemon'] },
  { kind: 'three', names: ['daemon1', 'daemon2', 'daemon3'] },
] as const)('a service that forks $kind', ({ kind, names }) => {
  test(`is up and down as behind the program fghack in run (${programs.name})`, async () => {
    const transcript = async (command: string, plugins: readonly unknown[]): Promise<readonly unknown[]> => {
      await using scan = daemonScan(up, { services: { a: command }, plugins });
      const told: unknown[] = [];
      const tell = async (what: string): Promise<void> => {
        told.push([what, await scan.svstat('a'), scan.pids('a', 'first').length]);
      };
      const begun = (count: number): Promise<unknown> =>
        until(() => names.every((name) => scan.pids('a', name).length === count), { describe: `${count} starts` });
      const end = (name: string): unknown => kill(scan.pids('a', name).at(-1), 'SIGTERM');
      await begun(1);
      await until(() => !scan.pids('a', 'first').some(lives), { describe: 'it is in the background' });
      await scan.says('a', 'up (pid N) N seconds');
      await tell('in the background');
      for (const name of names.slice(1)) {
        end(name);
        await until(() => signals(scan, 'a').includes(`${name} TERM`), { describe: `${name} has ended` });
        await tell(`${name} has ended`);
      }
      end(names[0]);
      await begun(2);
      await scan.says('a', 'up (pid N) N seconds');
      await tell('started again');
      await scan.svc('-o', 'a');
      for (const name of names) end(name);
      await scan.down('a', 'once');
      await tell('wanted once, and ended');
      return told;
    };
    const behindProgram = await transcript(runs[kind].replace('exec', `exec ${programs.path('fghack')}`), []);
    expect(await transcript(runs[kind], ['fghack'])).toEqual(behindProgram);
    expect(behindProgram).toHaveLength(2 + names.length);
  });
});

describe.concurrent('a change of the configuration', () => {
  const hangUp = async (scan: DaemonScan, plugins: readonly unknown[], says: string): Promise<void> => {
    configure(scan.path(), { plugins });
    kill(scan.svscan.pid, 'SIGHUP');
    await until(() => scan.svscan.stderr().includes(says), { describe: says, state: scan.svscan.stderr });
  };

  test('that adds the plugin counts from a service’s next start', async () => {
    await using scan = daemonScan(up, { services: { a: runs.held }, plugins: [] });
    await until(() => scan.pids('a', 'first').length === 1, { describe: 'it has started' });
    await hangUp(scan, ['fghack'], 'plugin fghack: added');
    writeFileSync(scan.path('a/go'), '');
    await until(() => scan.pids('a', 'first').length === 2, { describe: 'it is taken for ended' });
    const pid = await scan.upAs('a', 'daemon', 2);
    expect(scan.pids('a', 'daemon')).toHaveLength(2);
    await scan.svc('-d', 'a');
    await scan.down('a');
    for (const each of scan.pids('a', 'daemon').filter((one) => one !== pid)) kill(each, 'SIGKILL');
  });

  test('that removes the plugin leaves a daemon what it is, and its end is the end', async () => {
    await using scan = daemonScan(up, { services: { a: runs.three } });
    const first = await scan.upAs('a', 'daemon1');
    await until(() => scan.pids('a', 'daemon3').length === 1, { describe: 'all three have begun' });
    await hangUp(scan, [], 'plugin fghack: removed');
    expect(scan.record('a')?.pid).toBe(first);
    await scan.svc('-o', 'a');
    kill(first, 'SIGTERM');
    await scan.down('a', 'once');
    for (const name of ['daemon2', 'daemon3']) {
      const [pid = 0] = scan.pids('a', name);
      expect(lives(pid)).toBe(true);
      kill(pid, 'SIGKILL');
    }
  });

  test('that takes the plugin away and back, or gives it other options, changes nothing for who is followed', async () => {
    await using scan = daemonScan(up, { services: { a: runs.three } });
    const first = await scan.upAs('a', 'daemon1');
    await until(() => scan.pids('a', 'daemon3').length === 1, { describe: 'all three have begun' });
    await hangUp(scan, [], 'plugin fghack: removed');
    await hangUp(scan, ['fghack'], 'plugin fghack: added');
    kill(first, 'SIGKILL');
    const second = await scan.upAs('a', 'daemon2');
    await hangUp(scan, [['fghack', { follow: false }]], 'options changed');
    kill(second, 'SIGKILL');
    await scan.upAs('a', 'daemon3');
    expect(scan.pids('a', 'first')).toHaveLength(1);
  });
});

describe.concurrent('a start that fails', () => {
  test('leaves nothing to follow, and the next one is followed', async () => {
    await using scan = daemonScan(up, {
      services: { a: runs.twice },
      prepare: ({ path }) => chmodSync(path('a/run'), 0o644),
    });
    await until(() => scan.svscan.stderr().includes('unable to start a/run: access denied'), { describe: 'it fails' });
    chmodSync(scan.path('a/run'), 0o755);
    await scan.upAs('a');
  });

  test('for want of a pipe says why', async () => {
    await using scan = daemonScan(up, {
      services: { a: runs.twice },
      prepare: ({ here }) => rmSync(here.join('daemon')),
    });
    const state = scan.here.join('runtime');
    await until(() => existsSync(state) && readdirSync(state).length > 0, { describe: 'it has begun' });
    const own = join(state, readdirSync(state)[0] ?? '', 'fghack');
    await until(() => existsSync(own), { describe: 'it has its directory' });
    await scan.svc('-d', 'a');
    await scan.down('a');
    rmSync(own, { recursive: true });
    writeFileSync(own, '');
    await scan.svc('-u', 'a');
    await until(() => scan.svscan.stderr().includes('unable to create pipe for a'), {
      describe: 'it says so',
      state: scan.svscan.stderr,
    });
    rmSync(own);
  });
});
