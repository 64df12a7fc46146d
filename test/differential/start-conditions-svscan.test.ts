/**
 * What a service finds when svscan has started it, plain and logged, and what its log finds: each the same as under the
 * C programs, whatever the caller of svscan had. Section 2.4 of the behaviour reference.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { daemontap, daemontools } from '../e2e/support/implementations.ts';
import type { Implementation } from '../e2e/support/implementations.ts';
import { start } from '../e2e/support/start.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import { until } from '../e2e/support/until.ts';

const PERL = '/usr/bin/perl';

/** A run that tells all about itself; one line each. */
const RUN = `#!${PERL}
sub all { local $/; open my $in, '<', $_[0] or die; my $text = <$in>; $text =~ s/\\n/\\\\n/g if $_[1]; $text }
opendir my $dir, '/proc/self/fd'; my $own = fileno $dir;
my @fds = sort { $a <=> $b } grep { /\\d/ && $_ != $own } readdir $dir;
open my $out, '>', 'report.new';
print $out 'argv ', all('/proc/self/cmdline', 1), "\\n";
print $out map { "environment $_\\n" } split /\\0/, all('/proc/self/environ', 1);
print $out 'cwd ', readlink('/proc/self/cwd'), "\\n";
printf $out "umask %o\\n", umask;
my $status = all('/proc/self/status');
print $out map { "$_\\n" } $status =~ /^((?:SigIgn|SigBlk|SigCgt|ShdPnd|Uid|Gid|Groups|NoNewPrivs|CapEff|CapInh|CapAmb|Seccomp|Cpus_allowed):.*)$/mg;
print $out map { "limit $_\\n" } grep { !/^Limit/ } split /\\n/, all('/proc/self/limits');
my $stat = sub { my $s = all("/proc/$_[0]/stat"); $s =~ s/.*\\)//s; (split ' ', $s)[1 .. 16] };
my @own = $stat->('self'); my @parent = $stat->($own[0]);
printf $out "group %s, session %s, terminal %s, nice %s\\n", $own[1] == $parent[1] ? 'of its parent' : 'its own',
  $own[2] == $parent[2] ? 'of its parent' : 'its own', $own[3], $own[15];
print $out 'oom ', all('/proc/self/oom_score_adj');
for my $fd (@fds) {
  my ($flags) = all("/proc/self/fdinfo/$fd") =~ /flags:\\s*(\\d+)/; my $to = readlink "/proc/self/fd/$fd";
  $to = -p "/proc/self/fd/$fd" ? 'a pipe' : $to =~ /output/ ? 'a file' : $to; print $out "descriptor $fd to $to, flags $flags\\n";
}
close $out; rename 'report.new', 'report'; sleep 1000;
`;

interface Caller {
  readonly what: string;
  /** Done by the shell that starts svscan. */
  readonly setUp?: string;
  /** Words in front of svscan. */
  readonly through?: readonly string[];
}

const perl = (script: string): readonly string[] => [PERL, '-MPOSIX', '-e', `${script}; exec @ARGV`];
const FEW =
  'exec env -i DAEMONTAP_TEST_MARK="$DAEMONTAP_TEST_MARK" DAEMONTAP_RUNTIME_DIR="$DAEMONTAP_RUNTIME_DIR" "$@"';

const callers: readonly Caller[] = [
  { what: 'nothing special' },
  { what: 'a soft limit of 1024 descriptors', setUp: 'ulimit -Sn 1024' },
  { what: 'a soft limit of 30 descriptors', setUp: 'ulimit -Sn 30' },
  { what: 'a hard limit of 300 descriptors, and other limits', setUp: 'ulimit -n 300; ulimit -c 0; ulimit -s 4096' },
  { what: 'HUP ignored', setUp: 'trap "" HUP' },
  { what: 'INT and TERM ignored', setUp: 'trap "" INT TERM' },
  { what: 'PIPE, CHLD, USR1 and QUIT ignored', setUp: 'trap "" PIPE CHLD USR1 QUIT' },
  {
    what: 'signals blocked',
    through: perl('POSIX::sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGHUP, SIGTERM, SIGUSR2, SIGCHLD))'),
  },
  { what: 'descriptor 9 open', setUp: 'exec 9</dev/null' },
  {
    what: 'descriptors 3, 4 and 20 open for writing',
    setUp: 'exec 3>/dev/null 4>>/dev/null',
    through: ['/bin/bash', '-c', 'exec 20>/dev/null; exec "$@"', 'bash'],
  },
  { what: 'a mask of 027', setUp: 'umask 027' },
  { what: 'no standard input', setUp: 'exec 0<&-' },
  { what: 'hardly any environment', through: ['/bin/sh', '-c', FEW, 'sh'] },
  {
    what: 'an environment of odd names and values',
    through: [
      '/usr/bin/env',
      'a.b=1',
      'FOO-BAR=two\nlines',
      'PWD=/wrong',
      'SHLVL=7',
      'NODE_OPTIONS=--no-such',
      'EMPTY=',
    ],
  },
  {
    what: 'an environment that is not UTF-8',
    through: perl('$ENV{"n\\xff\\xfe"} = "v\\x80\\xc3("; $ENV{"LATIN"} = "\\xe4\\xf6"'),
  },
  {
    what: 'other groups and a low priority',
    through: ['/usr/bin/setpriv', '--groups=5,60', '/usr/bin/nice', '-n', '5'],
  },
];

const isPossible = existsSync(PERL) && daemontools.has('svscan') && daemontap.has('svscan') && process.getuid?.() === 0;
if (!isPossible) console.log('skipped: what a service finds under svscan; it needs perl, the C programs and root');

describe.runIf(isPossible).concurrent('a service under svscan, started by a caller with', () => {
  test.each(callers)('$what, finds what it finds under the C programs', async ({ setUp = ':', through = [] }) => {
    const reports = await Promise.all([reportsUnder(daemontap), reportsUnder(daemontools)]);
    const [here, there] = reports;
    expect(here.plain).toEqual(there.plain);
    // The departures: both ends of the log's pipe are opened by a name, which shows in a flag that nobody asked for
    // (O_LARGEFILE, 0100000), and a logged service may also read from its standard output.
    const atLog = (line: string): string => line.replace(/^(descriptor 0 to a pipe, flags) 00$/, '$1 0100000');
    const atService = (line: string): string => line.replace(/^(descriptor 1 to a pipe, flags) 01$/, '$1 0100002');
    expect(here.log).toEqual(there.log.map(atLog));
    expect(here.logged).toEqual(there.logged.map(atService));

    async function reportsUnder(implementation: Implementation) {
      await using directory = temporaryDirectory();
      for (const name of ['plain', 'logged', 'logged/log']) {
        directory.makeService(`service/${name}`);
        writeFileSync(directory.join('service', name, 'run'), RUN);
      }
      const argv = ['/bin/sh', '-c', `${setUp}; exec "$@"`, 'sh', ...through, implementation.path('svscan'), 'service'];
      await using svscan = start(argv, {
        cwd: directory.path,
        env: { PATH: '/usr/bin:/bin', HOME: '/', DAEMONTAP_RUNTIME_DIR: directory.join('runtime') },
      });
      const read = async (name: string): Promise<readonly string[]> => {
        const file = directory.join('service', name, 'report');
        await until(() => existsSync(file), { describe: `${name} has told`, state: svscan.stderr });
        const text = readFileSync(file, 'latin1').replaceAll(directory.path, 'HERE');
        return text.replace(/^(environment DAEMONTAP_TEST_MARK=).*$/m, '$1').split('\n');
      };
      const found = { plain: await read('plain'), logged: await read('logged'), log: await read('logged/log') };
      // It may ignore every polite signal.
      for (const pid of svscan.pids()) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It has just ended.
        }
      }
      return found;
    }
  });
});
