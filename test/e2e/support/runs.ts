/** What the services of the tests run: a few lines of sh or perl each. */

/** Writes `start` to the file `events`, then each signal that it gets; TERM ends it, unless it was told to ignore that. */
export function logsSignals({ ignoresTerm = false }: { readonly ignoresTerm?: boolean } = {}): string {
  return `exec perl -e '
    open my $log, ">>", "events" or die;
    for my $name (qw(HUP ALRM INT TERM CONT)) {
      $SIG{$name} = sub { syswrite $log, "$name\\n"; exit 0 if $name eq "TERM" && !${ignoresTerm ? 1 : 0} };
    }
    syswrite $log, "start\\n"; sleep 1000 while 1'`;
}

/** Ends as soon as it has started; each start is a line of the file `starts`, with its time in seconds. */
export const endsAtOnce = `exec perl -MTime::HiRes=time -e 'open my $log, ">>", "starts" or die; syswrite $log, time . "\\n"'`;

/** Ignores TERM and says `ready` to the file of that name once it does. */
export const ignoresTerm = 'trap "" TERM; : >ready; while :; do sleep 0.1; done';

/**
 * Writes lines of its pid and a number, from 0 on and without an end; each is one write(2). Afterwards it counts the
 * line in the file `sent.PID`, so that a killed one can be told from one whose lines were lost.
 */
export const writesNumbers: string = numbersEvery(0.001);

/** The same, as fast as it can. */
export const floodsNumbers: string = numbersEvery(0);

function numbersEvery(seconds: number): string {
  return `exec perl -e '
  open my $sent, ">", "sent.$$" or die;
  for (my $n = 0;; ${seconds} and select undef, undef, undef, ${seconds}) {
    my $line = "$$ " . $n++ . "\\n"; syswrite(STDOUT, $line) == length $line or die;
    sysseek $sent, 0, 0; syswrite $sent, sprintf "%09d\\n", $n;
  }'`;
}

/** Appends its input to the file `lines`; at TERM it first writes what it has read. */
export const keepsLines = `exec perl -e '
  my $over; $SIG{TERM} = sub { $over = 1 }; open my $out, ">>", "lines" or die;
  until ($over) { my $n = sysread STDIN, my $bytes, 65536; next if !defined $n; last if $n == 0; syswrite $out, $bytes }'`;
