/**
 * Services that bear witness: each start and each end is a line that the service itself writes, and what it logs is
 * numbered. What a killed supervisor has done to them can be read afterwards.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { linesOf } from './supervised.ts';

/** What a service of the crash test is like. */
export type CrashKind =
  | 'plain'
  | 'logged'
  | 'paused'
  | 'down'
  /** Told once to run once, by `svc -o`; it runs on. */
  | 'once'
  /** The same; it ends soon. */
  | 'done'
  /** Ends soon after each start. */
  | 'crashing'
  /** As this one, and has a log. */
  | 'crashing-logged'
  /** Ends two seconds after TERM. */
  | 'slow'
  /** A daemon that puts itself into the background, behind fghack. */
  | 'fghack'
  /** Writes half a megabyte a second to its log, which has to keep up. */
  | 'burst-logged';

/** How many there are of each: fifty. */
const counts: Readonly<Record<Exclude<CrashKind, 'burst-logged'>, number>> = {
  plain: 14,
  logged: 10,
  paused: 4,
  down: 4,
  once: 3,
  done: 3,
  crashing: 3,
  'crashing-logged': 3,
  slow: 3,
  fghack: 3,
};

/** One of them, and what is to be true of it. */
export interface CrashService {
  readonly name: string;
  readonly kind: CrashKind;
  readonly hasLog: boolean;
  readonly isNormallyUp: boolean;
  /** `undefined`: a command was on its way when svscan was killed, so it may be either. */
  want: 'up' | 'down' | 'once' | undefined;
  readonly isPaused: boolean;
}

/** All fifty, or so many of each kind. */
export function crashServices(each?: number): readonly CrashService[] {
  return (Object.keys(counts) as (keyof typeof counts)[]).flatMap((kind) =>
    Array.from({ length: each ?? counts[kind] }, (_, index) => crashService(kind, index + 1)),
  );
}

/** The same, and one that gives its log much to do. */
export function crashServicesWithBursts(each?: number): readonly CrashService[] {
  return [...crashServices(each), crashService('burst-logged', 1)];
}

function crashService(kind: CrashKind, number: number): CrashService {
  const isNormallyUp = !['down', 'once', 'done'].includes(kind);
  const want = kind === 'once' || kind === 'done' ? 'once' : isNormallyUp ? 'up' : 'down';
  const hasLog = kind.endsWith('logged');
  return { name: `${kind}-${number}`, kind, hasLog, isNormallyUp, want, isPaused: kind === 'paused' };
}

/**
 * What all of them run. `events` has a line for each start, `start PID TICKS`, for each TERM and for each end; a start
 * while the one before still runs says so itself. Lines are `PID NUMBER`, one write(2) each, counted in `sent.PID`.
 */
const PROGRAM = `use strict; my ($as, $pid, $fghack) = @ARGV; $pid ||= $$;
sub event { open my $file, ">>", "events" or die; syswrite $file, "@_\\n" or die }
sub ticks {
  open my $file, "<", "/proc/$_[0]/stat" or return ""; local $/; my $stat = <$file>; $stat =~ s/^.*\\) //s;
  my @fields = split / /, $stat; return $fields[0] eq "Z" ? "" : $fields[19];
}
if ($as ne "daemon") {
  my $last = ""; if (open my $file, "<", "events") { /^start / and $last = $_ while <$file> }
  my (undef, $before, $then) = split " ", $last;
  event("twice", $pid, $before) if $last and ticks($before) eq $then;
  event("start", $pid, ticks($pid));
}
exec $fghack, $^X, $0, "daemon", $pid if $fghack;
if ($as eq "daemon") { exit if fork; event("daemon", $$); $SIG{TERM} = sub { event("end", $pid); exit } }
elsif ($as eq "log") {
  my $over; $SIG{TERM} = sub { $over = 1 }; open my $out, ">>", "lines" or die;
  until ($over) { my $n = sysread STDIN, my $bytes, 65536; next if !defined $n; last if !$n; syswrite $out, $bytes }
  event("end", $pid, $over ? "TERM" : "eof"); exit;
}
elsif ($as eq "burst-logged") {
  my $over; $SIG{TERM} = sub { $over = 1 }; open my $sent, ">", "sent.$pid" or die;
  for (my $n = 0; !$over; select undef, undef, undef, 0.02) {
    my $lines = join "", map { "$pid " . $n++ . " " . "x" x 90 . "\\n" } 1 .. 100;
    while (length $lines) { my $written = syswrite STDOUT, $lines; substr $lines, 0, $written, "" if $written }
    sysseek $sent, 0, 0; syswrite $sent, sprintf "%09d\\n", $n;
  }
  event("end", $pid); exit;
}
elsif ($as eq "slow") { $SIG{TERM} = sub { $SIG{TERM} = "IGNORE"; event("term", $pid); sleep 2; event("end", $pid); exit } }
else { $SIG{TERM} = sub { event("end", $pid); exit } }
my $end = $as =~ /^(crashing|done)/ ? 20 : -1;
open STDOUT, ">>", "lines" or die unless $as =~ /logged$/;
open my $sent, ">", "sent.$pid" or die;
for (my $n = 0; $n != $end; select undef, undef, undef, 0.02) {
  my $line = "$pid " . $n++ . "\\n"; syswrite(STDOUT, $line) == length $line or die;
  sysseek $sent, 0, 0; syswrite $sent, sprintf "%09d\\n", $n;
}
event("end", $pid); exit 1`;

/** Makes the directories of the services in a scan directory, before any svscan sees them. */
export function makeCrashServices(
  services: readonly CrashService[],
  {
    programPath,
    fghackPath,
    hasLogServices,
    make,
  }: {
    readonly programPath: string;
    readonly fghackPath: string;
    /** Or else log hosts do their work. */
    readonly hasLogServices: boolean;
    make(name: string, command: string): string;
  },
): void {
  writeFileSync(programPath, PROGRAM);
  for (const { name, kind, hasLog, isNormallyUp } of services) {
    const fghack = kind === 'fghack' ? ` 0 ${fghackPath}` : '';
    const path = make(name, `exec perl ${programPath} ${kind}${fghack}`);
    if (!isNormallyUp) writeFileSync(join(path, 'down'), '');
    if (hasLog && hasLogServices) make(join(name, 'log'), `exec perl ${programPath} log`);
  }
}

/** A start that is witnessed. */
export interface Start {
  readonly pid: number;
  readonly ticks: number;
}

/** The last start of the service in a directory. */
export function lastStart(path: string): Start | undefined {
  const line = linesOf(join(path, 'events')).findLast((each) => each.startsWith('start '));
  const [, pid, ticks] = line?.split(' ') ?? [];
  return line === undefined ? undefined : { pid: Number(pid), ticks: Number(ticks) };
}

/** The daemons that the service in a directory has put into the background: fghack does not hand signals on. */
export function daemonsOf(path: string): readonly number[] {
  const lines = linesOf(join(path, 'events')).filter((line) => line.startsWith('daemon '));
  return lines.map((line) => Number(line.split(' ')[1]));
}

/** What a service or its log tells of that must never happen: a start too many, or without the end of the one before. */
export function startsGoneWrong(path: string): readonly string[] {
  const problems: string[] = [];
  let running: string | undefined;
  for (const line of linesOf(join(path, 'events'))) {
    const [what, pid = ''] = line.split(' ');
    if (what === 'twice') problems.push(`${path}: started while it ran: ${line}`);
    if (what === 'start') {
      if (running !== undefined) problems.push(`${path}: ${running} has told of no end before the start of ${pid}`);
      running = pid;
    }
    if (what === 'end' && pid === running) running = undefined;
  }
  return problems;
}

/** Lines that a service has sent and its log has not, or has twice, or out of order. Nothing may run any more. */
export function linesGoneWrong(path: string, hasLog: boolean): readonly string[] {
  const problems: string[] = [];
  const received = new Map<string, number>();
  for (const line of linesOf(join(path, hasLog ? 'log/lines' : 'lines'))) {
    const [pid = '', number] = line.split(' ');
    const expected = received.get(pid) ?? 0;
    if (Number(number) !== expected) problems.push(`${path}: line "${line}" where "${pid} ${expected}" was to come`);
    received.set(pid, Number(number) + 1);
  }
  for (const file of readdirSync(path).filter((each) => each.startsWith('sent.'))) {
    const pid = file.slice('sent.'.length);
    const sent = Number(readFileSync(join(path, file), 'latin1'));
    const lines = received.get(pid) ?? 0;
    // One more when it was ended between writing a line and counting it.
    if (lines !== sent && lines !== sent + 1) problems.push(`${path}: ${pid} has sent ${sent} lines, ${lines} came`);
  }
  return problems;
}
