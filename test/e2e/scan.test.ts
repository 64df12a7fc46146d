/** What svscan makes of what lies in its directory, however it comes there and goes: section 3 of the contract. */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { joinBytes, oddNames, shownBytes } from './support/odd-names.ts';
import { run } from './support/run.ts';
import { ignoresTerm, keepsLines } from './support/runs.ts';
import { start } from './support/start.ts';
import { linesOf, maskStatus, ourScanners, processState, scanDirectory } from './support/supervised.ts';
import { scanners, scannerOf, serverEnvironment, writeOutPreset } from './support/supervised.ts';
import type { Driven, ScanDirectory } from './support/supervised.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

// Services are waited for most of the time, C's svscan for up to five seconds.
vi.setConfig({ maxConcurrency: 14 });

/** Well under the five seconds of the timed scan. */
const AT_ONCE_MS = 3500;
/** Each start is a line in `starts`; what it says goes to its log. */
const speaks = 'echo x >>starts; echo first; exec sleep 1000';

/** Who speaks until something is supervised. */
const programOf = ({ isUp = false }: Driven): string => (isUp ? 'daemontap' : 'svscan');

describe.concurrent.each(scanners)('a scan directory ($name)', (given) => {
  const { server, client } = given;
  const svscan = (...words: readonly string[]) => run([...scannerOf(given), ...words], { cwd: '/tmp' });
  const stderrOf = (text: string): string => `${programOf(given)}: fatal: ${text}\n`;
  const refused = (text: string) => ({ code: 111, signal: undefined, stdout: '', stderr: stderrOf(text) });

  test('that is not there, or called by an empty word, is refused', async () => {
    expect(await svscan('/tmp/no/such')).toEqual(refused('unable to chdir to /tmp/no/such: file does not exist'));
    expect(await svscan('')).toEqual(refused('unable to chdir to : file does not exist'));
    expect(await svscan('/etc/passwd')).toEqual(refused('unable to chdir to /etc/passwd: not a directory'));
  });

  test('is the current one by default', async () => {
    await using here = temporaryDirectory();
    here.makeService('service/a');
    const env = serverEnvironment(server, here);
    if (given.isUp === true) writeOutPreset(here.join('service'));
    await using _ = start(scannerOf(given), { cwd: here.join('service'), env });
    await until(() => existsSync(here.join('service/a/supervise/ok')), { describe: 'a is supervised' });
  });

  test('with a dangling symlink, a file and a name with a dot: says so of the first and starts nothing', async () => {
    await using scan = scanDirectory(given, {
      prepare({ path, make }) {
        symlinkSync('nowhere', path('dang'));
        make('.dot');
        writeFileSync(path('file'), '');
      },
    });
    const line = 'svscan: warning: unable to stat dang: file does not exist\n';
    await until(() => scan.svscan.stderr().startsWith(line), { describe: 'it was said' });
    await scan.scanPasses();
    expect(scan.svscan.stderr().replaceAll(line, '')).toBe('');
    expect(readdirSync(scan.path('.dot'))).toEqual(['run']);
    makeDirectory(scan, 'nowhere');
    scan.make('nowhere');
    await scan.up('dang');
  });

  test('with a logged service: what it says is in the log (T32)', async () => {
    await using scan = scanDirectory(given, {
      prepare({ make }) {
        make('a', 'echo hello; exec sleep 1000');
        make('a/log', 'exec cat >out');
      },
    });
    await until(() => linesOf(scan.path('a/log/out'))[0] === 'hello', { describe: 'hello is in the log' });
    expect(scan.svscan.stdout() + scan.svscan.stderr()).toBe('');
  });

  test.each(oddNames)('with a service whose name has %s: it runs, is seen and controlled', async (_, name) => {
    await using scan = scanDirectory(given, {
      prepare({ path, make }) {
        make('.new', speaks);
        make('.new/log', keepsLines);
        renameSync(path('.new'), joinBytes(path(), '/', name));
      },
    });
    const inside = (file: string): Buffer => joinBytes(scan.path(), '/', name, '/', file);
    await until(() => existsSync(inside('log/lines')) && readFileSync(inside('log/lines'), 'latin1') === 'first\n', {
      describe: 'it has spoken to its log',
      state: scan.svscan.stderr,
    });
    const says = async (line: string): Promise<void> => {
      const seen = () => run([client.path('svstat'), name], { cwd: scan.path() });
      const isSo = async (): Promise<boolean> => maskStatus((await seen()).stdout) === `${shownBytes(name)}: ${line}\n`;
      await until(isSo, { describe: `svstat says "${line}"`, state: seen });
    };
    await says('up (pid N) N seconds');
    await scan.svc('-d', name);
    await says('down N seconds, normally up');
    await scan.svc('-u', name);
    await says('up (pid N) N seconds');
    const starts = (): string => readFileSync(inside('starts'), 'latin1');
    await until(() => starts() === 'x\nx\n', { describe: 'it has been started twice', state: starts });
    expect(scan.svscan.stderr()).toBe('');
  });

  test('two names for one directory are one service', async () => {
    await using scan = scanDirectory(given, {
      prepare({ here, path }) {
        here.makeService('real', speaks);
        symlinkSync('../real', path('a'));
        symlinkSync('../real', path('b'));
      },
    });
    const pid = await scan.up('a');
    await scan.scanPasses();
    expect([scan.record('a')?.pid, scan.record('b')?.pid]).toEqual([pid, pid]);
    await until(() => linesOf(scan.path('a/starts')).length > 0, { describe: 'it has been started' });
    expect(linesOf(scan.path('a/starts'))).toEqual(['x']);
    expect(scan.svscan.stderr()).toBe('');
  });

  test('a directory renamed while its service runs: it goes on under the new name', async () => {
    await using scan = scanDirectory(given, { prepare: ({ make }) => make('a', speaks) });
    const pid = await scan.up('a');
    renameSync(scan.path('a'), scan.path('b'));
    await scan.scanPasses();
    expect(scan.record('b')?.pid).toBe(pid);
    await scan.says('b', 'up (pid N) N seconds');
    await scan.svc('-t', 'b');
    const next = await scan.up('b', pid);
    // Its supervise leaves and is begun again under the new name.
    await scan.svc('-dx', 'b');
    await scan.up('b', next);
    const starts = (): number => linesOf(scan.path('b/starts')).length;
    await until(() => starts() === 3, { describe: 'it has been started three times', state: starts });
    expect(existsSync(scan.path('a'))).toBe(false);
    expect(scan.svscan.stderr()).toBe('');
  });

  test('a symlink that leads elsewhere now: the old service runs on, the new one is started', async () => {
    await using scan = scanDirectory(given, {
      prepare({ here, path }) {
        here.makeService('old', speaks);
        here.makeService('new', speaks);
        symlinkSync('../old', path('a'));
      },
    });
    const pid = await scan.up('a');
    symlinkSync('../new', scan.path('.a'));
    renameSync(scan.path('.a'), scan.path('a'));
    await scan.up('a', pid);
    expect(await scan.svstat('../old', '../new')).toEqual([
      '../old: up (pid N) N seconds',
      '../new: up (pid N) N seconds',
    ]);
    await scan.svc('-dx', '../old');
    await until(() => processState(pid) === undefined, { describe: 'the old service is over' });
    await scan.scanPasses();
    expect(await scan.svstat('../old')).toEqual(['../old: supervise not running']);
    expect(scan.svscan.stderr()).toBe('');
  });

  test.each(scanners)(
    'a second svscan, of $name, is told that each service is taken and starts nothing',
    async (second) => {
      await using scan = scanDirectory(given, {
        prepare({ make }) {
          make('a', speaks);
          make('a/log', 'echo x >>starts; exec cat >>lines');
        },
      });
      const pids = [await scan.up('a'), await scan.up('a/log')];
      await until(() => linesOf(scan.path('a/log/lines')).length === 1, { describe: 'the log has its line' });
      const env = serverEnvironment(second.server, scan.here);
      await using other = start([...scannerOf(second), scan.path()], {
        cwd: scan.here.makeDirectory('none'),
        env,
      });
      const log = second.server.name === 'daemontap' ? 'a/log' : 'log';
      const lines = ['a', log].map(
        (name) => `supervise: fatal: unable to acquire ${name}/supervise/lock: temporary failure`,
      );
      await until(() => lines.every((line) => other.stderr().split('\n').includes(line)), {
        describe: 'it is told so',
        state: other.stderr,
      });
      await other[Symbol.asyncDispose]();
      expect([scan.record('a')?.pid, scan.record('a/log')?.pid]).toEqual(pids);
      await scan.svc('-t', 'a');
      await scan.up('a', pids[0]);
      await until(() => linesOf(scan.path('a/log/lines')).length === 2, { describe: 'the log has its second line' });
      expect([linesOf(scan.path('a/starts')), linesOf(scan.path('a/log/starts'))]).toEqual([['x', 'x'], ['x']]);
    },
  );
});

describe.concurrent.each(ourScanners)('a scan directory ($name alone)', (ours) => {
  test('of the root of all directories is refused', async () => {
    expect(await run([...scannerOf(ours), '/'])).toEqual({
      code: 100,
      signal: undefined,
      stdout: '',
      stderr: `${programOf(ours)}: fatal: unable to scan /: it is the root directory and holds no services\n`,
    });
    expect(existsSync('/bin/supervise/lock')).toBe(false);
  });

  test('new services, moved in, linked in or made there, are started at once, and no `supervise` is needed on PATH', async () => {
    await using scan = scanDirectory(ours, { env: { PATH: '/usr/bin:/bin' } });
    await until(() => existsSync(scan.path()), { describe: 'it is there' });
    await scan.scanPasses();
    const startsAtOnce = (name: string): Promise<boolean> =>
      until(() => (scan.record(name)?.pid ?? 0) > 0, { describe: `${name} is started at once`, timeoutMs: AT_ONCE_MS });
    scan.here.makeService('moved');
    renameSync(scan.here.join('moved'), scan.path('moved'));
    await startsAtOnce('moved');
    scan.here.makeService('linked');
    symlinkSync('../linked', scan.path('linked'));
    await startsAtOnce('linked');
    scan.make('made');
    await startsAtOnce('made');
    scan.make('.hidden');
    renameSync(scan.path('.hidden'), scan.path('shown'));
    await startsAtOnce('shown');
  });

  const steps = {
    'mkdir x': (path: string) => mkdirSync(path),
    'chmod +t x': (path: string) => chmodSync(path, 0o1755),
    'mkdir x/log': (path: string) => mkdirSync(join(path, 'log')),
    'write x/run': (path: string) => writeFileSync(join(path, 'run'), `#!/bin/sh\n${speaks}\n`),
    'make x/run': (path: string) => writeFileSync(join(path, 'run'), `#!/bin/sh\n${speaks}\n`, { mode: 0o755 }),
    'chmod x/run': (path: string) => chmodSync(join(path, 'run'), 0o755),
    'write x/log/run': (path: string) =>
      writeFileSync(join(path, 'log/run'), `#!/bin/sh\n${keepsLines}\n`, { mode: 0o755 }),
  };
  type StepName = keyof typeof steps;
  const orders: readonly (readonly [what: string, pauseMs: number, names: readonly StepName[]])[] = [
    ['as the FAQ says', 0, ['mkdir x', 'chmod +t x', 'mkdir x/log', 'write x/run', 'chmod x/run', 'write x/log/run']],
    ['as the FAQ says, slowly', 300, ['mkdir x', 'chmod +t x', 'mkdir x/log', 'write x/log/run', 'make x/run']],
    ['the log first', 20, ['mkdir x', 'mkdir x/log', 'write x/log/run', 'write x/run', 'chmod x/run']],
    ['the log last', 20, ['mkdir x', 'write x/run', 'chmod x/run', 'mkdir x/log', 'write x/log/run']],
    ['the log last, at one go', 0, ['mkdir x', 'write x/run', 'chmod x/run', 'mkdir x/log', 'write x/log/run']],
    [
      'the sticky bit, then all else slowly',
      300,
      ['mkdir x', 'chmod +t x', 'make x/run', 'mkdir x/log', 'write x/log/run'],
    ],
    ['run last, slowly', 300, ['mkdir x', 'mkdir x/log', 'write x/log/run', 'make x/run']],
  ];

  test.each(orders)('a logged service made in place, %s: starts once, with its log', async (_, pauseMs, names) => {
    await using scan = scanDirectory(ours);
    // A machine that is busy may make a pause so long that the service is rightly taken for finished: once more then.
    const made = await withoutDelays(async (attempt, pause) => {
      const path = scan.path(`x${attempt}`);
      for (const name of names) {
        steps[name](path);
        await pause(pauseMs);
      }
      return path;
    }, pauseMs + 120);
    await until(() => linesOf(join(made, 'log/lines')).length > 0, {
      describe: 'what it says is in the log',
      state: () => [linesOf(join(made, 'starts')), scan.svscan.stderr(), scan.svscan.stdout()],
    });
    expect([linesOf(join(made, 'starts')), linesOf(join(made, 'log/lines'))]).toEqual([['x'], ['first']]);
  });

  test('a slow `cp -r` ends with a logged service; nothing half-made is started', async () => {
    await using scan = scanDirectory(ours);
    scan.here.makeService(
      'origin',
      'echo x >>starts; [ -e zz-last ] && [ -e log/run ] && echo whole || echo half-made; exec sleep 1000',
    );
    scan.here.makeService('origin/log', keepsLines);
    // Eight steps of less than 180 ms: within the two seconds after which it would be started in any case.
    const parts = ['run', ...Array.from({ length: 5 }, (_, index) => `part-${index}`), 'zz-last'];
    for (const name of parts.slice(1)) writeFileSync(scan.here.join('origin', name), name);
    const made = await withoutDelays(async (attempt, pause) => {
      const path = scan.path(`copy${attempt}`);
      mkdirSync(join(path, 'log'), { recursive: true });
      for (const name of [...parts, 'log/run']) {
        cpSync(scan.here.join('origin', name), join(path, name));
        await pause(60);
      }
      return path;
    }, 180);
    await until(() => linesOf(join(made, 'log/lines')).length > 0, {
      describe: 'what it says is in the log',
      state: () => [scan.svscan.stdout(), scan.svscan.stderr()],
    });
    expect([linesOf(join(made, 'starts')), linesOf(join(made, 'log/lines'))]).toEqual([['x'], ['whole']]);
  });

  test('a log/ that comes late gets its supervise, and the output from the next start; HUP has it seen at once', async () => {
    await using scan = scanDirectory(ours, { prepare: ({ make }) => make('a', speaks) });
    const pid = await scan.up('a');
    await until(() => scan.svscan.stdout() === 'first\n', { describe: 'it has spoken to nobody' });
    await scan.scanPasses();
    scan.make('a/log', keepsLines);
    process.kill(scan.svscan.pid, 'SIGHUP');
    await until(() => (scan.record('a/log')?.pid ?? 0) > 0, {
      describe: 'its log runs',
      timeoutMs: AT_ONCE_MS,
      state: scan.svscan.stderr,
    });
    expect(scan.svscan.stderr()).toBe('svscan: warning: a/log was added: output of a goes there from its next start\n');
    expect(scan.record('a')?.pid).toBe(pid);
    await scan.svc('-t', 'a');
    await until(() => linesOf(scan.path('a/log/lines'))[0] === 'first', { describe: 'it speaks to its log' });
    expect(scan.svscan.stdout()).toBe('first\n');
  });

  test('a regular file named log is complained of, and the service runs without a log', async () => {
    await using scan = scanDirectory(ours, {
      prepare({ make, path }) {
        make('a', 'head -c 200000 /dev/zero; echo; echo written; exec sleep 1000');
        writeFileSync(path('a/log'), '');
      },
    });
    await until(() => scan.svscan.stdout().endsWith('\nwritten\n'), { describe: 'it writes without an obstacle' });
    await scan.scanPasses();
    expect(scan.svscan.stderr()).toBe('svscan: warning: a/log is not a directory: a is not logged\n');
  });

  test('a directory removed while its service runs: it runs on, and is not started again', async () => {
    await using scan = scanDirectory(ours, { prepare: ({ make }) => make('a') });
    const pid = await scan.up('a');
    await until(() => readFileSync(`/proc/${pid}/comm`, 'latin1') === 'sleep\n', {
      describe: 'sh has read its script',
    });
    rmSync(scan.path('a'), { recursive: true });
    await scan.scanPasses();
    expect(processState(pid)).toBe('S');
    process.kill(pid, 'SIGTERM');
    await until(
      () => scan.svscan.stderr().includes('supervise: warning: a was removed: it is no longer supervised\n'),
      {
        describe: 'it is said',
        state: scan.svscan.stderr,
      },
    );
    await scan.scanPasses();
    expect(scan.svscan.stderr()).not.toContain('unable to start');
    scan.make('a');
    await scan.up('a');
  });

  test('a directory removed and made anew under its name: the old service is ended first, log and all', async () => {
    await using scan = scanDirectory(ours, {
      prepare({ make }) {
        make('a', speaks);
        make('a/log', keepsLines);
      },
    });
    const pids = [await scan.up('a'), await scan.up('a/log')];
    await until(() => linesOf(scan.path('a/log/lines')).length > 0, { describe: 'it runs' });
    scan.here.makeService('fresh', speaks);
    scan.here.makeService('fresh/log', keepsLines);
    rmSync(scan.path('a'), { recursive: true });
    renameSync(scan.here.join('fresh'), scan.path('a'));
    await scan.up('a');
    await scan.up('a/log');
    expect(pids.map((pid) => processState(pid))).toEqual([undefined, undefined]);
    expect(scan.svscan.stderr()).toContain(
      `svscan: warning: a was removed and made anew: the old service (pid ${pids[0]}) is ended first\n`,
    );
    await until(() => linesOf(scan.path('a/log/lines')).length > 0, { describe: 'the new one speaks to its own log' });
    expect(linesOf(scan.path('a/log/lines'))).toEqual(['first']);
  });

  test('names in messages are shown on one line', async () => {
    await using scan = scanDirectory(ours);
    for (const name of ['a\nb', 'ü']) mkdirSync(scan.path(name));
    mkdirSync(joinBytes(scan.path(), '/', Uint8Array.of(0x61, 0xff)));
    for (const shown of ['a\\nb', 'a\\xff', '\xc3\xbc']) {
      const line = `supervise: fatal: unable to start ${shown}/run: file does not exist\n`;
      await until(() => scan.svscan.stderr().includes(line), { describe: line, state: scan.svscan.stderr });
    }
  });

  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s stops all in order: the service, then its log at end of file',
    async (signal) => {
      await using scan = scanDirectory(ours, {
        prepare({ make }) {
          make('a', 'trap "sleep 0.3; seq 5000; echo last words; exit" TERM; echo ready; while :; do sleep 0.05; done');
          make('a/log', 'trap "echo signalled >>lines" TERM HUP INT; cat >>lines; echo end of file >>lines');
          make('b', speaks);
          make('c', speaks);
        },
      });
      await until(() => linesOf(scan.path('a/log/lines')).includes('ready'), { describe: 'it runs' });
      await scan.up('b');
      // One that is down has nothing to end.
      await scan.up('c');
      await scan.svc('-d', 'c');
      await scan.down('c');
      process.kill(scan.svscan.pid, signal);
      expect(await scan.svscan.exit).toEqual({ code: 0, signal: undefined });
      expect(linesOf(scan.path('a/log/lines'))).toEqual([
        'ready',
        ...Array.from({ length: 5000 }, (_, index) => String(index + 1)),
        'last words',
        'end of file',
      ]);
      expect(scan.svscan.pids()).toEqual([]);
      expect(await scan.svstat('a', 'a/log', 'b', 'c')).toEqual(
        ['a', 'a/log', 'b', 'c'].map((name) => `${name}: supervise not running`),
      );
      expect([scan.svscan.stderr(), scan.record('b')]).toEqual(['', expect.objectContaining({ pid: 0, want: 'down' })]);
      expect(pipesIn(scan)).toEqual([]);
    },
  );

  test('a service that ignores TERM is killed after DAEMONTAP_STOP_TIMEOUT, and so is a log that stays', async () => {
    await using scan = scanDirectory(ours, {
      env: { DAEMONTAP_STOP_TIMEOUT: '0.5' },
      prepare({ make }) {
        make('a', ignoresTerm);
        make('a/log', ignoresTerm);
      },
    });
    await until(() => existsSync(scan.path('a/ready')) && existsSync(scan.path('a/log/ready')), {
      describe: 'they run',
    });
    process.kill(scan.svscan.pid, 'SIGTERM');
    expect(await scan.svscan.exit).toEqual({ code: 0, signal: undefined });
    expect(scan.svscan.stderr()).toBe(
      [
        'svscan: warning: a has not ended for 0.5 seconds: killing it\n',
        'svscan: warning: a/log has not ended for 0.5 seconds: stopping it\n',
        'svscan: warning: a/log has not ended for 0.5 seconds: killing it\n',
      ].join(''),
    );
    // The shells are gone; what they had started may live for a moment.
    await until(() => scan.svscan.pids().length === 0, { describe: 'nothing runs any more' });
  });

  test('with DAEMONTAP_ON_TERM=leave TERM ends svscan alone, and services run on', async () => {
    await using scan = scanDirectory(ours, {
      env: { DAEMONTAP_ON_TERM: 'leave' },
      prepare({ make }) {
        make('a', 'i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done');
        make('a/log', keepsLines);
      },
    });
    const pids = [await scan.up('a'), await scan.up('a/log')];
    process.kill(scan.svscan.pid, 'SIGTERM');
    expect(await scan.svscan.exit).toEqual({ code: undefined, signal: 'SIGTERM' });
    const count = linesOf(scan.path('a/log/lines')).length;
    await until(() => linesOf(scan.path('a/log/lines')).length > count + 20, { describe: 'the log goes on' });
    // Whatever they are doing at the moment: R, S or D.
    expect(pids.map((pid) => processState(pid))).toEqual([
      expect.stringMatching(/[RSD]/),
      expect.stringMatching(/[RSD]/),
    ]);
    expect(await scan.svstat('a')).toEqual(['a: supervise not running']);
  });
});

const theirs = scanners.find(({ name }) => name === 'daemontools');

describe.runIf(theirs !== undefined).concurrent('a scan directory (daemontools alone)', () => {
  test('where daemontap needs no `supervise` on PATH, svscan says that there is none (T31)', async () => {
    if (theirs === undefined) return;
    await using scan = scanDirectory(theirs, {
      env: { PATH: '/nonexist' },
      prepare: ({ path }) => mkdirSync(path('a/log'), { recursive: true }),
    });
    const expected = ['a', 'a/log'].map(
      (name) => `svscan: warning: unable to start supervise ${name}: file does not exist\n`,
    );
    await until(() => expected.every((line) => scan.svscan.stderr().includes(line)), { describe: 'it says so' });
  });
});

/**
 * Makes something in steps with pauses between them, again until no two changes were too far apart.
 * @param longestMs from the beginning of one step, which may have changed something at once, to the end of the next
 */
async function withoutDelays<T>(
  body: (attempt: number, pause: (ms: number) => Promise<void>) => Promise<T>,
  longestMs: number,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    let begun = performance.now();
    let begunBefore = begun;
    let longest = 0;
    const made = await body(attempt, async (ms) => {
      longest = Math.max(longest, performance.now() - begunBefore);
      if (ms > 0) await sleep(ms);
      begunBefore = begun;
      begun = performance.now();
    });
    if (longest <= longestMs) return made;
    if (attempt === 30) throw new Error(`the machine is too busy: a pause took ${longest} ms in each of 30 attempts`);
  }
}

function makeDirectory(scan: ScanDirectory, name: string): void {
  mkdirSync(scan.path(name));
}

/** The log pipes that are left in the runtime directory. */
function pipesIn(scan: ScanDirectory): readonly string[] {
  return readdirSync(scan.here.join('runtime'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(scan.here.join('runtime', name)).isFIFO(),
  );
}
