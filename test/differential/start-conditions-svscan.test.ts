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

const callers: readonly (readonly [what: string, setUp: string, through?: readonly string[]])[] = [
  ['nothing special', ':'],
  ['a soft limit of 1024 descriptors', 'ulimit -Sn 1024'],
  ['a soft limit of 30 descriptors', 'ulimit -Sn 30'],
  ['a hard limit of 300 descriptors, and other limits', 'ulimit -n 300; ulimit -c 0; ulimit -s 4096'],
  ['HUP ignored', 'trap "" HUP'],
  ['INT and TERM ignored', 'trap "" INT TERM'],
  ['PIPE, CHLD, USR1 and QUIT ignored', 'trap "" PIPE CHLD USR1 QUIT'],
  ['signals blocked', ':', [PERL, '-MPOSIX', '-e', 'POSIX::sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGHUP, SIGTERM, SIGUSR2, SIGCHLD)); exec @ARGV']],
  ['descriptor 9 open', 'exec 9</dev/null'],
  ['descriptors 3, 4 and 20 open for writing', 'exec 3>/dev/null 4>>/dev/null 20>/dev/null', ['/bin/bash', '-c', 'exec 20>/dev/null; exec "$@"', 'bash']],
  ['a mask of 027', 'umask 027'],
  ['no standard input', 'exec 0<&-'],
  [
    'hardly any environment',
    ':',
    ['/bin/sh', '-c', 'exec env -i DAEMONTAP_TEST_MARK="$DAEMONTAP_TEST_MARK" DAEMONTAP_RUNTIME_DIR="$DAEMONTAP_RUNTIME_DIR" "$@"', 'sh'],
  ],
  ['an environment of odd bytes', ':', ['/usr/bin/env', 'a.b=1', 'FOO-BAR=two\nlines', 'PWD=/wrong', 'OLDPWD=/old', 'SHLVL=7', '_=x', 'IFS=x', 'NODE_OPTIONS=--no-such', 'EMPTY=']],
  ['an environment that is not UTF-8', ':', [PERL, '-e', '$ENV{"n\\xff\\xfe"} = "v\\x80\\xc3("; $ENV{"LATIN"} = "\\xe4\\xf6"; exec @ARGV']],
  ['other groups and a low priority', ':', ['/usr/bin/setpriv', '--groups=5,60', '/usr/bin/nice', '-n', '5']],
];

const isPossible = existsSync(PERL) && daemontools.has('svscan') && daemontap.has('svscan') && process.getuid?.() === 0;
if (!isPossible) console.log('skipped: what a service finds under svscan; it needs perl, the C programs and root');

describe.concurrent.runIf(isPossible)('a service under svscan, started by a caller with', () => {
  test.each(callers)('%s, finds what it finds under the C programs', async (_, setUp, through = []) => {
    const reports = await Promise.all([reportsUnder(daemontap), reportsUnder(daemontools)]);
    const [here, there] = reports;
    expect(here.plain).toEqual(there.plain);
    expect(here.log).toEqual(there.log);
    // The one departure: a logged service's standard output is a pipe that it may also read, opened by name.
    expect(here.logged).toEqual(
      there.logged.map((line) => line.replace(/^(descriptor 1 to a pipe, flags) 01$/, '$1 0100002')),
    );

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
