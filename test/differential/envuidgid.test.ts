/** envuidgid, ours and C's: transcripts T68 to T70 and section 15 of the behaviour reference. */
import { describe, expect, test } from 'vitest';
import { describeExecSearch, fatal, silent, withEnvironment } from '../e2e/support/chain-loading.ts';
import { implementations } from '../e2e/support/implementations.ts';
import { asNobody, canBeNobody } from '../e2e/support/nobody.ts';
import { oddNames, shownBytes } from '../e2e/support/odd-names.ts';
import { run } from '../e2e/support/run.ts';
import type { Argument } from '../e2e/support/run.ts';

const USAGE = 'envuidgid: usage: envuidgid account child\n';

describe.each(implementations)('envuidgid ($name)', (implementation) => {
  const envuidgid = implementation.path('envuidgid');
  const outcome = (...words: readonly Argument[]) => run([envuidgid, ...words]);
  describeExecSearch(implementation, 'envuidgid');

  /** The environment that a program finds; its order is nobody's business. */
  const environmentOf = async (
    strings: readonly Argument[],
    account: string,
    through: (argv: readonly Argument[]) => readonly Argument[] = (argv) => argv,
  ): Promise<readonly string[]> => {
    const argv = [envuidgid, account, 'cat', '/proc/self/environ'];
    const { stdout, ...rest } = await run(through(withEnvironment(strings, argv)));
    expect(rest).toEqual({ code: 0, signal: undefined, stderr: '' });
    return stdout.split('\0').slice(0, -1).toSorted();
  };

  describe.concurrent('its words', () => {
    test.each([[[]], [['root']], [['nosuchuser']], [['']], [['--']]])(
      '%j alone: says how to use it and exits 100',
      async (words) => {
        expect(await outcome(...words)).toEqual({ ...silent, code: 100, stderr: USAGE });
      },
    );

    test.each(['nosuchuser', '', '-s', '--', '-', '0', '65534', 'nobody ', 'nobody\nroot', 'x'.repeat(200)])(
      '%j is an unknown account, and the program is not run',
      async (account) => {
        expect(await outcome(account, 'echo', 'ran')).toEqual(fatal('envuidgid', `unknown account ${account}`));
      },
    );

    test.each(oddNames)('an account whose name has %s is named byte for byte', async (_, account) => {
      expect(await outcome(account, 'true')).toEqual(fatal('envuidgid', `unknown account ${shownBytes(account)}`));
    });

    test.each(['--', '-x', '-'])('takes %s after the account for the program', async (word) => {
      expect(await outcome('root', word, 'true')).toEqual(
        fatal('envuidgid', `unable to run ${word}: file does not exist`),
      );
    });
  });

  describe.concurrent('the environment', () => {
    test.each([
      ['nobody', 65_534, 65_534],
      ['games', 5, 60],
      ['root', 0, 0],
    ])('of %s has its UID and GID, in place of others', async (account, uid, gid) => {
      const ids = [`GID=${gid}`, `UID=${uid}`];
      expect(await environmentOf([], account)).toEqual(ids);
      expect(await environmentOf(['UID=1', 'GID=2', 'PATH=/usr/bin:/bin'], account)).toEqual([
        ids[0],
        'PATH=/usr/bin:/bin',
        ids[1],
      ]);
    });

    test('keeps everything else, byte for byte', async () => {
      const odd = Buffer.from([0x6e, 0xff, 0xfe, 0x3d, 0x80, 0xc3, 0x28]);
      const rest = [
        'A=1',
        'UIDX=1',
        'XUID=2',
        'uid=3',
        'UID',
        'GID',
        '',
        '=x',
        'a.b=two\nlines',
        'EMPTY=',
        'PATH=/bin',
      ];
      const expected = [...rest, odd.toString('latin1'), 'GID=60', 'UID=5'].toSorted();
      expect(await environmentOf([...rest, odd, 'UID=', 'GID=x=y'], 'games')).toEqual(expected);
    });

    test('of a name that is there twice loses the first only', async () => {
      const before = ['UID=1', 'GID=1', 'PATH=/bin', 'UID=2', 'GID=2', 'UID=3', 'A=1', 'A=2'];
      expect(await environmentOf(before, 'games')).toEqual(
        ['UID=2', 'UID=3', 'UID=5', 'GID=2', 'GID=60', 'PATH=/bin', 'A=1', 'A=2'].toSorted(),
      );
    });

    test('once more for another account is that of the other', async () => {
      const argv = [envuidgid, 'games', envuidgid, 'nobody', 'env'];
      const { stdout } = await run(withEnvironment(['PATH=/bin', 'UID=x'], argv));
      expect(stdout.split('\n').toSorted()).toEqual(['', 'GID=65534', 'PATH=/bin', 'UID=65534']);
    });

    test.runIf(canBeNobody)('is made for an ordinary user as well, of any account', async () => {
      expect(await environmentOf(['PATH=/bin'], 'root', asNobody)).toEqual(['GID=0', 'PATH=/bin', 'UID=0']);
      expect(await environmentOf(['PATH=/bin'], 'games', asNobody)).toEqual(['GID=60', 'PATH=/bin', 'UID=5']);
    });
  });

  test('ids and groups stay what they are', async () => {
    const tell = ['grep', '-E', '^(Uid|Gid|Groups|CapEff):', '/proc/self/status'];
    expect(await outcome('games', ...tell)).toEqual(await run(tell));
    if (canBeNobody) expect(await run(asNobody([envuidgid, 'games', ...tell]))).toEqual(await run(asNobody(tell)));
  });
});
