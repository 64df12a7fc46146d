/** A program that tells what it finds itself to be, and a caller that has much to hand down. */

/** Where perl is; what needs it is skipped without. */
export const PERL = '/usr/bin/perl';

/** A caller with limits, ignored and blocked signals, odd descriptors and a mask for new files. */
const CALLER = `use POSIX; POSIX::close($_) for 3 .. 1023; POSIX::dup2(0, $_) for 9, 30; umask 0027;
  $SIG{HUP} = $SIG{USR1} = 'IGNORE'; $SIG{PIPE} = 'DEFAULT';
  POSIX::sigprocmask(SIG_SETMASK, POSIX::SigSet->new(SIGALRM, SIGUSR2)); exec @ARGV`;

/** Words in front of a supervisor that make it such a caller's. */
export const throughCaller: readonly string[] = [
  '/usr/bin/prlimit',
  '--nofile=400:500',
  '--cpu=1000:2000',
  PERL,
  '-e',
  CALLER,
];

/** A program that tells all about itself in the file `report` of a directory; to be followed by what it does then. */
export function tellsIn(dir: string): string {
  return `#!${PERL}
sub all { local $/; open my $in, '<', $_[0] or die; <$in> }
opendir my $dir, '/proc/self/fd'; my @fds = sort { $a <=> $b } grep { /\\d/ && $_ != fileno $dir } readdir $dir;
my @status = all('/proc/self/status') =~ /^((?:SigIgn|SigBlk|SigCgt|Uid|Gid|Groups|NoNewPrivs|CapEff|CapPrm|CapBnd):.*)$/mg;
open my $out, '>', '${dir}/report.new' or die; print $out map { "$_\\n" } "fds @fds", @status, sprintf('umask %o', umask),
  'cwd ' . readlink('/proc/self/cwd'), 'output ' . (-p STDOUT ? 'pipe' : 'no pipe'), all('/proc/self/fdinfo/1') =~ /^(flags:.*)/m,
  split(/\\n/, all('/proc/self/limits')), split(/\\0/, all('/proc/self/environ'));
close $out; rename '${dir}/report.new', '${dir}/report';
`;
}
