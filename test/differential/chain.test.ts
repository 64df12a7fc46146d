/**
 * What a program finds behind the chain-loading programs: a probe tells, first started by the caller itself, then
 * through each program and through chains of them, ours and C's mixed. Only what a program is there to change may
 * differ.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fatal, isRoot, silent, withEnvironment } from '../e2e/support/chain-loading.ts';
import type { ChainLoader } from '../e2e/support/chain-loading.ts';
import { makeFifo } from '../e2e/support/fifo.ts';
import { daemontap, daemontools, implementations } from '../e2e/support/implementations.ts';
import type { Implementation } from '../e2e/support/implementations.ts';
import { asNobody, canBeNobody } from '../e2e/support/nobody.ts';
import { cleanEnvironment, run } from '../e2e/support/run.ts';
import type { Argument, Outcome } from '../e2e/support/run.ts';
import { start } from '../e2e/support/start.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import { childrenOf } from '../e2e/support/supervised.ts';
import { until } from '../e2e/support/until.ts';

const PERL = '/usr/bin/perl';
const PRLIMIT = '/usr/bin/prlimit';
const SCRIPT = '/usr/bin/script';
const STRACE = '/usr/bin/strace';

const canProbe = existsSync(PERL) && existsSync(PRLIMIT);
if (!canProbe) console.log('skipped: what a program finds behind a chain; it needs perl and prlimit');
const hasTerminal = canProbe && existsSync(SCRIPT);
if (!hasTerminal) console.log('skipped: chains on a terminal; they need script');
const canTrace = spawnSync(STRACE, ['-qq', '/bin/true']).status === 0;
if (!canTrace) console.log('skipped: how many writes and starts there are; it needs strace, and the right to trace');

/**
 * Writes records `key NUL value NUL` to the file report: all that a process can know of itself. Processes are told by
 * what they are to the caller, whose ids are in the variable CALLER.
 */
const PROBE = `opendir my $dir, '/proc/self/fd' or die; my $own = fileno $dir;
  my @fds = sort { $a <=> $b } grep { /\\d/ && $_ != $own } readdir $dir; closedir $dir;
  my @links = map { readlink "/proc/self/fd/$_" } @fds;
  sub all { local $/; open my $in, '<', $_[0] or return "unreadable\\n"; <$in> }
  my @found; sub tell_of { push @found, @_ }
  for my $fd (@fds) {
    my ($pos, $flags) = all("/proc/self/fdinfo/$fd") =~ /pos:\\s*(\\d+)\\nflags:\\s*(\\d+)/; my $link = shift @links;
    $link =~ s/^(pipe|socket):.*/$1/; $link =~ s/\\d+$/N/ if $link =~ m(^/dev/pts/); tell_of('fd', "$fd $link $flags $pos");
  }
  tell_of('rest of input', do { my $all = ''; 1 while sysread STDIN, $all, 100, length $all; $all }) if $ARGV[0] eq 'reads';
  tell_of('child', waitpid(-1, 1)); tell_of('alarm', alarm(0) > 0 ? 'set' : 'none');
  tell_of('argument', $_) for map { split /\\0/, $_, -1 } all('/proc/self/cmdline');
  my @strings = split /\\0/, all('/proc/self/environ'), -1; pop @strings;
  my ($caller) = grep { /^CALLER=/ } @strings; my ($pid, $parent, $group, $session) = $caller =~ /(\\d+)/g;
  s/^CALLER=.*/CALLER/ for @strings; tell_of('string', $_) for @strings;
  tell_of('directory', readlink '/proc/self/cwd'); tell_of('umask', sprintf '%o', umask);
  my @stat = split ' ', all('/proc/self/stat') =~ s/.*\\)//sr;
  my $is = sub { my ($id, %known) = @_; $known{$id} // ($id == $$ ? 'itself' : 'another') };
  tell_of('pid', $is->($$, $pid => 'caller'));
  tell_of('parent', $is->($stat[1], $pid => 'caller', $parent => 'of the caller'));
  tell_of('group', $is->($stat[2], $pid => 'caller', $group => 'of the caller'));
  tell_of('session', $is->($stat[3], $pid => 'caller', $session => 'of the caller'));
  tell_of('terminal', $stat[4] ? 'some' : 'none'); tell_of('nice', $stat[16]); tell_of('policy', $stat[38]);
  my ($status, $limits) = (all('/proc/self/status'), all('/proc/self/limits'));
  tell_of($1, $2) while $status =~
    /^(SigIgn|SigBlk|SigPnd|ShdPnd|Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp|Cpus_allowed|Threads|THP_enabled):[ \\t]*(.*?) *$/mg;
  tell_of("limit $1", "$2 $3") while $limits =~ /^Max (.*?) {2,}(\\S+) +(\\S+)/mg;
  tell_of($_, all("/proc/self/$_")) for qw(oom_score_adj personality timerslack_ns coredump_filter);
  my $file = $ARGV[1]; open my $out, '>', "$file.new" or die; print $out map { "$_\\0" } @found; close $out;
  rename "$file.new", $file`;

/** What the probe has told: the values of each key. */
type Found = Readonly<Record<string, readonly string[]>>;

interface Caller {
  readonly what: string;
  /** Done in perl, before the chain is executed. */
  readonly setUp: string;
  /** In the place of {@link ordinary}. */
  readonly strings?: readonly Argument[];
  /** Words in front of the perl, and between that and the chain. */
  readonly before?: readonly Argument[];
  readonly between?: readonly string[];
  /** The probe reads what there is of its input. */
  readonly reads?: boolean;
  /** In the place of {@link few}. */
  readonly through?: readonly ChainLoader[];
  /** In the place of all. */
  readonly by?: readonly Implementation[];
}

const every: readonly ChainLoader[] = [
  'envdir',
  'envuidgid',
  'setuidgid',
  'softlimit',
  'setlock',
  'pgrphack',
  'fghack',
];

/** Those that differ most in what they do: one that replaces itself, one that opens a file, one that forks. */
const few: readonly ChainLoader[] = ['setuidgid', 'setlock', 'fghack'];

const ordinary: readonly string[] = ['PATH=/usr/bin:/bin', 'A=old', 'B=old', 'UID=old', 'HOME=/'];

const odd: readonly Argument[] = [
  'A=1',
  'a.b=1',
  'FOO-BAR=two\nlines',
  'PWD=/wrong',
  'OLDPWD=',
  'SHLVL=7',
  '_=x',
  'IFS=/',
  'B=old',
  'A=2',
  'NODE_OPTIONS=--no-such-option',
  'UV_THREADPOOL_SIZE=1',
  'NODE_ENV',
  '=x',
  '',
  Uint8Array.of(0x6e, 0xff, 0xfe, 0x3d, 0x80, 0xc3, 0x28),
  'UID=old',
  'UID=older',
  'program=x',
  'package=x',
  'node_options=--x',
  'DAEMONTAP_INHERITED=1024 0 0 0',
  'LC_ALL=no_SUCH.locale',
  'PERL_BADLANG=0',
  'PATH=/usr/bin:/bin',
];

/** Standard error goes to a file, so that nothing said on the way is missed; all else is closed. */
const CLEAN = `use POSIX; my $terminal = readlink '/proc/self/fd/0'; POSIX::close($_) for 3 .. 1023; my $error = POSIX::open('error', O_WRONLY | O_APPEND | O_CREAT, 0666);
  POSIX::dup2($error, 2); POSIX::close($error); sub put { my ($from, @to) = @_; POSIX::dup2($from, $_) for @to; POSIX::close($from) }
  push @strings, "CALLER=$$ " . getppid . ' ' . getpgrp . ' ' . (split ' ', do { open my $in, '<', '/proc/self/stat'; <$in> })[5];
  put(POSIX::open('/dev/null', O_RDONLY), 0); put(POSIX::open('/dev/null', O_WRONLY), 1);`;

const INPUT = `put(POSIX::open('input', O_RDONLY), 0, 9); POSIX::read(0, my $first, 4);`;

/** Pipes as the first two descriptors, one with some input; the other ends are far up. */
const pipes = (
  more: string,
): string => `my ($r, $w) = POSIX::pipe(); POSIX::write($w, "some input\\n", 11); POSIX::close($w); put($r, 0);
  ($r, $w) = POSIX::pipe(); put($w, 1); put($r, 200); ${more}`;

const hard = `my $all = POSIX::SigSet->new(POSIX::SIGUSR2, POSIX::SIGALRM, POSIX::SIGTERM, POSIX::SIGCHLD, 34, 63);
  $SIG{$_} = 'IGNORE' for qw(HUP QUIT USR1 XFSZ TTOU PIPE NUM35 NUM64); POSIX::sigprocmask(POSIX::SIG_SETMASK, $all);
  umask 0027; POSIX::nice(3); alarm 10000; ${INPUT}
  put(POSIX::open('/dev/null', O_RDONLY | O_NONBLOCK), 10, 15); put(POSIX::open('output', O_WRONLY | O_APPEND | O_CREAT, 0666), 12, 16, 300);
  put(POSIX::open('/', O_RDONLY), 17);`;

const limits: readonly string[] = [PRLIMIT, '--nofile=400:', '--core=5:', '--stack=4000000:'];

const difficult: Caller = {
  what: 'low limits, ignored and blocked signals, odd descriptors, an odd environment and half of the input read',
  before: [...limits, ...(isRoot ? ['/usr/bin/setpriv', '--groups=5,60,1000'] : [])],
  setUp: hard,
  strings: odd,
  reads: true,
  through: every,
};

/** What is seldom set, but inherited: some rights and no others, a processor, a way to be scheduled, and so on. */
const particular: Caller = {
  what: 'rights, processors and priorities of a particular kind',
  before: [
    ...['/usr/bin/setpriv', '--inh-caps=+net_raw', '--ambient-caps=+net_raw', '--bounding-set=-sys_time'],
    ...['/usr/bin/setpriv', '--no-new-privs', '/usr/bin/taskset', '1', '/usr/bin/chrt', '--batch', '0'],
  ],
  setUp: `for (['oom_score_adj', 200], ['coredump_filter', 7], ['timerslack_ns', 60000]) {
    open my $out, '>', "/proc/self/$$_[0]"; print $out $$_[1]; close $out;
  }`,
};

const callers: readonly Caller[] = [
  { what: 'nothing special', setUp: '', through: every },
  difficult,
  { what: 'pipes', setUp: pipes(''), reads: true },
  {
    what: 'pipes that do not block',
    setUp: pipes('fcntl STDIN, F_SETFL, O_RDONLY | O_NONBLOCK; fcntl STDOUT, F_SETFL, O_WRONLY | O_NONBLOCK;'),
    reads: true,
  },
  {
    what: 'files open for reading and writing, one that does not block',
    setUp: `put(POSIX::open('input', O_RDWR | O_NONBLOCK), 0, 1); POSIX::read(0, my $first, 4);`,
    reads: true,
  },
  {
    what: 'all descriptors from 3 to 40',
    setUp: `put(POSIX::open('/dev/null', O_RDWR), 3 .. 40); POSIX::dup2(3, 41); POSIX::dup2(41, 3); POSIX::close(41);`,
  },
  {
    what: 'descriptors above the limit',
    setUp: `put(POSIX::open('/dev/null', O_RDONLY), 150, 900);`,
    between: [PRLIMIT, '--nofile=100:'],
  },
  { what: 'a hard limit of 100 descriptors', setUp: '', between: [PRLIMIT, '--nofile=60:100'] },
  {
    // Not through ours: Node lets it through at once (docs/compatibility.md, probes/node-start).
    what: 'a signal that waits to be let through',
    by: [daemontools],
    setUp: `POSIX::sigprocmask(POSIX::SIG_BLOCK, POSIX::SigSet->new(POSIX::SIGUSR2)); kill 'USR2', $$;`,
  },
  { what: 'CHLD ignored', setUp: `$SIG{CHLD} = 'IGNORE';`, through: few.filter((each) => each !== 'fghack') },
  { what: 'every signal ignored', setUp: `$SIG{$_} = 'IGNORE' for grep { !/CHLD|CLD/ } keys %SIG;` },
  {
    what: 'every signal blocked',
    setUp: 'my $all = POSIX::SigSet->new; $all->fillset; POSIX::sigprocmask(POSIX::SIG_SETMASK, $all);',
  },
  {
    what: 'an environment of 500,000 bytes',
    setUp: '',
    strings: [...ordinary, ...Array.from({ length: 5 }, (_, index) => `BIG${index}=${'x'.repeat(100_000)}`)],
  },
  { what: 'an empty environment', setUp: '', strings: [], through: [...few, 'envdir', 'envuidgid'] },
  { what: 'a session of its own', setUp: 'POSIX::setsid();', through: ['pgrphack', 'fghack'] },
  { what: 'a group of its own', setUp: 'setpgrp;', through: ['pgrphack', 'fghack'] },
  ...(isRoot ? [particular] : []),
  ...(canBeNobody
    ? [
        {
          ...difficult,
          what: 'all this, and no rights',
          before: [...limits, ...asNobody([])],
          through: every.filter((each) => each !== 'setuidgid'),
        },
      ]
    : []),
];

/** One program of a chain. */
interface Step {
  readonly program: ChainLoader;
  readonly by: Implementation;
}

/** The words of each program; each in a chain locks a file of its own. */
const words: Readonly<Record<ChainLoader, (index: number) => readonly string[]>> = {
  envdir: () => ['variables'],
  envuidgid: () => ['games'],
  setuidgid: () => ['nobody'],
  softlimit: () => ['-o', '90', '-c', '3', '-t', '5000'],
  setlock: (index) => ['-n', `lock${index}`],
  pgrphack: () => [],
  fghack: () => [],
};

/** What each program changes. */
const changes: Readonly<Record<ChainLoader, (found: Found, index: number) => Found>> = {
  envdir: (found) => ({
    ...found,
    string: [...withoutFirst(found, 'A', 'B', 'n\xff'), 'A=new \xff', 'n\xff=one\ntwo'],
  }),
  envuidgid: (found) => ({ ...found, string: [...withoutFirst(found, 'GID', 'UID'), 'GID=60', 'UID=5'] }),
  setuidgid: (found) => ({
    ...found,
    Uid: ['65534\t65534\t65534\t65534'],
    Gid: ['65534\t65534\t65534\t65534'],
    Groups: ['65534'],
    ...Object.fromEntries(['CapPrm', 'CapEff', 'CapAmb'].map((key) => [key, ['0000000000000000']])),
  }),
  softlimit: (found) => ({
    ...found,
    'limit open files': [`90 ${hardLimit(found, 'open files')}`],
    'limit core file size': [`3 ${hardLimit(found, 'core file size')}`],
    'limit cpu time': [`5000 ${hardLimit(found, 'cpu time')}`],
  }),
  setlock: (found, index) => ({ ...found, fd: withDescriptors(found, 1, `HERE/lock${index} 0106001 0`) }),
  pgrphack(found) {
    const [self = ''] = found['pid'] ?? [];
    const leads = found['session']?.[0] === self || found['group']?.[0] === self;
    return leads ? found : { ...found, group: [self], session: [self], terminal: ['none'] };
  },
  fghack(found) {
    const older = (key: string): readonly string[] => (found[key]?.[0] === 'itself' ? ['another'] : (found[key] ?? []));
    return {
      ...found,
      pid: ['itself'],
      parent: [found['pid']?.[0] === 'caller' ? 'caller' : 'another'],
      group: older('group'),
      session: older('session'),
      // A child inherits neither.
      alarm: ['none'],
      ShdPnd: ['0000000000000000'],
      fd: withDescriptors(found, 31, 'pipe 01 0'),
    };
  },
};

function withoutFirst(found: Found, ...names: readonly string[]): readonly string[] {
  const strings = [...(found['string'] ?? [])];
  for (const name of names) {
    const index = strings.findIndex((each) => each.startsWith(`${name}=`));
    if (index >= 0) strings.splice(index, 1);
  }
  return strings;
}

function hardLimit(found: Found, name: string): string {
  return found[`limit ${name}`]?.[0]?.split(' ')[1] ?? '';
}

/** More descriptors, the lowest that are free; fghack closes one that it had between them, the reading end. */
function withDescriptors(found: Found, count: number, what: string): readonly string[] {
  const lines = [...(found['fd'] ?? [])];
  const isTaken = (fd: number): boolean => lines.some((line) => line.startsWith(`${fd} `));
  for (let fd = 0, left = count; left > 0; fd++) {
    if (isTaken(fd)) continue;
    lines.push(`${fd} ${what}`);
    left--;
  }
  return lines.toSorted((a, b) => parseInt(a, 10) - parseInt(b, 10));
}

/** What the probe finds behind a chain; the environment in the order of the alphabet. */
async function found(caller: Caller, chain: readonly Step[], isOnTerminal = false): Promise<Found> {
  await using here = temporaryDirectory();
  chmodSync(here.path, 0o777);
  writeFileSync(here.join('input'), 'one\ntwo\nthree\n');
  here.makeDirectory('variables');
  writeFileSync(here.join('variables/A'), Uint8Array.of(...Buffer.from('new '), 0xff, 0x0a));
  writeFileSync(here.join('variables/B'), '');
  writeFileSync(Buffer.concat([Buffer.from(here.join('variables/n')), Uint8Array.of(0xff)]), 'one\0two');
  for (const name of ['lock0', 'lock1', 'lock2', 'lock3', 'lock4', 'output', 'error']) {
    writeFileSync(here.join(name), '');
    chmodSync(here.join(name), 0o666);
  }
  const argv = [
    ...(caller.between ?? []),
    ...chain.flatMap(({ program, by }, index) => [by.path(program), ...words[program](index)]),
    ...[PERL, '-e', PROBE, caller.reads === true ? 'reads' : '', 'report'],
  ];
  const started = [
    ...(caller.before ?? []),
    ...withEnvironment(caller.strings ?? ordinary, argv, CLEAN + caller.setUp),
  ];
  const outcome = isOnTerminal
    ? await run([SCRIPT, '-qec', `${started.map(quoted).join(' ')}; :`, '/dev/null'], { cwd: here.path })
    : await run(started, { cwd: here.path });
  expect([readFileSync(here.join('error'), 'latin1'), outcome]).toEqual(['', silent]);
  const records = readFileSync(here.join('report'), 'latin1').replaceAll(here.path, 'HERE').split('\0').slice(0, -1);
  const report: Record<string, string[]> = {};
  for (let index = 0; index < records.length; index += 2) {
    (report[records[index] ?? ''] ??= []).push(records[index + 1] ?? '');
  }
  return report;
}

/** A word as it is written for a shell. */
function quoted(word: Argument): string {
  return `'${String(word).replaceAll("'", "'\\''")}'`;
}

/** What it must find, from what it finds behind nothing. */
function expected(direct: Found, chain: readonly ChainLoader[]): Found {
  let result = direct;
  for (const [index, program] of chain.entries()) result = changes[program](result, index);
  return result;
}

/** The order of an environment is nobody's business once something was changed in it. */
function inOrder(report: Found, chain: readonly ChainLoader[]): Found {
  if (!chain.includes('envdir') && !chain.includes('envuidgid')) return report;
  return { ...report, string: (report['string'] ?? []).toSorted() };
}

const programs = every.filter((each) => each !== 'setuidgid' || isRoot);

describe.runIf(canProbe).concurrent('a program behind one chain-loading program that is called with', () => {
  test.each(callers.map((caller) => [caller.what, caller] as const))(
    '%s: finds all of that but for what the program changes',
    async (_, caller) => {
      const direct = await found(caller, []);
      expect(direct['pid']).toEqual(['caller']);
      const called = (caller.through ?? few).filter((each) => each !== 'setuidgid' || isRoot);
      const all = (caller.by ?? implementations).flatMap((by) => called.map((program) => ({ program, by })));
      for (const step of all) {
        const chain = [step.program];
        expect(inOrder(await found(caller, [step]), chain), `${step.program} of ${step.by.name}`).toEqual(
          inOrder(expected(direct, chain), chain),
        );
      }
    },
  );

  test.runIf(hasTerminal)('a terminal: finds it as it was', async () => {
    // The terminal in the place of what CLEAN has put there.
    const onTerminal = { what: '', setUp: `put(POSIX::open($terminal, O_RDWR), 0, 1);` };
    const direct = await found(onTerminal, [], true);
    expect([direct['terminal'], direct['fd']?.[0]]).toEqual([['some'], '0 /dev/pts/N 0100002 0']);
    for (const by of implementations) {
      for (const program of programs) {
        expect(
          inOrder(await found(onTerminal, [{ program, by }], true), [program]),
          `${program} of ${by.name}`,
        ).toEqual(inOrder(expected(direct, [program]), [program]));
      }
    }
  });
});

/** Chains of two to five. */
const chains: readonly (readonly ChainLoader[])[] = [
  ['setlock', 'setuidgid'],
  ['softlimit', 'setuidgid'],
  ['setuidgid', 'softlimit'],
  ['envdir', 'envuidgid'],
  ['envuidgid', 'pgrphack'],
  ['pgrphack', 'fghack'],
  ['fghack', 'setlock'],
  ['setlock', 'setlock'],
  ['fghack', 'fghack'],
  ['setlock', 'envuidgid', 'setuidgid'],
  ['softlimit', 'envdir', 'setlock'],
  ['pgrphack', 'setuidgid', 'fghack'],
  ['fghack', 'softlimit', 'setuidgid'],
  ['setlock', 'envdir', 'softlimit', 'setuidgid'],
  ['setuidgid', 'fghack', 'pgrphack', 'setlock'],
  ['pgrphack', 'setlock', 'envdir', 'softlimit', 'setuidgid'],
  ['setuidgid', 'softlimit', 'envuidgid', 'envdir', 'pgrphack'],
  ['envuidgid', 'fghack', 'setlock', 'softlimit', 'setuidgid'],
];

/** Whose program each is: all of one, taking turns, one before the others, one behind them. */
function makers(count: number): readonly (readonly Implementation[])[] {
  const [first, second] = implementations;
  if (first === undefined || second === undefined) return implementations.map((each) => Array(count).fill(each));
  const patterns = [
    () => true,
    (index: number) => index % 2 === 0,
    (index: number) => index === 0,
    (index: number) => index < count - 1,
  ];
  const all = patterns.flatMap((isFirst) =>
    [first, second].map((one) => {
      const other = one === first ? second : first;
      return Array.from({ length: count }, (_, index) => (isFirst(index) ? one : other));
    }),
  );
  const key = (list: readonly Implementation[]): string => list.map(({ name }) => name).join();
  return [...new Map(all.map((each) => [key(each), each])).values()];
}

describe.runIf(canProbe).concurrent('a program behind a chain of', () => {
  test.each(
    chains.filter((chain) => isRoot || !chain.includes('setuidgid')).map((chain) => [chain.join(', '), chain] as const),
  )('%s, whoever made them, finds all that the caller had but for what they change', async (_, chain) => {
    const direct = await found(difficult, []);
    const should = inOrder(expected(direct, chain), chain);
    for (const by of makers(chain.length)) {
      const steps = chain.map((program, index) => ({ program, by: by[index] ?? daemontap }));
      const title = steps.map((step) => `${step.program} of ${step.by.name}`).join(', ');
      expect(inOrder(await found(difficult, steps), chain), title).toEqual(should);
    }
  });
});

describe.each(implementations)('a program behind chain-loading programs ($name)', (implementation) => {
  const path = (program: ChainLoader): string => implementation.path(program);

  /** The words of a program, with those that change nothing. */
  const through = (program: ChainLoader): readonly string[] => {
    const given: Readonly<Partial<Record<ChainLoader, readonly string[]>>> = {
      envdir: ['variables'],
      envuidgid: ['nobody'],
      setuidgid: ['root'],
      softlimit: ['-c', '='],
      setlock: ['lock'],
    };
    return [path(program), ...(given[program] ?? [])];
  };
  const here = () => {
    const directory = temporaryDirectory();
    directory.makeDirectory('variables');
    return directory;
  };

  describe.runIf(canProbe).concurrent('each alone', () => {
    test.each(programs)('%s: descriptors of the first three that are closed stay closed', async (program) => {
      for (const closed of ['0', '1', '0, 1, 2']) {
        await using directory = here();
        const close = [PERL, '-MPOSIX', '-e', `POSIX::close($_) for ${closed}, 3 .. 1023; exec @ARGV`];
        // It opens nothing: perl, a shell and ls take the lowest descriptor.
        const descriptors = async (argv: readonly string[]): Promise<readonly string[]> => {
          await using started = start([...close, ...argv, '/bin/sleep', '1000'], { cwd: directory.path });
          // Once it sleeps, it has closed the libraries that it was loaded from.
          const isAsleep = (pid: number): boolean => /^State:\tS/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
          const isSleep = (pid: number): boolean => commandOf(pid) === 'sleep' && isAsleep(pid);
          const sleeps = (): number | false => [started.pid, ...childrenOf(started.pid)].find(isSleep) ?? false;
          const pid = await until(sleeps, { describe: 'the program runs', state: started.stderr });
          const lines = readdirSync(`/proc/${pid}/fd`).map((fd) => {
            const link = readlinkSync(`/proc/${pid}/fd/${fd}`).replace(directory.path, 'HERE');
            return `${fd} ${link.replace(/:\[.*/, '').replace(/.*\/std/, 'std')}`;
          });
          process.kill(pid, 'SIGKILL');
          await started.exit;
          return lines.toSorted();
        };
        const direct = await descriptors([]);
        expect(direct).toHaveLength(3 - closed.split(',').length);
        const added = program === 'setlock' ? 1 : program === 'fghack' ? 31 : 0;
        expect(await descriptors(through(program)), closed).toEqual(
          withDescriptors({ fd: direct }, added, added === 1 ? 'HERE/lock' : 'pipe').toSorted(),
        );
      }
    });

    test.each(programs)('%s: signals that perl would ignore or not by itself', async (program) => {
      await using directory = here();
      const tell = ['/bin/grep', '-E', '^(Sig|Shd)(Ign|Blk|Cgt|Pnd)', '/proc/self/status'];
      for (const set of ["$SIG{FPE} = 'IGNORE'", "$SIG{FPE} = 'DEFAULT'", "$SIG{$_} = 'DEFAULT' for keys %SIG"]) {
        const outcome = (argv: readonly string[]): Promise<Outcome> =>
          run(withEnvironment(ordinary, [...argv, ...tell], set), { cwd: directory.path });
        const direct = await outcome([]);
        expect(direct.stdout).toContain('SigIgn:');
        expect(await outcome(through(program)), set).toEqual(direct);
      }
    });

    test.each(programs)(
      '%s: variables that mean something to Node or to a shell mean nothing on the way',
      async (program) => {
        await using directory = here();
        const strings = [
          'PATH=/usr/bin:/bin',
          'NODE_DEBUG=fs,module,net,child_process',
          'NODE_DEBUG_NATIVE=all',
          'NODE_V8_COVERAGE=coverage',
          'NODE_COMPILE_CACHE=compiled',
          'NODE_EXTRA_CA_CERTS=/no/such',
          'NODE_PENDING_DEPRECATION=1',
          'NODE_REDIRECT_WARNINGS=warnings',
          'NODE_PATH=/no/such',
          'NODE_ICU_DATA=/no/such',
          'NODE_CHANNEL_FD=9',
          'NODE_UNIQUE_ID=1',
          'NODE_TEST_CONTEXT=child',
          'OPENSSL_CONF=/no/such',
          'SSL_CERT_FILE=/no/such',
          'UV_USE_IO_URING=1',
          'FORCE_COLOR=1',
          'ENV=/no/such',
          'BASH_ENV=/no/such',
          'CDPATH=/',
          'PS4=x',
          'IFS=/:.',
          'HOME=/no/such',
          'TMPDIR=/no/such',
          'LC_ALL=C',
        ];
        const argv = [...through(program), '/bin/cat', '/proc/self/environ'];
        const { stdout, ...rest } = await run(withEnvironment(strings, argv), { cwd: directory.path });
        expect(rest).toEqual({ code: 0, signal: undefined, stderr: '' });
        const ids = program === 'envuidgid' ? ['GID=65534', 'UID=65534'] : [];
        expect(stdout.split('\0').slice(0, -1).toSorted()).toEqual([...strings, ...ids].toSorted());
        expect(readdirSync(directory.path).filter((name) => name !== 'lock')).toEqual(['variables']);
      },
    );

    test.each(programs)('%s: a million bytes of arguments', async (program) => {
      await using directory = here();
      const argv = [
        ...through(program),
        'sh',
        '-c',
        'echo $# ${#1}',
        'sh',
        ...Array.from({ length: 10 }, () => 'x'.repeat(100_000)),
      ];
      expect(await run(argv, { cwd: directory.path })).toEqual({ ...silent, stdout: '10 100000\n' });
    });

    test.each(programs)('%s: a message that nobody can get ends it by PIPE, or with its code', async (program) => {
      await using directory = here();
      const outcome = (script: string): Promise<Outcome> =>
        run([PERL, '-MPOSIX', '-e', `${script}; exec @ARGV`, ...through(program), './nonexist'], {
          cwd: directory.path,
        });
      const unread = 'my ($r, $w) = POSIX::pipe(); POSIX::dup2($w, 2); POSIX::close($_) for $r, $w';
      expect(await outcome(unread)).toEqual({ ...silent, code: undefined, signal: 'SIGPIPE' });
      expect(await outcome(`$SIG{PIPE} = 'IGNORE'; ${unread}`)).toEqual({ ...silent, code: 111 });
      expect(await outcome('POSIX::close(2)')).toEqual({ ...silent, code: 111 });
      expect(await outcome("POSIX::dup2(POSIX::open('/dev/full', O_WRONLY), 2)")).toEqual({ ...silent, code: 111 });
    });

    test.runIf(canTrace).each(programs)(
      '%s: a message of more than 256 bytes is several writes in C, and one in ours (docs/compatibility.md)',
      async (program) => {
        await using directory = here();
        const name = `${'./'.repeat(300)}nonexist`;
        const trace = directory.join('trace');
        const strace = [STRACE, '-f', '-qq', '-e', 'trace=write', '-s', '2000', '-o', trace];
        const outcome = await run([...strace, ...through(program), name], { cwd: directory.path });
        expect(outcome).toEqual(fatal(program, `unable to run ${name}: file does not exist`));
        const sizes = [...readFileSync(trace, 'latin1').matchAll(/\bwrite\(2, .*\) += (\d+)$/gm)].map(([, size]) =>
          Number(size),
        );
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(outcome.stderr.length);
        if (implementation === daemontap) expect(sizes).toHaveLength(1);
        else expect(sizes.length).toBeGreaterThan(1);
      },
    );
  });

  describe.concurrent('in chains', () => {
    test.runIf(isRoot)(
      'a chain goes on as the account that it has become: files are made, and refused, as for that',
      async () => {
        await using directory = here();
        chmodSync(directory.path, 0o777);
        writeFileSync(directory.join('mine'), '', { mode: 0o600 });
        const outcome = (...argv: readonly string[]): Promise<Outcome> => run(argv, { cwd: directory.path });
        const become = [path('setuidgid'), 'games'];
        expect(await outcome(...become, path('setlock'), 'made', 'id', '-u')).toEqual({ ...silent, stdout: '5\n' });
        const { uid, gid, mode } = statSync(directory.join('made'));
        expect([uid, gid, mode & 0o7777]).toEqual([5, 60, 0o600]);
        expect(await outcome(...become, path('setlock'), 'mine', 'true')).toEqual(
          fatal('setlock', 'unable to open mine: access denied'),
        );
        expect(await outcome(...become, path('setlock'), '-x', 'mine', 'true')).toEqual(silent);
        writeFileSync(directory.join('variables/A'), 'one', { mode: 0o600 });
        expect(await outcome(...become, path('envdir'), 'variables', 'true')).toEqual(
          fatal('envdir', 'unable to read variables/A: access denied'),
        );
        expect(await outcome(...become, path('setuidgid'), 'games', 'true')).toEqual(
          fatal('setuidgid', 'unable to setgid: permission denied'),
        );
      },
    );

    test.runIf(isRoot)('a program of ours that the account may not execute is refused as any other', async () => {
      await using directory = here();
      mkdirSync(directory.join('secret'), { mode: 0o700 });
      symlinkSync(path('pgrphack'), directory.join('secret/pgrphack'));
      const env = { ...cleanEnvironment, PATH: `${directory.join('secret')}:/usr/bin:/bin` };
      expect(
        await run([path('setuidgid'), 'games', 'secret/pgrphack', 'echo', 'ran'], { cwd: directory.path }),
      ).toEqual(fatal('setuidgid', 'unable to run secret/pgrphack: access denied'));
      expect(await run([path('setuidgid'), 'root', 'pgrphack', 'echo', 'ran'], { cwd: directory.path, env })).toEqual({
        ...silent,
        stdout: 'ran\n',
      });
    });

    test('what has the name of a program of ours, and comes first on PATH, is taken', async () => {
      await using directory = here();
      directory.makeDirectory('fake');
      writeFileSync(directory.join('fake/setlock'), '#!/bin/sh\necho "fake $*"\n', { mode: 0o755 });
      writeFileSync(directory.join('fake/pgrphack'), '#!/bin/sh\n', { mode: 0o644 });
      const outcome = (PATH: string, ...argv: readonly string[]): Promise<Outcome> =>
        run(argv, { cwd: directory.path, env: { ...cleanEnvironment, PATH } });
      const both = `fake:${implementation.programDir}:/usr/bin:/bin`;
      expect(await outcome(both, path('envdir'), 'variables', 'setlock', 'x')).toEqual({
        ...silent,
        stdout: 'fake x\n',
      });
      expect(await outcome(both, path('envdir'), 'variables', 'pgrphack', 'echo', 'ran')).toEqual({
        ...silent,
        stdout: 'ran\n',
      });
      expect(await outcome('fake', path('envdir'), 'variables', 'fghack', 'true')).toEqual(
        fatal('envdir', 'unable to run fghack: file does not exist'),
      );
      expect(await outcome('fake', path('envdir'), 'variables', './setlock')).toEqual(
        fatal('envdir', 'unable to run ./setlock: file does not exist'),
      );
    });

    test.each([
      [100, 'setlock: usage: setlock [ -nNxX ] file program [ arg ... ]\n', ['setlock', 'x']],
      [100, 'pgrphack: usage: pgrphack child\n', ['pgrphack']],
      [111, 'envdir: usage: envdir dir child\n', ['envdir', 'x']],
      [111, 'envuidgid: fatal: unknown account nosuchuser\n', ['envuidgid', 'nosuchuser', 'true']],
      [111, 'setlock: fatal: unable to open no/such: file does not exist\n', ['setlock', 'no/such', 'true']],
      [
        111,
        'setlock: fatal: unable to run ./nonexist: file does not exist\n',
        ['setlock', '-nx', 'lock', './nonexist'],
      ],
      [111, 'fghack: fatal: unable to run ./nonexist: file does not exist\n', ['fghack', './nonexist']],
      [0, '', ['setlock', '-x', 'no/such', 'true']],
    ] as const)(
      'exits %i and says %j where a later program ends the chain',
      async (code, stderr, [program, ...rest]) => {
        await using directory = here();
        const end = [path(program), ...rest];
        const first = { ...silent, code, stderr };
        const outcome = (...argv: readonly string[]): Promise<Outcome> => run(argv, { cwd: directory.path });
        expect(await outcome(...through('softlimit'), ...end)).toEqual(first);
        expect(await outcome(...through('envdir'), ...through('pgrphack'), ...through('envuidgid'), ...end)).toEqual(
          first,
        );
        expect(await outcome(...through('fghack'), ...end)).toEqual(first);
      },
    );

    test('a complaint about options names a later program as it was called', async () => {
      await using directory = here();
      symlinkSync(path('setlock'), directory.join('lock it'));
      const { stderr, code } = await run([path('pgrphack'), './lock it', '-q'], { cwd: directory.path });
      expect([code, stderr.split('\n')[0]]).toEqual([100, 'lock it: illegal option -- q']);
    });

    test('fghack in front of a chain, and behind one, exits as the program', async () => {
      await using directory = here();
      const outcome = (...argv: readonly string[]): Promise<Outcome> => run(argv, { cwd: directory.path });
      const end = ['sh', '-c', 'echo hi; exit 5'];
      const said = { ...silent, code: 5, stdout: 'hi\n' };
      expect(await outcome(...through('fghack'), ...through('envdir'), ...through('pgrphack'), ...end)).toEqual(said);
      expect(await outcome(...through('envdir'), ...through('fghack'), ...end)).toEqual(said);
      expect(await outcome(...through('pgrphack'), ...through('fghack'), ...through('setlock'), ...end)).toEqual(said);
      expect(await outcome(...through('softlimit'), ...through('fghack'), 'sh', '-c', 'kill -9 $$')).toEqual(
        fatal('fghack', 'child crashed'),
      );
    });

    test('a limit in which only the last program can live', async () => {
      await using directory = here();
      const low = [path('softlimit'), '-m', '3000000', '-o', '5'];
      const account = isRoot ? [path('setuidgid'), 'nobody'] : through('pgrphack');
      const outcome = (...argv: readonly string[]): Promise<Outcome> =>
        run([...argv, '/bin/true'], { cwd: directory.path });
      expect(await outcome(...low, ...account)).toEqual(silent);
      expect(await outcome(...account, ...low)).toEqual(silent);
      expect(await outcome(...low, ...through('envdir'), ...through('setlock'), ...account)).toEqual(silent);
      expect(await outcome(...low.slice(0, 3), ...through('fghack'))).toEqual(silent);
      expect(await outcome(...low, ...low, ...through('envuidgid'), ...through('pgrphack'))).toEqual(silent);
    });
  });
});

const pairs = implementations.flatMap((first) => implementations.map((second) => ({ first, second })));

describe.runIf(isRoot).concurrent('a lock of root', () => {
  test.each(
    pairs.map((pair) => ({ ...pair, title: `setlock of ${pair.first.name}, setuidgid of ${pair.second.name}` })),
  )('is held by the program that setuidgid starts behind setlock ($title)', async ({ first, second }) => {
    await using directory = temporaryDirectory();
    makeFifo(directory.join('end'));
    chmodSync(directory.join('end'), 0o666);
    const argv = [first.path('setlock'), 'lk', second.path('setuidgid'), 'nobody', 'sh', '-c', 'id -u; read line <end'];
    await using program = start(argv, { cwd: directory.path });
    await until(() => program.stdout() === '65534\n', { describe: 'the program runs', state: program.stderr });
    const others = (): Promise<readonly (number | undefined)[]> =>
      Promise.all(
        implementations.map(
          async (each) => (await run([each.path('setlock'), '-n', 'lk', 'true'], { cwd: directory.path })).code,
        ),
      );
    expect(new Set(await others())).toEqual(new Set([111]));
    writeFileSync(directory.join('end'), 'now\n');
    expect(await program.exit).toEqual({ code: 0, signal: undefined });
    for (const each of implementations) {
      expect(await run([each.path('setlock'), '-n', 'lk', 'true'], { cwd: directory.path })).toEqual(silent);
    }
  });
});

describe.concurrent('chains of daemontap alone', () => {
  test.runIf(canTrace)('cost one start of Node, whichever programs they are of', async () => {
    await using directory = temporaryDirectory();
    chmodSync(directory.path, 0o777);
    directory.makeDirectory('variables');
    const trace = directory.join('trace');
    const strace = [STRACE, '-f', '-qq', '-e', 'trace=execve', '-o', trace];
    const chain = programs.flatMap((program, index) => [daemontap.path(program), ...words[program](index)]);
    for (const argv of [[daemontap.path('pgrphack')], chain.filter((word) => word !== daemontap.path('fghack'))]) {
      expect(await run([...strace, ...argv, '/bin/true'], { cwd: directory.path })).toEqual(silent);
      const started = [...readFileSync(trace, 'latin1').matchAll(/execve\("([^"]*)".* = 0$/gm)].map(([, file]) => file);
      expect(started.filter((file) => file?.endsWith('/node'))).toHaveLength(1);
      expect(started.at(-1)).toBe('/bin/true');
    }
  });

  test('that end under a limit in which no Node can live say so in one line', async () => {
    const outcome = await run([daemontap.path('softlimit'), '-m', '3000000', daemontap.path('svstat'), '/']);
    expect(outcome).toMatchObject({ signal: undefined, stdout: '' });
    expect(outcome.code).toBe(111);
    expect(outcome.stderr).toMatch(/^[^\n]+\n$/);
  });
});

/** The name of what a process executes, or `undefined` when there is none. */
function commandOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trim();
  } catch {
    return undefined;
  }
}
