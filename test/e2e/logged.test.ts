/** A service and its log: made, ended and retired as the FAQ says, without a lost line whatever happens between. */
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { keepsLines, writesNumbers } from './support/runs.ts';
import { linesOf, processState, scanCombinations, scanDirectory } from './support/supervised.ts';
import type { ScanDirectory } from './support/supervised.ts';
import { until } from './support/until.ts';

// Services are waited for most of the time, C's svscan for up to five seconds.
vi.setConfig({ maxConcurrency: 14 });

/** Makes a logged service beside the scan directory; the caller brings it in. */
function makeLogged(scan: Pick<ScanDirectory, 'here'>, name: string, command = writesNumbers): string {
  const path = scan.here.makeService(name, command);
  scan.here.makeService(join(name, 'log'), keepsLines);
  return path;
}

/** How many lines have reached the log of the service in a directory. */
const logged = (path: string): number => linesOf(join(path, 'log/lines')).length;

const grows = (path: string): Promise<boolean> => {
  const before = logged(path);
  return until(() => logged(path) > before + 20, { describe: 'the log grows', state: () => logged(path) });
};

/** True while a process waits in read(2): it has nothing in hand. */
function isReading(pid: number): boolean {
  return processState(pid) === 'S' && readFileSync(`/proc/${pid}/syscall`, 'latin1').startsWith('0 ');
}

/** Ends the service and waits until all it has written is in the log: every line once, in order. */
async function expectAllLines(scan: ScanDirectory, name: string): Promise<void> {
  const path = scan.path(name);
  await scan.svc('-u', join(name, 'log'));
  await scan.svc('-d', name);
  await scan.down(name);
  const written = new Map<string, number>();
  for (const file of readdirSync(path).filter((each) => each.startsWith('sent.'))) {
    written.set(file.slice('sent.'.length), Number(linesOf(join(path, file))[0] ?? 0));
  }
  // One more when it was killed between writing a line and counting it.
  const missing = (): string | undefined => {
    const received = new Map<string, number>();
    for (const line of linesOf(join(path, 'log/lines'))) {
      const [pid = '', number] = line.split(' ');
      const expected = received.get(pid) ?? 0;
      if (Number(number) !== expected) return `line "${line}" where "${pid} ${expected}" was to come`;
      received.set(pid, expected + 1);
    }
    for (const [pid, count] of written) {
      const got = received.get(pid) ?? 0;
      if (got < count || got > count + 1) return `${got} lines of ${pid}, which wrote ${count}`;
    }
    return undefined;
  };
  await until(() => missing() === undefined, { describe: `all lines are in the log of ${name}`, state: missing });
}

describe.concurrent.each(scanCombinations)('a logged service ($title)', (combination) => {
  test('made invisible and renamed, or linked in: both sides run and are controlled apart', async () => {
    await using scan = scanDirectory(combination);
    mkdirSync(scan.path('.qmail'));
    chmodSync(scan.path('.qmail'), 0o1755);
    mkdirSync(scan.path('.qmail/log'));
    scan.make('.qmail', writesNumbers);
    scan.make('.qmail/log', keepsLines);
    await scan.scanPasses();
    expect(readdirSync(scan.path('.qmail'))).not.toContain('supervise');
    renameSync(scan.path('.qmail'), scan.path('qmail'));
    symlinkSync(makeLogged(scan, 'elsewhere'), scan.path('linked'));
    for (const name of ['qmail', 'linked']) {
      const pid = await scan.up(name);
      const logPid = await scan.up(join(name, 'log'));
      await grows(scan.path(name));
      // The log side restarts, the service does not; then the other way round.
      await scan.svc('-t', join(name, 'log'));
      const nextLogPid = await scan.up(join(name, 'log'), logPid);
      await grows(scan.path(name));
      expect(scan.record(name)?.pid).toBe(pid);
      await scan.svc('-t', name);
      await scan.up(name, pid);
      await grows(scan.path(name));
      expect(scan.record(join(name, 'log'))?.pid).toBe(nextLogPid);
      await scan.svc('-d', join(name, 'log'));
      await scan.down(join(name, 'log'));
      expect(await scan.svstat(name, `${name}/log`)).toEqual([
        `${name}: up (pid N) N seconds`,
        `${name}/log: down N seconds, normally up`,
      ]);
      await scan.svc('-p', name);
      await scan.says(name, 'up (pid N) N seconds, paused');
      await scan.svc('-c', name);
      await expectAllLines(scan, name);
    }
    expect(scan.svscan.stderr()).toBe('');
  });

  test('its log ended, killed, down for a while, its supervise ended: no line is lost', async () => {
    await using scan = scanDirectory(combination, { prepare: (given) => makeLogged(given, 'service/a') });
    await scan.up('a');
    let logPid = await scan.up('a/log');
    await grows(scan.path('a'));
    for (let round = 0; round < 3; round++) {
      await scan.svc('-t', 'a/log');
      logPid = await scan.up('a/log', logPid);
      await grows(scan.path('a'));
    }
    await scan.svc('-d', 'a/log');
    await scan.down('a/log');
    const sent = Number(linesOf(scan.path('a', `sent.${scan.record('a')?.pid}`))[0]);
    await until(() => Number(linesOf(scan.path('a', `sent.${scan.record('a')?.pid}`))[0]) > sent + 100, {
      describe: 'the service writes on',
    });
    await scan.svc('-u', 'a/log');
    logPid = await scan.up('a/log', logPid);
    await grows(scan.path('a'));
    // Its supervise leaves and comes again with the next scan.
    await scan.svc('-dx', 'a/log');
    logPid = await scan.up('a/log', logPid);
    await grows(scan.path('a'));
    // A reader that is killed loses what it has read and not written: so at a moment when that is nothing.
    const pid = await scan.up('a');
    await scan.svc('-p', 'a');
    await until(() => processState(pid) === 'T', { describe: 'the service is stopped' });
    await until(() => isReading(logPid), { describe: 'the log has read and written all that there is' });
    await scan.svc('-k', 'a/log');
    await scan.up('a/log', logPid); // svc does not wait: the service must not write before the reader is dead
    await scan.svc('-c', 'a');
    await grows(scan.path('a'));
    await expectAllLines(scan, 'a');
  });

  test('the service ended and killed again and again: no line is lost, and its log stays', async () => {
    await using scan = scanDirectory(combination, { prepare: (given) => makeLogged(given, 'service/a') });
    let pid = await scan.up('a');
    const logPid = await scan.up('a/log');
    await grows(scan.path('a'));
    for (const command of ['-k', '-t', '-k']) {
      await scan.svc(command, 'a');
      pid = await scan.up('a', pid);
      await grows(scan.path('a'));
    }
    process.kill(pid, 'SIGKILL');
    await scan.up('a', pid);
    await grows(scan.path('a'));
    expect(scan.record('a/log')?.pid).toBe(logPid);
    await expectAllLines(scan, 'a');
  });

  test('a `down` file counts when supervise starts, for each side by itself', async () => {
    await using scan = scanDirectory(combination, {
      prepare(given) {
        makeLogged(given, 'service/a');
        writeFileSync(given.path('a/down'), '');
        makeLogged(given, 'service/b');
        writeFileSync(given.path('b/log/down'), '');
      },
    });
    await scan.down('a');
    await scan.up('a/log');
    await scan.down('b/log');
    const pid = await scan.up('b');
    writeFileSync(scan.path('b/down'), '');
    rmSync(scan.path('a/down'));
    await scan.scanPasses();
    expect(await scan.svstat('a', 'a/log', 'b', 'b/log')).toEqual([
      'a: down N seconds, normally up',
      'a/log: up (pid N) N seconds',
      'b: up (pid N) N seconds, normally down',
      'b/log: down N seconds',
    ]);
    await scan.svc('-t', 'b');
    await scan.up('b', pid);
    await scan.svc('-dx', 'a', 'b');
    await scan.up('a');
    await scan.down('b');
    await scan.says('b', 'down N seconds');
  });

  test.each(['renamed with a dot', 'its symlink removed'])(
    'retired, %s: it stays away, and rm is safe',
    async (how) => {
      await using scan = scanDirectory(combination);
      const isLink = how !== 'renamed with a dot';
      const real = makeLogged(scan, 'qmail');
      if (isLink) symlinkSync(real, scan.path('qmail'));
      else renameSync(real, scan.path('qmail'));
      const pids = [await scan.up('qmail'), await scan.up('qmail/log')];
      await grows(scan.path('qmail'));
      if (isLink) unlinkSync(scan.path('qmail'));
      else renameSync(scan.path('qmail'), scan.path('.qmail'));
      const place = isLink ? real : scan.path('.qmail');
      expect(pids.map((pid) => processState(pid) !== undefined)).toEqual([true, true]);
      await scan.svc('-dx', place);
      await scan.says(place, 'supervise not running');
      await until(() => processState(pids[0] ?? 0) === undefined, { describe: 'the service has ended' });
      await scan.svc('-dx', join(place, 'log'));
      await scan.says(join(place, 'log'), 'supervise not running');
      await scan.scanPasses();
      expect(await scan.svstat(place, join(place, 'log'))).toEqual([
        `${place}: supervise not running`,
        `${join(place, 'log')}: supervise not running`,
      ]);
      expect(pids.map(processState)).toEqual([undefined, undefined]);
      rmSync(place, { recursive: true });
      expect(scan.svscan.stderr()).toBe('');
    },
  );

  test('retired with -x first and -d after: both sides are gone for good', async () => {
    await using scan = scanDirectory(combination);
    symlinkSync(makeLogged(scan, 'real'), scan.path('a'));
    await scan.up('a');
    await scan.up('a/log');
    unlinkSync(scan.path('a'));
    const real = scan.here.join('real');
    await scan.svc('-x', real, join(real, 'log'));
    await scan.svc('-d', real);
    await scan.says(real, 'supervise not running');
    await scan.svc('-d', join(real, 'log'));
    await scan.says(join(real, 'log'), 'supervise not running');
    await scan.scanPasses();
    expect(await scan.svstat(real, join(real, 'log'))).toEqual([
      `${real}: supervise not running`,
      `${join(real, 'log')}: supervise not running`,
    ]);
  });
});
