/** pgrphack, ours and C's: transcripts T94 to T96 and section 12 of the behaviour reference. */
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { describeExecSearch, fatal, silent } from '../e2e/support/chain-loading.ts';
import { implementations } from '../e2e/support/implementations.ts';
import { asNobody, canBeNobody } from '../e2e/support/nobody.ts';
import { run } from '../e2e/support/run.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';

const SCRIPT = '/usr/bin/script';
if (!existsSync(SCRIPT)) console.log('skipped: pgrphack on a terminal; it needs script');

/** Tells how its pid, process group and session compare, and whether the caller's pid is its own. */
const TELL = `my @stat = split ' ', do { open my $in, '<', '/proc/self/stat' or die; my $line = <$in>; $line =~ s/.*\\)//; $line };
  printf "%s, %s, %s\\n", $$ == $ENV{CALLER} ? 'the same process' : 'another process',
    $stat[2] == $$ ? 'group leader' : 'in a group', $stat[3] == $$ ? 'session leader' : 'in a session'`;
const tell = ['/usr/bin/perl', '-e', TELL];

/** Executes the rest of the words after some perl, with its pid in the environment. */
const caller = (script: string): readonly string[] => [
  '/usr/bin/perl',
  '-MPOSIX',
  '-e',
  `${script}; $ENV{CALLER} = $$; exec @ARGV`,
];

describe.each(implementations)('pgrphack ($name)', (implementation) => {
  const pgrphack = implementation.path('pgrphack');
  describeExecSearch(implementation, 'pgrphack');

  test('without a program it says how to use it and exits 100', async () => {
    expect(await run([pgrphack])).toEqual({ ...silent, code: 100, stderr: 'pgrphack: usage: pgrphack child\n' });
  });

  test.each(['-x', '--', '-'])('takes %s for the program: it knows no options', async (word) => {
    expect(await run([pgrphack, word, 'true'])).toEqual(
      fatal('pgrphack', `unable to run ${word}: file does not exist`),
    );
  });

  test.each([
    ['in a group', ':', 'group leader, session leader'],
    ['that leads its session', 'POSIX::setsid()', 'group leader, session leader'],
    // setsid(2) refuses a group leader, and nobody minds.
    ['that leads its group', 'setpgrp', 'group leader, in a session'],
  ])('called by a process %s, it is replaced by the program, which has the pid', async (_, script, leads) => {
    const stdout = `the same process, ${leads}\n`;
    expect(await run([...caller(script), pgrphack, ...tell])).toEqual({ ...silent, stdout });
  });

  test('twice is as once', async () => {
    expect(await run([...caller(':'), pgrphack, pgrphack, ...tell])).toEqual({
      ...silent,
      stdout: 'the same process, group leader, session leader\n',
    });
  });

  test.runIf(canBeNobody)('an ordinary account may do it, too', async () => {
    expect(await run(asNobody([...caller(':'), pgrphack, ...tell]))).toEqual({
      ...silent,
      stdout: 'the same process, group leader, session leader\n',
    });
  });

  test.runIf(existsSync(SCRIPT))('the program has lost the terminal of its caller', async () => {
    await using here = temporaryDirectory();
    const asks = `perl -e 'print open(my $in, "<", "/dev/tty") ? "a terminal" : "none: $!", "\\n"'`;
    const commands = `${asks}; ${pgrphack} ${asks}; true`;
    const { stdout, code } = await run([SCRIPT, '-qec', commands, here.join('typescript')]);
    expect([stdout.replaceAll('\r', ''), code]).toEqual(['a terminal\nnone: No such device or address\n', 0]);
  });
});
