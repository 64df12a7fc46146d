/**
 * Logs of a stack through all that may befall them: services and hosts that end, directories that are missing, locked,
 * full or not to be written, and a configuration that changes meanwhile. No line is lost, and none is there twice.
 */
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { daemontap } from './support/implementations.ts';
import { finishedFiles, logged, modeOf, multilogs } from './support/multilog.ts';
import { asNobody } from './support/nobody.ts';
import { compareWithSent, linesIn } from './support/numbered.ts';
import { run } from './support/run.ts';
import { floodsNumbers, writesNumbers } from './support/runs.ts';
import { slowPipe } from './support/slow-pipe.ts';
import { canMount, smallDisk } from './support/small-disk.ts';
import type { SmallDisk } from './support/small-disk.ts';
import { stack } from './support/stack.ts';
import type { Stack, StackOptions } from './support/stack.ts';
import { start } from './support/start.ts';
import { linesOf, processState } from './support/supervised.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

// Most of the time is waited for.
vi.setConfig({ maxConcurrency: 8 });

const NOBODY = 65534;
const isRoot = process.geteuid?.() === 0;
if (!isRoot)
  console.log('skipped: what becomes of logs where directories are refused or disks are full; they need root');

const writer = isRoot ? { account: 'nobody' } : {};
const script = ['t', 's99999', 'n999', './main'];
const plugin = ['log-multilog', { script, ...writer }] as const;
/** What a kernel says that was told to take up its configuration, and nothing else. */
const CONFIGURED = /^(?:svscan: info: configuration: .*\n)*$/;
const intact = { problems: [], repeatedBytes: 0 };

const lineCount = (...dirs: readonly string[]): number => linesIn(...dirs.filter(existsSync)).length;

/** Waits until the lines in directories have become so many more. */
async function grows(dirs: readonly string[], more = 50): Promise<void> {
  const before = lineCount(...dirs);
  await until(() => lineCount(...dirs) >= before + more, {
    describe: `${dirs[0]} grows`,
    state: () => lineCount(...dirs),
  });
}

/** Ends everything in order, without a word but those that are expected, and with nothing left. */
async function end(up: Stack, said: string | RegExp = ''): Promise<void> {
  expect(await up.stop()).toEqual({ code: 0, signal: undefined });
  expect(up.said()).toEqual(typeof said === 'string' ? said : expect.stringMatching(said));
  expect([up.pids(), up.left()]).toEqual([[], []]);
}

describe.concurrent('log-multilog', () => {
  test('a service ends, is killed, leaves and comes back: its log goes on where it was', async () => {
    await using up = stack({ plugins: [plugin], prepare: ({ make }) => void make('a', writesNumbers) });
    const dirs = [up.path('a/main')];
    let pid = await up.runs('a');
    const host = await up.host();
    await grows(dirs);
    for (const command of ['-t', '-k', '-t']) {
      await up.svc(command, 'a');
      pid = await up.runs('a', pid);
      await grows(dirs);
    }
    expect((await up.host()).pid).toBe(host.pid);
    await up.svc('-dx', 'a');
    const ended = pid;
    await until(() => processState(ended) === undefined, { describe: 'it has left' });
    process.kill(up.up.pid, 'SIGHUP');
    await up.runs('a', pid);
    await grows(dirs);
    expect((await up.host()).pid).toBe(host.pid);
    await end(up);
    expect(compareWithSent(up.path('a'), linesIn(...dirs))).toEqual(intact);
    expect([
      modeOf(up.path('a/main/current')),
      finishedFiles(up.path('a/main')).every(({ name }) => name.endsWith('.s')),
    ]).toEqual(['744', true]);
  });

  test('every plugin is named: its host is supervised, shown and found again, as with the preset', async () => {
    const own = [
      ['log-stderr', { level: 'info' }] as const,
      'status-file',
      'control-fifo',
      'run-record',
      'scan-watch',
      'control-socket',
    ];
    await using up = stack({
      preset: [],
      plugins: [...own, plugin],
      prepare: ({ make }) => void make('a', writesNumbers),
    });
    const dirs = [up.path('a/main')];
    const pid = await up.runs('a');
    const host = await up.host();
    await grows(dirs);
    const words = ['status', '--dir', up.path(), '--runtime-dir', up.here.join('runtime')];
    const shown = async (): Promise<string> =>
      (await run([join(daemontap.programDir, 'daemontap'), ...words], { cwd: up.here.path })).stdout;
    await until(async () => new RegExp(`\\b${host.pid}\\b.*\\bhelper\\b`).test(await shown()), {
      describe: 'the host is shown',
      state: shown,
    });
    await up.kill();
    up.start();
    await up.speaks(`a runs already (pid ${pid})`);
    await grows(dirs);
    expect((await up.host()).pid).toBe(host.pid);
    await end(up, /^supervise: info: a runs already/);
    expect(compareWithSent(up.path('a'), linesIn(...dirs))).toEqual(intact);
  });

  test('a service directory is renamed while it runs, and the host ended: the log goes on in it', async () => {
    await using up = stack({ plugins: [plugin], prepare: ({ make }) => void make('a', writesNumbers) });
    await up.runs('a');
    const host = await up.host();
    await grows([up.path('a/main')]);
    renameSync(up.path('a'), up.path('.b'));
    const dirs = [up.path('.b/main')];
    await grows(dirs);
    await up.svc('-t', host.dir);
    await up.host({ before: host.pid });
    await grows(dirs);
    await up.svc('-dx', '.b');
    await up.says('.b', 'supervise not running');
    rmSync(up.path('daemontap.config.json')); // nothing is left in the scan directory but what is hidden
    await end(up);
    expect(compareWithSent(up.path('.b'), linesIn(...dirs))).toEqual(intact);
  });

  test('its host is ended again and again, and told to rotate: nothing is lost or doubled', async () => {
    await using up = stack({
      plugins: [['log-multilog', { ...plugin[1], script: ['t', 's9999999', 'n999', './main'] }]],
      prepare({ make }) {
        for (const name of ['a', 'b']) make(name, writesNumbers);
      },
    });
    const dirs = [up.path('a/main'), up.path('b/main')] as const;
    const pids = [await up.runs('a'), await up.runs('b')];
    let host = await up.host();
    for (let round = 0; round < 3; round++) {
      for (const dir of dirs) await grows([dir]);
      const before = finishedFiles(dirs[0]).length + finishedFiles(dirs[1]).length;
      await up.svc('-a', host.dir);
      await until(() => finishedFiles(dirs[0]).length + finishedFiles(dirs[1]).length === before + 2, {
        describe: 'both logs are rotated',
      });
      await up.svc('-t', host.dir);
      host = await up.host({ before: host.pid });
    }
    for (const dir of dirs) await grows([dir]);
    expect([up.record('a')?.pid, up.record('b')?.pid]).toEqual(pids);
    await end(up);
    for (const name of ['a', 'b']) {
      expect(compareWithSent(up.path(name), linesIn(up.path(name, 'main')))).toEqual(intact);
      expect(finishedFiles(up.path(name, 'main')).every((file) => file.name.endsWith('.s'))).toBe(true);
    }
  });

  test('its host is told to be down, to leave, or is killed as everything is stopped: nothing is lost', async () => {
    await using up = stack({ plugins: [plugin], prepare: ({ make }) => void make('a', writesNumbers) });
    const dirs = [up.path('a/main')];
    await up.runs('a');
    let host = await up.host();
    await grows(dirs);
    await up.svc('-d', host.dir);
    await up.says(host.dir, 'down N seconds, normally up');
    const sent = (): number => Number(linesOf(up.path('a', `sent.${up.record('a')?.pid}`))[0] ?? 0);
    const before = sent();
    await until(() => sent() > before + 100, { describe: 'the service writes on' });
    await up.svc('-u', host.dir);
    host = await up.host({ before: host.pid });
    await grows(dirs);
    await up.svc('-dx', host.dir);
    host = await up.host({ before: host.pid });
    await grows(dirs);
    process.kill(host.pid, 'SIGTERM');
    process.kill(host.pid, 'SIGKILL');
    await end(up);
    const { problems, repeatedBytes } = compareWithSent(up.path('a'), linesIn(...dirs));
    expect([problems, repeatedBytes <= 262_144]).toEqual([[], true]);
  });

  test('what a service writes at its very end is in its log when everything is stopped', async () => {
    const talks = `exec perl -e '$| = 1; $SIG{TERM} = sub { print "$$ $_\\n" for 1 .. 40000; exit }; print "$$ 0\\n"; sleep 1 while 1'`;
    await using up = stack({ plugins: [plugin], prepare: ({ make }) => void make('a', talks) });
    await up.runs('a');
    await grows([up.path('a/main')], 1);
    await end(up);
    const lines = linesIn(up.path('a/main'));
    expect([lines.length, lines.at(-1)]).toEqual([40_001, expect.stringMatching(/ 40000$/)]);
  });

  test('a line that is longer than any pipe, and takes half of each page, is logged as it is', async () => {
    const long = `exec perl -e 'my $put = sub { syswrite(STDOUT, $_[0]) == length $_[0] or die };
      $put->("a" x 4094 . "\\nb"); $put->("b" x 2049) for 1 .. 300; $put->("\\nend\\n"); sleep 1000'`;
    const config = [['log-multilog', { script: ['s16777215', './main'], ...writer }]] as const;
    await using up = stack({ plugins: config, prepare: ({ make }) => void make('a', long) });
    await up.runs('a');
    const text = (): string => (existsSync(up.path('a/main')) ? logged(up.path('a/main')) : '');
    await until(() => text().endsWith('end\n'), { describe: 'all is logged', state: () => [text().length, up.said()] });
    expect(text()).toBe(`${'a'.repeat(4094)}\n${'b'.repeat(300 * 2049 + 1)}\nend\n`);
  });

  test('other options, taken up while services run: the log goes on there, and nothing else changes', async () => {
    await using up = stack({ plugins: [plugin], prepare: ({ make }) => void make('a', writesNumbers) });
    const pid = await up.runs('a');
    const host = await up.host();
    await grows([up.path('a/main')]);
    const taken = async (name: string): Promise<number> => {
      up.configure({ plugins: [['log-multilog', { ...plugin[1], script: ['t', 'n999', `./${name}`] }]] });
      await up.hangUp();
      await grows([up.path('a', name)]);
      return descriptorsOf(up.up.pid) + descriptorsOf((await up.host()).pid);
    };
    const first = await taken('dir-1');
    for (const name of ['dir-2', 'dir-3', 'dir-4']) expect(await taken(name)).toBe(first);
    expect([up.record('a')?.pid, (await up.host()).pid]).toEqual([pid, host.pid]);
    await end(up, CONFIGURED);
    const dirs = ['main', 'dir-1', 'dir-2', 'dir-3', 'dir-4'].map((name) => up.path('a', name));
    expect(compareWithSent(up.path('a'), linesIn(...dirs))).toEqual(intact);
    expect(dirs.map((dir) => modeOf(join(dir, 'current')))).toEqual(dirs.map(() => '744'));
  });

  test('removed while services run: their output is logged until they start anew, then it goes where nobody asks', async () => {
    await using up = stack({ plugins: [plugin], prepare: ({ make }) => void make('a', writesNumbers) });
    const pid = await up.runs('a');
    await grows([up.path('a/main')]);
    up.configure({ plugins: [] });
    await up.hangUp();
    await grows([up.path('a/main')]);
    await up.svc('-t', 'a');
    await up.runs('a', pid);
    await until(() => up.up.stdout().split('\n').length > 50, { describe: 'the output goes to standard output' });
    up.configure({ plugins: [plugin] });
    await up.hangUp();
    await up.svc('-t', 'a');
    await grows([up.path('a/main')]);
    await end(up, CONFIGURED);
    const [first = '', ...others] = splitByPid(linesIn(up.path('a/main')));
    const between = up.up.stdout().split('\n').slice(0, -1);
    expect([first.startsWith(`${pid} `), others.length, between.length > 50]).toEqual([true, 1, true]);
    expect(compareWithSent(up.path('a'), [...linesIn(up.path('a/main')), ...between])).toEqual(intact);
  });
});

describe.runIf(isRoot)('log-multilog, as root', { concurrent: true }, () => {
  /** Two services: what befalls the log of the first is none of the second one's business. */
  const two = (scriptOfFirst: readonly string[], more: Partial<StackOptions> = {}): Stack =>
    stack({
      plugins: [['log-multilog', { script, ...writer }]],
      services: { a: { 'log-multilog': { script: scriptOfFirst } } },
      ...more,
      prepare(given) {
        for (const name of ['a', 'b']) given.make(name, writesNumbers);
        more.prepare?.(given);
      },
    });
  /** Waits until the log of the first is told to be in trouble, and the second one's goes on meanwhile. */
  const troubled = async (up: Stack, text: RegExp): Promise<void> => {
    await up.speaks(text);
    await grows([up.path('b/main')], 300);
  };
  /** Ends everything: what was said is the trouble, once, and its end. */
  const endTroubled = async (up: Stack, text: RegExp, dirs: readonly string[]): Promise<void> => {
    await up.speaks('supervise: warning: log-multilog: log of a: goes on\n');
    await grows(dirs);
    await end(up, new RegExp(`^${text.source}\n[^\n]*log of a: goes on\n$`));
    expect(compareWithSent(up.path('a'), linesIn(...dirs))).toEqual(intact);
    expect(compareWithSent(up.path('b'), linesIn(up.path('b/main')))).toEqual(intact);
  };

  test('the log directory is missing where only the administrator can make it: told once, and nothing is lost', async () => {
    await using up = two(['t', 'n999', './deep/main']);
    const text =
      /supervise: warning: log-multilog: log of a: unable to open directory \.\/deep\/main: file does not exist/;
    await troubled(up, text);
    mkdirSync(up.path('a/deep'));
    mkdirSync(up.path('a/deep/main'), { mode: 0o700 });
    chownSync(up.path('a/deep/main'), NOBODY, NOBODY);
    await endTroubled(up, text, [up.path('a/deep/main')]);
  });

  test('a service directory that others may write to gets no log directory made by root', async () => {
    await using up = two(script, { prepare: ({ path }) => chmodSync(path('a'), 0o775) });
    const text = /supervise: warning: log-multilog: log of a: unable to open directory \.\/main: file does not exist/;
    await troubled(up, text);
    expect(existsSync(up.path('a/main'))).toBe(false);
    mkdirSync(up.path('a/main'), { mode: 0o700 });
    chownSync(up.path('a/main'), NOBODY, NOBODY);
    await endTroubled(up, text, [up.path('a/main')]);
  });

  test('the log directory is not to be written for a while: told once, and nothing is lost', async () => {
    await using up = two(['t', 's4096', 'n999', './main']);
    await grows([up.path('a/main')]);
    chownSync(up.path('a/main'), 0, 0);
    // Whatever of a rotation it is that meets it first.
    const text = /supervise: warning: log-multilog: log of a: unable to [^\n]* \.\/main[^\n]*, pausing: access denied/;
    await troubled(up, text);
    chownSync(up.path('a/main'), NOBODY, NOBODY);
    await endTroubled(up, text, [up.path('a/main')]);
  });

  test.each(multilogs)(
    'the log directory is another multilog`s ($name): told once, and the log goes on after it',
    async (other) => {
      await using elsewhere = temporaryDirectory();
      const dir = elsewhere.makeDirectory('main');
      chownSync(dir, NOBODY, NOBODY);
      using pipe = slowPipe(elsewhere);
      await using multilog = start(asNobody([other.path('multilog'), dir]), {
        cwd: elsewhere.path,
        stdin: pipe.reader,
      });
      await until(() => existsSync(join(dir, 'current')), { describe: 'it has the directory', state: multilog.stderr });
      await using up = two(['t', 'n999', dir]);
      const text =
        /supervise: warning: log-multilog: log of a: unable to lock directory [^\n]*\/main: temporary failure/;
      await troubled(up, text);
      pipe.end();
      await endTroubled(up, text, [dir]);
    },
  );

  test('two services have the same log directory: the second one waits for the first', async () => {
    await using elsewhere = temporaryDirectory();
    const dir = elsewhere.makeDirectory('main');
    chownSync(dir, NOBODY, NOBODY);
    const own = { 'log-multilog': { script: ['t', 'n999', dir] } };
    await using up = stack({
      plugins: [['log-multilog', writer]],
      services: { a: own, b: own },
      prepare: ({ make }) => void make('a', writesNumbers),
    });
    await grows([dir]);
    up.make('b', writesNumbers);
    process.kill(up.up.pid, 'SIGHUP');
    const text =
      /supervise: warning: log-multilog: log of b: unable to lock directory [^\n]*\/main: temporary failure\n/;
    await up.speaks(text);
    const before = lineCount(dir);
    await up.runs('b');
    await grows([dir], 300);
    const first = linesIn(dir).slice(before);
    expect(splitByPid(first)).toHaveLength(1);
    renameSync(up.path('a'), up.path('.a'));
    await up.svc('-dx', '.a');
    await up.speaks('log of b: goes on\n');
    await grows([dir]);
    await end(up, new RegExp(`^${text.source}[^\n]*log of b: goes on\n$`));
    const ofA = (line: string): boolean => existsSync(up.path('.a', `sent.${line.split(' ')[0]}`));
    expect(compareWithSent(up.path('.a'), linesIn(dir).filter(ofA))).toEqual(intact);
    expect(
      compareWithSent(
        up.path('b'),
        linesIn(dir).filter((line) => !ofA(line)),
      ),
    ).toEqual(intact);
  });

  test('another account, taken up while services run: each writes in its own directory', async () => {
    const plugins = (account: string): StackOptions['plugins'] => [
      ['log-multilog', { script: ['t', 'n999', `./${account}`], account }],
    ];
    await using up = stack({ plugins: plugins('nobody'), prepare: ({ make }) => void make('a', writesNumbers) });
    const pid = await up.runs('a');
    await grows([up.path('a/nobody')]);
    up.configure({ plugins: plugins('daemon') });
    await up.hangUp();
    await grows([up.path('a/daemon')]);
    await up.host(); // the other one is gone
    up.configure({ plugins: plugins('nobody') });
    await up.hangUp();
    await grows([up.path('a/nobody')]);
    expect(up.record('a')?.pid).toBe(pid);
    expect([statSync(up.path('a/nobody/lock')).uid, statSync(up.path('a/daemon/lock')).uid]).toEqual([NOBODY, 1]);
    await end(up, CONFIGURED);
    const dirs = [up.path('a/nobody'), up.path('a/daemon')];
    expect(compareWithSent(up.path('a'), linesIn(...dirs).toSorted(byNumber))).toEqual(intact);
  });

  test('accounts and directories that are changed again and again, while a service floods', async () => {
    const of = (round: number): StackOptions['plugins'] => {
      const account = round % 2 === 0 ? 'nobody' : 'daemon';
      return [['log-multilog', { script: ['t', 's999999', 'n999', `./${account}-${round % 3}`], account }]];
    };
    await using up = stack({ plugins: of(0), prepare: ({ make }) => void make('a', floodsNumbers) });
    const pid = await up.runs('a');
    await grows([up.path('a/nobody-0')]);
    for (let round = 1; round <= 9; round++) {
      up.configure({ plugins: of(round) });
      await up.hangUp();
    }
    await grows([up.path('a/daemon-0')]);
    expect(up.record('a')?.pid).toBe(pid);
    await end(up, CONFIGURED);
    const dirs = readdirSync(up.path('a')).filter((name) => /^(?:nobody|daemon)-/.test(name));
    const lines = linesIn(...dirs.map((name) => up.path('a', name)));
    expect(compareWithSent(up.path('a'), lines.toSorted(byNumber))).toEqual(intact);
  });

  test('another account at the next start of a kernel that was killed: only one host writes', async () => {
    const plugins = (account: string): StackOptions['plugins'] => [
      ['log-multilog', { script: ['t', 'n999', `./${account}`], account }],
    ];
    await using up = stack({ plugins: plugins('nobody'), prepare: ({ make }) => void make('a', writesNumbers) });
    const pid = await up.runs('a');
    const host = await up.host();
    await grows([up.path('a/nobody')]);
    await up.kill();
    up.configure({ plugins: plugins('daemon') });
    up.start();
    await grows([up.path('a/daemon')]);
    await until(() => processState(host.pid) === undefined, { describe: 'the host of before has ended' });
    expect(up.record('a')?.pid).toBe(pid);
    // It waits for the one of before to be dismissed.
    const waits = /[^\n]*log of a: its pipe is read by another log host\n[^\n]*log of a: goes on\n/;
    await end(up, new RegExp(`^supervise: info: a runs already \\(pid ${pid}\\)\n${waits.source}$`));
    expect(compareWithSent(up.path('a'), linesIn(up.path('a/nobody'), up.path('a/daemon')))).toEqual(intact);
  });
});

describe.runIf(canMount)('log-multilog on a full disk', { concurrent: true }, () => {
  const full =
    /supervise: warning: log-multilog: log of a: unable to write to [^\n]*\/main\/current, pausing: out of disk space/;
  const onDisk = (disk: SmallDisk, more: Partial<StackOptions> = {}): Stack =>
    stack({
      through: disk.through,
      plugins: [['log-multilog', { script, ...writer }]],
      services: { a: { 'log-multilog': { script: ['t', 's16384', 'n999', `${disk.path}/main`] } } },
      prepare({ make }) {
        for (const name of ['a', 'b']) make(name, writesNumbers);
      },
      ...more,
    });

  test('it is told once, other services are not affected, and when there is room again nothing is lost', async () => {
    await using disk = await smallDisk({ size: '64k', uid: NOBODY });
    await using up = onDisk(disk);
    await up.speaks(full);
    await grows([up.path('b/main')], 300);
    const pid = await up.runs('a');
    await disk.grow('16m');
    await up.speaks('log of a: goes on\n');
    await grows([join(disk.seen, 'main')]);
    expect(up.record('a')?.pid).toBe(pid);
    await end(up, new RegExp(`^${full.source}\n[^\n]*log of a: goes on\n$`));
    expect(compareWithSent(up.path('a'), linesIn(join(disk.seen, 'main')))).toEqual(intact);
    expect(compareWithSent(up.path('b'), linesIn(up.path('b/main')))).toEqual(intact);
  });

  test('everything is stopped meanwhile: that has its deadline', async () => {
    await using disk = await smallDisk({ size: '64k', uid: NOBODY });
    await using up = onDisk(disk, { stopTimeout: 1 });
    await up.speaks(full);
    expect(await up.stop()).toEqual({ code: 0, signal: undefined });
    expect(up.pids()).toEqual([]);
    expect(up.said()).toMatch(
      new RegExp(
        `^${full.source}\n(?:svscan: warning: log-multilog/[^ ]+ has not ended in time: (?:stopping|killing) it\n)+$`,
      ),
    );
    expect(compareWithSent(up.path('b'), linesIn(up.path('b/main')))).toEqual(intact);
  });
});

/** One text for each process that has written lines. */
function splitByPid(lines: readonly string[]): readonly string[] {
  const texts = new Map<string, string>();
  for (const line of lines) {
    const [pid = ''] = line.split(' ');
    texts.set(pid, `${texts.get(pid) ?? ''}${line}\n`);
  }
  return [...texts.values()];
}

/** Lines of one process, which several directories have. */
function byNumber(one: string, other: string): number {
  return Number(one.split(' ')[1]) - Number(other.split(' ')[1]);
}

function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
