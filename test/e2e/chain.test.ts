/**
 * Chains of our own programs, which go on in one process: what must not show, and what it makes possible. What any chain
 * has to do, ours or C's, is in test/differential.
 */
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test as always } from 'vitest';
import { fatal, isRoot, silent } from './support/chain-loading.ts';
import { daemontap, daemontools, implementations } from './support/implementations.ts';
import type { ProgramName } from './support/implementations.ts';
import { cleanEnvironment, run } from './support/run.ts';
import type { Outcome } from './support/run.ts';
import { start } from './support/start.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

const test = always;
const asRoot = always.runIf(isRoot);
const STRACE = '/usr/bin/strace';
const QUIET_ACCOUNT = 'irc'; // of Debian; nothing runs as it
const ours = (name: ProgramName): string => daemontap.path(name);
const text = (outcome: Outcome, stdout: string): void => expect(outcome).toEqual({ ...silent, stdout });

/** The paths that a command executes, in order, failed tries too. */
async function executed(argv: readonly string[], cwd: string, env = cleanEnvironment): Promise<readonly string[]> {
  const trace = join(cwd, 'trace');
  text(await run([STRACE, '-f', '-qq', '-e', 'trace=execve', '-o', trace, ...argv], { cwd, env }), '');
  return [...readFileSync(trace, 'utf8').matchAll(/execve\("([^"]+)"/g)].map(([, path = '']) => path);
}

describe.runIf(existsSync(STRACE))('a chain of our own programs', () => {
  const isNode = (path: string): boolean => path.endsWith('/node');

  test('starts one Node, and no program between the first and what is not ours', async () => {
    await using here = temporaryDirectory();
    here.makeDirectory('d');
    const links = [[ours('pgrphack')], [ours('envdir'), 'd'], [ours('envuidgid'), 'nobody'], [ours('setlock'), 'lock']];
    const chain = [...links.flat(), ours('softlimit'), '-m', '30000000', '/bin/true'];
    const paths = await executed(chain, here.path);
    expect(paths.filter(isNode)).toHaveLength(1);
    expect(paths.slice(paths.findIndex(isNode) + 1)).toEqual(['/bin/true']);
  });

  test('is recognised by PATH and through links, as npm makes them', async () => {
    await using here = temporaryDirectory();
    here.makeDirectory('d');
    mkdirSync(here.join('links'));
    for (const name of ['envdir', 'setlock'] as const) symlinkSync(ours(name), here.join('links', name));
    const env = { ...cleanEnvironment, PATH: `none:${here.join('links')}:/usr/bin:/bin` };
    const paths = await executed([here.join('links/envdir'), 'd', 'setlock', 'lock', 'true'], here.path, env);
    expect(paths.filter(isNode)).toHaveLength(1);
    expect(paths.filter((path) => path.endsWith('/setlock'))).toEqual([]);
  });

  test.runIf(daemontools.has('setlock'))("ends where PATH has C's program first", async () => {
    await using here = temporaryDirectory();
    here.makeDirectory('d');
    const env = { ...cleanEnvironment, PATH: `${daemontools.programDir}:${daemontap.programDir}:/bin` };
    const paths = await executed([ours('envdir'), 'd', 'setlock', 'lock', 'true'], here.path, env);
    expect(paths.at(-2)).toBe(daemontools.path('setlock'));
  });
});

describe('limits in a chain', () => {
  asRoot('may be far below what Node needs, at any place in it', async () => {
    await using here = temporaryDirectory();
    const end = ['/bin/sh', '-c', 'ulimit -d; ulimit -s; ulimit -v; ulimit -n'];
    const limit = [ours('softlimit'), '-m', '4096000', '-o', '12'];
    const rest = [ours('setuidgid'), 'nobody', ours('envuidgid'), 'root'];
    text(await run([...limit, ...rest, ...end], { cwd: here.path }), '4000\n4000\n4000\n12\n');
    text(await run([...rest, ...limit, ...end], { cwd: here.path }), '4000\n4000\n4000\n12\n');
  });

  test('do not keep a program from saying that it cannot run the next', async () => {
    const outcome = await run([ours('softlimit'), '-a', '4096000', '-d', '0', ours('envuidgid'), 'root', './none']);
    expect(outcome).toEqual(fatal('envuidgid', 'unable to run ./none: file does not exist'));
  });

  test('of two softlimits the last one counts', async () => {
    const chain = [ours('softlimit'), '-o', '20', '-c', '0', ours('softlimit'), '-o', '30', '/bin/sh', '-c'];
    text(await run([...chain, 'ulimit -n; ulimit -c']), '30\n0\n');
  });

  test.each([
    ['-a', '1250000000 bytes of address space'],
    ['-d', '600000000 bytes of data'],
    ['-s', '250000 bytes of stack'],
    ['-o', '16 descriptors'],
  ])('that leave no room for Node (%s) are told where the end of the chain is ours', async (option, needed) => {
    const chain = [ours('softlimit'), option, '9', ours('envuidgid'), 'root', ours('svstat')];
    const text = `unable to run ${ours('svstat')}: it runs on Node, which needs ${needed}, and would have 9`;
    expect(await run(chain)).toEqual(fatal('envuidgid', text));
  });

  // What the shell itself needs is less.
  test.each([
    ['--as=50000000', 'svstat', '1250000000 bytes of address space, and has 50000000'],
    ['--data=50000000', 'setuidgid', '600000000 bytes of data, and has 50000000'],
    ['--stack=200000', 'tai64n', '250000 bytes of stack, and has 200000'],
  ] as const)('that others have set are told, too (%s)', async (limit, name, needed) => {
    const outcome = await run(['/usr/bin/prlimit', `${limit}:`, ours(name)]);
    expect(outcome).toEqual(fatal(name, `unable to run: it runs on Node, which needs ${needed}`));
  });

  test('of all memory leave room for Node from where its address space does', async () => {
    for (const bytes of ['1300000000', '9000000000000000000']) {
      expect(await run([ours('softlimit'), '-m', bytes, ours('tai64n')])).toEqual(silent);
      expect(await run([ours('softlimit'), '-m', bytes, ours('multilog'), 'e'])).toEqual(silent);
    }
  });

  test('that others have set may be more than a shell can count', async () => {
    const [name, limit] = ['/usr/bin/prlimit', '--data=9999999999999999999:'];
    expect(await run([name, limit, ours('tai64n')])).toEqual(silent);
    text(await run([name, limit, ours('envuidgid'), 'root', '/bin/echo', 'x']), 'x\n');
  });

  asRoot('of processes count those of the account, and none of Node', async () => {
    await using here = temporaryDirectory();
    await using other = start([ours('setuidgid'), QUIET_ACCOUNT, 'sleep', '1000'], { cwd: here.path });
    const command = (): string => readFileSync(`/proc/${other.pid}/comm`, 'latin1');
    await until(() => command() === 'sleep\n', { describe: 'another process of the account', state: command });
    for (const implementation of implementations) {
      const [softlimit, setuidgid] = [implementation.path('softlimit'), implementation.path('setuidgid')];
      const chain = (count: number): readonly string[] => [softlimit, '-p', `${count}`, setuidgid, QUIET_ACCOUNT];
      text(await run([...chain(1), '/bin/sh', '-c', 'ulimit -p']), '1\n');
      const tooMany = fatal('setuidgid', 'unable to run /bin/true: temporary failure');
      expect(await run([...chain(0), '/bin/true'])).toEqual(tooMany);
    }
  });
});

describe('fghack in a chain', () => {
  asRoot('runs as the account, with the lock and the environment of those before it', async () => {
    await using here = temporaryDirectory();
    here.makeDirectory('d');
    const chain = [ours('setlock'), 'lock', ours('setuidgid'), 'nobody', ours('envuidgid'), 'nobody', ours('fghack')];
    const outcome = await run([...chain, '/bin/sh', '-c', 'id -u; readlink /proc/$$/fd/3; echo $UID; exit 7'], {
      cwd: here.path,
    });
    expect(outcome).toEqual({ ...silent, code: 7, stdout: `65534\n${here.join('lock')}\n65534\n` });
  });

  test('has its child under the limits, though it lives without them', async () => {
    const chain = [ours('softlimit'), '-m', '4096000', '-o', '50', '-p', '100', '-t', '9', ours('fghack'), '/bin/sh'];
    text(await run([...chain, '-c', 'ulimit -v; ulimit -n; ulimit -p; ulimit -t']), '4000\n50\n100\n9\n');
  });
});

describe('on its way in and out a program of ours', () => {
  test('runs nothing from the working directory, whatever PATH is', async () => {
    await using here = temporaryDirectory();
    here.makeDirectory('d');
    for (const name of ['base64', 'cat', 'readlink']) {
      writeFileSync(here.join(name), '#!/bin/sh\necho not this one >&2\n', { mode: 0o755 });
    }
    mkdirSync(here.join('links'));
    symlinkSync(ours('envdir'), here.join('links/envdir'));
    for (const PATH of ['', ':', 'none:']) {
      text(await run([here.join('links/envdir'), 'd', '/bin/echo', 'x'], { cwd: here.path, env: { PATH } }), 'x\n');
    }
  });

  test('leaves the flags of shared descriptors as others have set them meanwhile', async () => {
    const set = "perl -MFcntl -e 'fcntl STDIN, F_SETFL, O_NONBLOCK or die'";
    const show = "perl -MFcntl -e 'print +(fcntl(STDIN, F_GETFL, 0) & O_NONBLOCK) ? 1 : 0'";
    text(await run(['/bin/sh', '-c', `exec </dev/null; "$1" ${set}; exec ${show}`, 'sh', ours('fghack')]), '1');
  });
});

describe('ps shows', () => {
  const comm = (pid: number): string => readFileSync(`/proc/${pid}/comm`, 'latin1');
  const shown = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'latin1').replace(/\0.*$/s, '');

  test('a setlock that waits, and what for', async () => {
    await using here = temporaryDirectory();
    await using holder = start([ours('setlock'), 'lock', 'sleep', '1000'], { cwd: here.path });
    await until(() => comm(holder.pid) === 'sleep\n', { describe: 'the lock is held', state: () => comm(holder.pid) });
    await using waiting = start([ours('setlock'), 'lock', 'true'], { cwd: here.path });
    const state = (): string => comm(waiting.pid) + shown(waiting.pid);
    await until(() => state() === 'setlock\nsetlock lock true', { describe: 'its name', state });
    process.kill(holder.pid, 'SIGTERM');
    expect(await waiting.exit).toEqual({ code: 0, signal: undefined });
  });

  test('an fghack, and whose', async () => {
    await using here = temporaryDirectory();
    await using fghack = start([ours('fghack'), 'sleep', '1000'], { cwd: here.path });
    const state = (): string => comm(fghack.pid) + shown(fghack.pid);
    await until(() => state() === 'fghack\nfghack sleep 1000', { describe: 'its name', state });
    const children = (): string => readFileSync(`/proc/${fghack.pid}/task/${fghack.pid}/children`, 'latin1').trim();
    const child = await until(() => Number(children()) || false, { describe: 'its child', state: children });
    process.kill(child, 'SIGTERM');
    expect(await fghack.exit).toEqual({ code: 111, signal: undefined });
  });
});

describe('where it does not collide,', () => {
  const helpful = ['svc', 'envdir', 'envuidgid', 'setlock', 'setuidgid', 'softlimit'] as const;

  test.each(helpful)('%s --help tells the usage and what it is for', async (name) => {
    const outcome = await run([ours(name), '--help']);
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout).toMatch(new RegExp(`^usage: ${name} .*\n[^]{50,}\n$`));
  });

  test.each(helpful)('%s --version tells the version', async (name) => {
    const { version } = JSON.parse(readFileSync(join(daemontap.programDir, '../package.json'), 'utf8')) as {
      readonly version: string;
    };
    text(await run([ours(name), '--version']), `${name} (daemontap) ${version}\n`);
  });

  test('and where there is more on the line, nothing is helped', async () => {
    expect(await run([ours('setuidgid'), '--version', 'true'])).toEqual(
      fatal('setuidgid', 'unknown account --version'),
    );
    expect(await run([ours('setlock'), '--help', 'x'])).toMatchObject({ code: 100, stdout: '' });
    expect(await run([ours('pgrphack'), '--help'])).toEqual(
      fatal('pgrphack', 'unable to run --help: file does not exist'),
    );
  });
});
