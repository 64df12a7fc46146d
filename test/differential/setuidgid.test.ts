/**
 * setuidgid, ours and C's, as root and as an ordinary user: transcripts T71 to T75 and section 14 of the behaviour
 * reference.
 */
import { chmodSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { describeExecSearch, fatal, isRoot, silent, withEnvironment } from '../e2e/support/chain-loading.ts';
import { implementations } from '../e2e/support/implementations.ts';
import { asNobody, canBeNobody } from '../e2e/support/nobody.ts';
import { oddNames, shownBytes } from '../e2e/support/odd-names.ts';
import { run } from '../e2e/support/run.ts';
import type { Argument } from '../e2e/support/run.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';

const USAGE = 'setuidgid: usage: setuidgid account child\n';
const SETPRIV = '/usr/bin/setpriv';

/** The ids and rights of a process, as the kernel has them. */
const tell = ['grep', '-E', '^(Uid|Gid|Groups|Cap...|NoNewPrivs):', '/proc/self/status'];
const none = '0000000000000000';
const parse = (status: string): Readonly<Record<string, string>> =>
  Object.fromEntries([...status.matchAll(/^(\w+):[ \t]*(.*?) *$/gm)].map(([, key = '', value = '']) => [key, value]));
const four = (id: number): string => Array.from({ length: 4 }, () => id).join('\t');

describe.each(implementations)('setuidgid ($name)', (implementation) => {
  const setuidgid = implementation.path('setuidgid');
  const outcome = (...words: readonly Argument[]) => run([setuidgid, ...words]);
  describeExecSearch(implementation, 'setuidgid');

  describe.concurrent('its words', () => {
    test.each([[[]], [['root']], [['nosuchuser']], [['']], [['-x']], [['--']]])(
      '%j alone: says how to use it and exits 100',
      async (words) => {
        expect(await outcome(...words)).toEqual({ ...silent, code: 100, stderr: USAGE });
      },
    );

    test.each([
      'nosuchuser',
      '',
      '-s',
      '--',
      '-',
      '0',
      '65534',
      'nobody ',
      ' nobody',
      'Nobody',
      'nobody:',
      'nobody:x',
      'nobody\nroot',
      'nob',
      '+',
      '.',
      '/etc/passwd',
      'x'.repeat(200),
    ])('%j is an unknown account, and the program is not run', async (account) => {
      expect(await outcome(account, 'echo', 'ran')).toEqual(fatal('setuidgid', `unknown account ${account}`));
    });

    test.each(oddNames)('an account whose name has %s is named byte for byte', async (_, account) => {
      expect(await outcome(account, 'true')).toEqual(fatal('setuidgid', `unknown account ${shownBytes(account)}`));
    });

    test('an account is looked up before the program is, and before anything is changed', async () => {
      expect(await outcome('nosuchuser', './nonexist')).toEqual(fatal('setuidgid', 'unknown account nosuchuser'));
    });

    test('takes no options: what follows the account is the program', async () => {
      const account = isRoot ? 'root' : 'nosuchuser';
      for (const word of ['--', '-s', '-']) {
        expect(await outcome(account, word, 'true')).toEqual(
          fatal('setuidgid', isRoot ? `unable to run ${word}: file does not exist` : 'unknown account nosuchuser'),
        );
      }
    });
  });

  describe.runIf(isRoot).concurrent('called by root', () => {
    test.each([
      ['nobody', 65_534, 65_534],
      ['games', 5, 60],
      ['daemon', 1, 1],
    ])('%s: the program has all ids of the account, its one group, and no rights', async (account, uid, gid) => {
      const { stdout, ...rest } = await outcome(account, ...tell);
      expect(rest).toEqual({ code: 0, signal: undefined, stderr: '' });
      expect(parse(stdout)).toMatchObject({
        Uid: four(uid),
        Gid: four(gid),
        Groups: String(gid),
        CapInh: none,
        CapPrm: none,
        CapEff: none,
        CapAmb: none,
        NoNewPrivs: '0',
      });
      expect(await outcome(account, 'id', '-u')).toEqual({ ...silent, stdout: `${uid}\n` });
    });

    test('games: id(1) knows them', async () => {
      expect(await outcome('games', 'id')).toEqual({
        ...silent,
        stdout: 'uid=5(games) gid=60(games) groups=60(games)\n',
      });
    });

    test('root stays root, with its rights and without other groups', async () => {
      const [before, after] = await Promise.all([
        run(tell),
        run([SETPRIV, '--groups=5,60,1000', setuidgid, 'root', ...tell]),
      ]);
      expect(parse(after.stdout)).toEqual({ ...parse(before.stdout), Groups: '0' });
    });

    test.each(['nobody', 'games', 'root'])('%s: the groups of the caller are gone', async (account) => {
      const { stdout: before } = await run([SETPRIV, '--groups=5,60,1000', 'id', '-G']);
      expect(before).toBe('0 5 60 1000\n');
      const gid = { nobody: 65_534, games: 60, root: 0 }[account];
      const argv = [SETPRIV, '--groups=5,60,1000', setuidgid, account, ...tell];
      expect(parse((await run(argv)).stdout)).toMatchObject({ Groups: String(gid), Gid: four(gid ?? -1) });
    });

    test('there is no way back', async () => {
      expect(await outcome('nobody', setuidgid, 'root', 'true')).toEqual(
        fatal('setuidgid', 'unable to setgid: permission denied'),
      );
      const script = 'use POSIX; POSIX::setuid(0); print "$<, $>"; POSIX::setgid(0); print ", $(, $)\\n"';
      expect(await outcome('nobody', 'perl', '-e', script)).toEqual({
        ...silent,
        stdout: '65534, 65534, 65534 65534, 65534 65534\n',
      });
    });

    test('files are made and read as the account', async () => {
      await using here = temporaryDirectory();
      chmodSync(here.path, 0o777);
      writeFileSync(here.join('secret'), 'secret\n', { mode: 0o600 });
      const script = 'umask 022; : >made; stat -c "%u %g %a" made; cat secret 2>/dev/null || echo refused';
      expect(await run([setuidgid, 'games', 'sh', '-c', script], { cwd: here.path })).toEqual({
        ...silent,
        stdout: '5 60 644\nrefused\n',
      });
    });

    test('a program that only root may execute is refused', async () => {
      await using here = temporaryDirectory();
      writeFileSync(here.join('mine'), '#!/bin/sh\necho ran\n', { mode: 0o700 });
      const mine = (account: string) => run([setuidgid, account, './mine'], { cwd: here.path });
      expect(await mine('root')).toEqual({ ...silent, stdout: 'ran\n' });
      expect(await mine('games')).toEqual(fatal('setuidgid', 'unable to run ./mine: access denied'));
    });

    test('a working directory that is closed to the account does not matter', async () => {
      await using here = temporaryDirectory();
      chmodSync(here.path, 0o700);
      const outcomeHere = (...words: readonly string[]) => run([setuidgid, 'games', ...words], { cwd: here.path });
      expect(await outcomeHere('echo', 'ran')).toEqual({ ...silent, stdout: 'ran\n' });
      expect(await outcomeHere('./x')).toEqual(fatal('setuidgid', 'unable to run ./x: access denied'));
    });

    test('the environment stays as it was, HOME and USER of root included', async () => {
      const environment = ['HOME=/root', 'USER=root', 'LOGNAME=root', 'a.b=1', 'PATH=/usr/bin:/bin', 'UID=0', 'GID=0'];
      expect(await run(withEnvironment(environment, [setuidgid, 'nobody', 'env']))).toEqual({
        ...silent,
        stdout: `${environment.join('\n')}\n`,
      });
    });

    // Root without one of its rights: the others must not be enough for half of the work.
    test('without the right to change groups it says so and exits 111', async () => {
      const argv = [SETPRIV, '--bounding-set=-setgid', setuidgid, 'nobody', 'echo', 'ran'];
      expect(await run(argv)).toEqual(fatal('setuidgid', 'unable to setgid: permission denied'));
    });

    test('without the right to change users it says so and exits 111', async () => {
      const argv = [SETPRIV, '--bounding-set=-setuid', setuidgid, 'nobody', 'echo', 'ran'];
      expect(await run(argv)).toEqual(fatal('setuidgid', 'unable to setuid: permission denied'));
    });
  });

  describe.runIf(canBeNobody).concurrent('called by an ordinary user', () => {
    test.each(['nobody', 'root', 'games'])('%s: it may not change groups, and exits 111', async (account) => {
      expect(await run(asNobody([setuidgid, account, 'echo', 'ran']))).toEqual(
        fatal('setuidgid', 'unable to setgid: permission denied'),
      );
    });

    test('a wrong use and an unknown account are told first', async () => {
      expect(await run(asNobody([setuidgid, 'nobody']))).toEqual({ ...silent, code: 100, stderr: USAGE });
      expect(await run(asNobody([setuidgid, 'nosuchuser', 'true']))).toEqual(
        fatal('setuidgid', 'unknown account nosuchuser'),
      );
    });
  });
});
