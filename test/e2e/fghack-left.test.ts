/** Services in the background whose svscan is killed at a bad moment: the next one finds them, once. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { attach, countedCalls, killingAt, letGo } from './support/crash-kills.ts';
import { configure, daemonScan, kill, killAt, lives, makeKiller, runs, upAgain } from './support/daemons.ts';
import type { DaemonScan } from './support/daemons.ts';
import { asNobody, canBeNobody } from './support/nobody.ts';
import { ourScanners, processState } from './support/supervised.ts';
import type { StartedProgram } from './support/start.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

vi.setConfig({ maxConcurrency: 6 });

const [up = failing()] = ourScanners.filter(({ isUp }) => isUp);
function failing(): never {
  throw new Error('there is no daemontap up');
}

/** Kills the svscan, or waits until the plugin has. */
async function killed(scan: DaemonScan, isKilledByPlugin = false): Promise<void> {
  if (!isKilledByPlugin) kill(scan.svscan.pid, 'SIGKILL');
  expect(await scan.svscan.exit).toEqual({ code: undefined, signal: 'SIGKILL' });
}

/** Waits until the process that ./run was has ended, and until so many daemons have told of themselves. */
async function inBackground(scan: DaemonScan, names: readonly string[]): Promise<readonly number[]> {
  const all = (): readonly number[] => names.flatMap((name) => scan.pids('a', name).slice(-1));
  const isSo = (): boolean => all().length === names.length && !scan.pids('a', 'first').some(lives);
  await until(isSo, { describe: 'all are in the background', state: () => scan.events('a') });
  return all();
}

/** Waits until the next one listens and the service is up as this process, and asserts that no other was started. */
async function isTakenOver(scan: DaemonScan, next: StartedProgram, pid: number): Promise<void> {
  await until(async () => (await scan.svok('a')) === 0, { describe: 'it listens', state: next.stderr });
  await until(() => scan.record('a')?.pid === pid, {
    describe: `it is up as ${pid}`,
    state: () => [scan.record('a'), pid, scan.events('a'), next.stderr()],
  });
  expect([scan.pids('a', 'first').length, next.stderr()]).toEqual([1, expect.not.stringContaining('warning')]);
}

const moments = [
  'serviceStarted before', // it runs, and no record tells so
  'serviceStarted after',
  'findSuccessor before', // ./run has ended, and nothing was done about it
  'statusChanged before', // the daemon was found, and no record tells so
  'statusChanged after',
] as const;
const kinds = [
  { kind: 'twice', names: ['daemon'] },
  { kind: 'three', names: ['daemon1', 'daemon2', 'daemon3'] },
] as const;
const cases = kinds.flatMap((each) => moments.map((moment) => ({ ...each, moment })));

describe.concurrent('svscan killed', () => {
  test.each(cases)('at $moment: what forks $kind is found and followed to its end', async ({ kind, names, moment }) => {
    await using scan = daemonScan(up, {
      services: { a: runs[kind] },
      plugins: ['fghack'],
      prepare(made) {
        const killer = makeKiller(made);
        killAt(made, moment);
        configureWith(made, killer);
      },
    });
    await killed(scan, true);
    const pids = await inBackground(scan, names);
    await using next = upAgain(up, scan);
    await isTakenOver(scan, next, pids[0] ?? 0);
    for (const [index, pid] of pids.slice(0, -1).entries()) {
      kill(pid, 'SIGTERM');
      await isTakenOver(scan, next, pids[index + 1] ?? 0);
    }
    await scan.svc('-d', 'a');
    await scan.down('a');
    expect(pids.map(lives)).toEqual(pids.map(() => false));
  });

  test('before a start that was told of and not made, starts it once', async () => {
    await using scan = daemonScan(up, {
      services: { a: runs.twice },
      prepare(made) {
        killAt(made, 'intended start after');
        configureWith(made, makeKiller(made));
      },
    });
    await killed(scan, true);
    expect(scan.events('a')).toEqual([]);
    await using next = upAgain(up, scan);
    await isTakenOver(scan, next, await scan.upAs('a'));
  });

  test.each(['intended stop before', 'intended stop after'])(
    'at %s: a stop is not forgotten, or was not begun',
    async (moment) => {
      await using scan = daemonScan(up, {
        services: { a: runs.three },
        prepare: (made) => configureWith(made, makeKiller(made)),
      });
      await scan.upAs('a', 'daemon1');
      const pids = await inBackground(scan, ['daemon1', 'daemon2', 'daemon3']);
      killAt(scan, moment);
      await scan.svc('-d', 'a');
      await killed(scan, true);
      expect(pids.map(lives)).toEqual([true, true, true]);
      await using next = upAgain(up, scan);
      if (moment.endsWith('before')) {
        await isTakenOver(scan, next, pids[0] ?? 0);
        await scan.svc('-d', 'a');
      }
      await scan.down('a');
      expect([pids.map(lives), scan.pids('a', 'first').length]).toEqual([[false, false, false], 1]);
    },
  );

  test.each(['findSuccessor before', 'statusChanged before', 'intended stop after'])(
    'at %s, while one after the other is told to stop: the next one goes on with it',
    async (moment) => {
      await using scan = daemonScan(up, {
        services: { a: runs.threeStaying },
        prepare: (made) => configureWith(made, makeKiller(made)),
      });
      await scan.upAs('a', 'daemon1');
      const pids = await inBackground(scan, ['daemon1', 'daemon2', 'daemon3']);
      await scan.svc('-d', 'a');
      await until(() => scan.events('a').includes('daemon1 TERM'), { describe: 'the first is told' });
      killAt(scan, moment);
      kill(pids[0], 'SIGKILL');
      await killed(scan, true);
      await using next = upAgain(up, scan);
      await isTakenOver(scan, next, pids[1] ?? 0);
      await until(() => scan.events('a').includes('daemon2 TERM'), {
        describe: 'the second is told',
        state: next.stderr,
      });
      kill(pids[1], 'SIGKILL');
      await until(() => scan.events('a').includes('daemon3 TERM'), {
        describe: 'the third is told',
        state: next.stderr,
      });
      kill(pids[2], 'SIGKILL');
      await scan.down('a');
      expect(scan.pids('a', 'first')).toHaveLength(1);
    },
  );

  test('while the last one ends starts the service anew', async () => {
    await using scan = daemonScan(up, {
      services: { a: runs.twice },
      prepare: (made) => configureWith(made, makeKiller(made)),
    });
    const pid = await scan.upAs('a');
    killAt(scan, 'serviceEnded before');
    kill(pid, 'SIGKILL');
    await killed(scan, true);
    await using _ = upAgain(up, scan);
    await scan.upAs('a', 'daemon', 2);
  });
});

/** Each system call, or each so many. */
const STRIDE = Number(process.env['CRASH_STRIDE'] ?? 8);
const canTrace = existsSync('/usr/bin/strace');
if (!canTrace) console.log('skipped: svscan killed at each system call of a move; it needs strace');

describe.runIf(canTrace)('svscan killed at any system call', () => {
  test('while a service moves into the background: the next one finds it, and starts no second one', async () => {
    await using here = temporaryDirectory();
    await using scan = daemonScan(up, { services: { a: runs.held } });
    const programs: StartedProgram[] = [scan.svscan];
    /** Lets it go into the background under strace; true: svscan is dead. */
    const move = async (round: number, options: readonly string[]): Promise<boolean> => {
      const [svscan = scan.svscan] = programs;
      const first = await scan.upAs('a', 'first', round);
      let isDead = false;
      void svscan.exit.then(() => (isDead = true));
      await using strace = await attach(svscan, options);
      writeFileSync(scan.path('a/go'), '');
      await until(() => scan.pids('a', 'daemon').length === round && !lives(first), {
        describe: 'it is in the background',
      });
      const [daemon = 0] = scan.pids('a', 'daemon').slice(-1);
      const isThere = (): boolean => scan.record('a')?.pid === daemon;
      await until(() => isDead || isThere(), {
        describe: 'svscan is killed, or the service has moved',
        state: () => scan.events('a'),
      });
      return !(await letGo(strace, svscan));
    };
    /** Starts svscan anew, where it is dead; and the service, where it is the daemon and no other. */
    const goBack = async (round: number, isDead: boolean): Promise<void> => {
      if (isDead) programs.unshift(upAgain(up, scan));
      await until(async () => (await scan.svok('a')) === 0, {
        describe: 'it listens',
        state: () => programs[0]?.stderr(),
      });
      await scan.upAs('a', 'daemon', round);
      expect([scan.pids('a', 'first').length, scan.pids('a', 'daemon').length]).toEqual([round, round]);
      rmSync(scan.path('a/go'));
      await scan.svc('-t', 'a');
    };
    try {
      expect(await move(1, ['-o', here.join('trace')])).toBe(false);
      await goBack(1, false);
      const calls = countedCalls(readFileSync(here.join('trace'), 'latin1'));
      expect(calls.length).toBeGreaterThan(10);
      let round = 1;
      for (let index = 0; index < calls.length; index += STRIDE) {
        const call = calls[index] ?? { name: '', count: 0 };
        round++;
        try {
          await goBack(round, await move(round, killingAt(call)));
        } catch (cause) {
          throw new Error(`killed at system call ${index} of ${calls.length} (${call.name}, ${call.count})`, { cause });
        }
      }
      console.log(`a move: ${calls.length} system calls, killed at ${round - 1}`);
    } finally {
      for (const program of programs) await program[Symbol.asyncDispose]();
    }
  }, 900_000);
});

const accounts = [
  { who: 'root', through: [], isNobodys: false },
  ...(canBeNobody ? [{ who: 'nobody', through: asNobody([]).map(String), isNobodys: true }] : []),
];

describe.concurrent('while there was no svscan', () => {
  test.each(accounts)(
    'daemons have ended: the next one goes on as the one that is left ($who)',
    async ({ through, isNobodys }) => {
      await using scan = daemonScan(up, { services: { a: runs.three }, through, isNobodys });
      await scan.upAs('a', 'daemon1');
      const pids = await inBackground(scan, ['daemon1', 'daemon2', 'daemon3']);
      await killed(scan);
      for (const pid of pids.slice(0, 2)) kill(pid, 'SIGKILL');
      await until(() => pids.slice(0, 2).every((pid) => !lives(pid)), { describe: 'two have ended' });
      await using next = upAgain(up, scan, through);
      await isTakenOver(scan, next, pids[2] ?? 0);
      kill(pids[2], 'SIGKILL');
      await until(() => scan.pids('a', 'first').length === 2, { describe: 'it is started again', state: next.stderr });
    },
  );

  test('a service has put itself into the background: the next one finds its daemon', async () => {
    await using scan = daemonScan(up, { services: { a: runs.held } });
    await until(() => scan.pids('a', 'first').length === 1, { describe: 'it has started' });
    await until(() => scan.record('a')?.pid === scan.pids('a', 'first')[0], { describe: 'it is recorded' });
    await killed(scan);
    scan.here.makeDirectory('service/a/go');
    const [pid = 0] = await inBackground(scan, ['daemon']);
    await using next = upAgain(up, scan);
    await isTakenOver(scan, next, pid);
    // It is not this one's child: what it leaves behind is, all the same, found.
    kill(pid, 'SIGSTOP');
    await until(() => processState(pid) === 'T', { describe: 'it is stopped' });
    await scan.svc('-d', 'a');
    await scan.down('a');
  });

  test('all have ended: the service is started', async () => {
    await using scan = daemonScan(up, { services: { a: runs.twice } });
    const pid = await scan.upAs('a');
    await killed(scan);
    kill(pid, 'SIGKILL');
    await until(() => !lives(pid), { describe: 'it has ended' });
    await using _ = upAgain(up, scan);
    await scan.upAs('a', 'daemon', 2);
  });
});

function configureWith({ path }: Pick<DaemonScan, 'path'>, killer: string): void {
  configure(path(), { plugins: [killer, 'fghack'] });
}
