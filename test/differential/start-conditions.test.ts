/**
 * What ./run finds when it starts: section 2.4 of the behaviour reference. It gets what the caller of supervise had, as
 * if there were nothing in between, which a Node in between has to work for.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { supervisors } from '../e2e/support/implementations.ts';
import { start } from '../e2e/support/start.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import { until } from '../e2e/support/until.ts';

const PERL = '/usr/bin/perl';

/** A caller with a low limit, ignored and blocked signals, odd descriptors and a mask for new files. */
const CALLER = `use POSIX; POSIX::close($_) for 3 .. 1023; POSIX::dup2(0, $_) for 9, 10, 12, 300; umask 0027;
  $SIG{HUP} = $SIG{USR1} = $SIG{QUIT} = 'IGNORE'; $SIG{PIPE} = 'DEFAULT';
  POSIX::sigprocmask(SIG_SETMASK, POSIX::SigSet->new(SIGALRM, SIGUSR2)); exec @ARGV`;

/** A ./run that tells all about itself. */
const RUN = `#!${PERL}
sub all { local $/; open my $in, '<', $_[0] or die; <$in> }
opendir my $dir, '/proc/self/fd'; my @fds = sort { $a <=> $b } grep { /\\d/ && $_ != fileno $dir } readdir $dir;
my $status = all('/proc/self/status'); my $limits = all('/proc/self/limits'); my $command = all('/proc/self/cmdline');
my ($ignored) = $status =~ /SigIgn:\\s*(\\w+)/; my ($blocked) = $status =~ /SigBlk:\\s*(\\w+)/;
my ($limit) = $limits =~ /Max open files\\s+(\\d+)/;
open my $out, '>', 'report.new'; printf $out "fds %s\\nignored %s\\nblocked %s\\nlimit %s\\numask %o\\ngroup %s\\n",
  "@fds", $ignored, $blocked, $limit, umask, getpgrp == getppid ? 'own' : 'of the caller';
print $out $command, "\\n", all('/proc/self/environ'); close $out;
rename 'report.new', 'report'; sleep 1000;
`;

describe.runIf(existsSync(PERL)).each(supervisors)('a service started by supervise ($name)', (implementation) => {
  test('has the limit, signals, descriptors, mask and environment of its caller', async () => {
    await using here = temporaryDirectory();
    here.makeService('a');
    writeFileSync(here.join('a/run'), RUN);
    const env = {
      PATH: '/usr/bin:/bin',
      'a.b': '1',
      'FOO-BAR': 'two\nlines',
      PWD: '/wrong',
      SHLVL: '7',
      NODE_OPTIONS: '--no-such-option',
      UV_THREADPOOL_SIZE: '1',
    };
    const argv = ['/usr/bin/prlimit', '--nofile=400:', PERL, '-e', CALLER];
    await using supervise = start([...argv, implementation.path('supervise'), 'a'], { cwd: here.path, env });
    await until(() => existsSync(here.join('a/report')), { describe: './run has told', state: supervise.stderr });
    const [, conditions, command, environment] =
      /^(fds[^]*?)\n(\.?[^\n]*\0[^\n]*)\n([^]*)$/.exec(readFileSync(join(here.path, 'a/report'), 'latin1')) ?? [];
    // HUP 1, QUIT 3, USR1 10 are ignored, and FPE 8 by perl itself; USR2 12 and ALRM 14 are blocked.
    expect(conditions?.split('\n')).toEqual([
      'fds 0 1 2 9 10 12 300',
      'ignored 0000000000000285',
      'blocked 0000000000002800',
      'limit 400',
      'umask 27',
      'group of the caller',
    ]);
    expect(command).toBe(`${PERL}\0./run\0`);
    expect(environment?.split('\0').slice(0, -1)).toEqual([
      ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
      expect.stringMatching(/^DAEMONTAP_TEST_MARK=/),
    ]);
  });
});
