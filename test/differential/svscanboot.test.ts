/** svscanboot, ours and djb's: transcripts T101 and T102 and section 4 of the behaviour reference. */
import { copyFileSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { daemontap, daemontools, implementations } from '../e2e/support/implementations.ts';
import type { Implementation } from '../e2e/support/implementations.ts';
import { run } from '../e2e/support/run.ts';
import { slowPipe } from '../e2e/support/slow-pipe.ts';
import { start } from '../e2e/support/start.ts';
import type { Exit } from '../e2e/support/start.ts';
import { childrenOf, clientsIn, linesOf, readRecord, serverEnvironment } from '../e2e/support/supervised.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import type { TemporaryDirectory } from '../e2e/support/temporary-directory.ts';
import { until } from '../e2e/support/until.ts';

const PATH = '/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin';
const programs = ['svc', 'svscan', 'readproctitle'] as const;

/** A svscanboot that runs, and what it has started. */
interface Boot extends AsyncDisposable {
  /** The pid of what it has started under that name, once it runs under it. */
  child(name: 'svscan' | 'readproctitle'): Promise<number>;
  /** Waits until ps shows this at the end of the 400 places. */
  shows(text: string): Promise<void>;
  /** Ends svscan and then the services, and returns how svscanboot ended. */
  end(): Promise<Exit>;
}

interface BootOptions {
  /** The directory of the services, below `here`. */
  readonly services: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

function boot(
  here: TemporaryDirectory,
  { services, argv, env = { PATH: '/usr/bin:/bin', FOO: '1' } }: BootOptions,
): Boot {
  const program = start(argv, { cwd: here.path, env });
  let exit: Exit | undefined;
  void program.exit.then((how) => (exit = how));
  const find = (name: string): number | undefined => childrenOf(program.pid).find((pid) => commandOf(pid) === name);
  const end = async (): Promise<Exit> => {
    const svc = (): Promise<unknown> =>
      run(['/bin/sh', '-c', 'exec "$0" -dx */ */log', daemontap.path('svc')], { cwd: here.join(services) });
    await until(
      async () => {
        const svscan = find('svscan');
        if (svscan !== undefined) process.kill(svscan, 'SIGTERM');
        else await svc(); // none that starts them anew is left
        return exit !== undefined;
      },
      { describe: 'svscanboot has ended', everyMs: 100 },
    );
    expect([program.stdout(), program.stderr()]).toEqual(['', '']);
    return program.exit;
  };
  return {
    child: (name) => until(() => find(name), { describe: `${name} runs` }),
    async shows(text) {
      const pid = await this.child('readproctitle');
      const shown = `readproctitle\0service\0errors:\0${'.'.repeat(400 - text.length)}${text}\0`;
      const commandLine = (): string => readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      await until(() => commandLine() === shown, { describe: `ps shows ${text}`, state: commandLine });
    },
    end,
    async [Symbol.asyncDispose]() {
      if (exit === undefined) await end();
      await program[Symbol.asyncDispose]();
    },
  };
}

/** A copy of the script that looks after `here/s`, with the programs of its implementation beside it. */
function copyIn(here: TemporaryDirectory, implementation: Implementation): readonly string[] {
  const binDir = here.makeDirectory('bin');
  for (const name of programs) symlinkSync(implementation.path(name), join(binDir, name));
  const script = readFileSync(implementation.path('svscanboot'), 'utf8');
  writeFileSync(join(binDir, 'svscanboot'), script.replaceAll('/etc/service', here.join('s')));
  return ['/bin/sh', join(binDir, 'svscanboot')];
}

describe.each(implementations)('svscanboot ($name)', (implementation) => {
  test('its last line holds 400 dots, and three of its lines begin with exec', () => {
    const lines = readFileSync(implementation.path('svscanboot'), 'latin1').trimEnd().split('\n');
    expect(lines.at(-1)?.replaceAll(/[^.]/g, '')).toHaveLength(400);
    expect(lines.filter((line) => line.startsWith('exec '))).toHaveLength(3);
  });

  test('services find PATH and nothing else, and what they do not take care of is shown by ps', async () => {
    await using here = temporaryDirectory();
    const dir = here.makeService(
      's/a',
      'env >environment; readlink /proc/$$/fd/0 >input; echo to-out; echo to-err >&2; exec sleep 1000',
    );
    here.makeService('s/b', 'exec cat no-such-file');
    writeFileSync(here.join('s/b/down'), '');
    await using booted = boot(here, { services: 's', argv: copyIn(here, implementation) });
    await booted.shows('to-out\nto-err\n');
    expect(linesOf(join(dir, 'environment')).filter((line) => !line.startsWith('PWD='))).toEqual([`PATH=${PATH}`]);
    expect(linesOf(join(dir, 'input'))).toEqual(['/dev/null']);
    for (const client of implementations) {
      const { svc, says } = clientsIn(client, here.path);
      await says('s/a', 'up (pid N) N seconds');
      await svc('-o', 's/b');
      await says('s/b', 'down N seconds');
    }
    await booted.shows(
      `to-out\nto-err\n${'cat: no-such-file: No such file or directory\n'.repeat(implementations.length)}`,
    );
    expect(await booted.end()).toEqual({ code: 0, signal: undefined });
  });

  test('what an earlier one has left is asked to end, log services included, and started anew', async () => {
    await using here = temporaryDirectory();
    here.makeService('s/a');
    here.makeService('s/a/log', 'exec cat >/dev/null');
    using pipe = slowPipe(here);
    const supervise = (cwd: string, name: string): ReturnType<typeof start> =>
      start([implementation.path('supervise'), name], {
        cwd: here.join(cwd),
        env: serverEnvironment(implementation, here),
        stdin: pipe.reader,
      });
    await using main = supervise('s', 'a');
    await using log = supervise('s/a', 'log');
    const pidOf = (name: string): number | undefined => readRecord(here.join(name))?.pid || undefined;
    const names = ['s/a', 's/a/log'];
    const before = await Promise.all(names.map((name) => until(() => pidOf(name), { describe: `${name} is up` })));
    await using booted = boot(here, { services: 's', argv: copyIn(here, implementation) });
    for (const left of [main, log]) expect(await left.exit).toEqual({ code: 0, signal: undefined });
    for (const [index, name] of names.entries())
      await until(() => (pidOf(name) ?? before[index]) !== before[index], { describe: `another ${name} is up` });
    expect(await booted.end()).toEqual({ code: 0, signal: undefined });
  });

  test('an empty directory is waited at; without one it ends, and its exit code is 0', async () => {
    await using here = temporaryDirectory();
    const argv = copyIn(here, implementation);
    expect(await run(argv)).toEqual({ code: 0, signal: undefined, stdout: '', stderr: '' });
    here.makeDirectory('s');
    await using booted = boot(here, { services: 's', argv });
    await booted.child('svscan');
    here.makeService('s/a', 'echo hello; exec sleep 1000');
    await booted.shows('hello\n');
    expect(await booted.end()).toEqual({ code: 0, signal: undefined });
  });
});

describe('svscanboot (daemontap)', () => {
  const ownNode = (): string => readlinkSync('/proc/self/exe');

  test.each([
    ['a directory with spaces and signs', `the services' "*" $HOME`],
    ['a directory that begins with a dash', '-x'],
  ])('its argument may tell the directory: %s', async (_, name) => {
    await using here = temporaryDirectory();
    here.makeService(join(name, 'a b'), 'echo "$PWD"; exec sleep 1000');
    await using booted = boot(here, { services: name, argv: [daemontap.path('svscanboot'), name] });
    await booted.shows(`${here.join(name, 'a b')}\n`);
    expect(await booted.end()).toEqual({ code: 0, signal: undefined });
  });

  test.each([
    ['in its place', () => daemontap.path('svscanboot')],
    [
      'through links',
      (here: TemporaryDirectory) => {
        symlinkSync(daemontap.path('svscanboot'), here.join('one'));
        symlinkSync('one', here.join('two'));
        return here.join('two');
      },
    ],
    [
      'in node_modules/.bin',
      (here: TemporaryDirectory) => {
        symlinkSync(dirname(daemontap.programDir), join(here.makeDirectory('node_modules/@daemontap'), 'cli'));
        const binDir = here.makeDirectory('node_modules/.bin');
        for (const name of ['svscanboot', ...programs])
          symlinkSync(`../@daemontap/cli/bin/${name}`, join(binDir, name));
        return join(binDir, 'svscanboot');
      },
    ],
  ])('called %s it starts the programs that lie beside it, whatever PATH says', async (_, place) => {
    await using here = temporaryDirectory();
    here.makeService('s/a', 'echo up; exec sleep 1000');
    const env = { PATH: '/nonexist' };
    await using booted = boot(here, { services: 's', argv: [place(here), 's'], env });
    await booted.shows('up\n');
    for (const name of ['svscan', 'readproctitle'] as const)
      expect([name, readlinkSync(`/proc/${await booted.child(name)}/exe`)]).toEqual([name, ownNode()]);
    expect(await booted.end()).toEqual({ code: 0, signal: undefined });
  });

  test.runIf(PATH.split(':').includes(daemontools.programDir) && daemontools.has('svscan'))(
    'a copy of it that lies elsewhere takes the programs from PATH',
    async () => {
      await using here = temporaryDirectory();
      here.makeService('s/a', 'echo up; exec sleep 1000');
      copyFileSync(daemontap.path('svscanboot'), here.join('b'));
      await using booted = boot(here, { services: 's', argv: ['/bin/sh', 'b', 's'] });
      await booted.shows('up\n');
      for (const name of ['svscan', 'readproctitle'] as const)
        expect(readlinkSync(`/proc/${await booted.child(name)}/exe`)).toBe(daemontools.path(name));
      expect(await booted.end()).toEqual({ code: 0, signal: undefined });
    },
  );

  test('where /etc/service does not exist and /service does, that is it', async () => {
    await using here = temporaryDirectory();
    const [, path = ''] = copyIn(here, daemontap);
    const script = readFileSync(path, 'utf8').replaceAll(/(?<![\w/])\/service\b/g, here.join('published'));
    writeFileSync(path, script);
    here.makeService('published/a', 'echo published; exec sleep 1000');
    {
      await using booted = boot(here, { services: 'published', argv: ['/bin/sh', path] });
      await booted.shows('published\n');
      await booted.end();
    }
    here.makeService('s/a', 'echo etc; exec sleep 1000');
    await using booted = boot(here, { services: 's', argv: ['/bin/sh', path] });
    await booted.shows('etc\n');
    await booted.end();
    expect(readdirSync(here.join('published/a'))).toContain('supervise');
  });
});

/** The name of a process, as pgrep knows it. */
function commandOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trimEnd();
  } catch {
    return undefined;
  }
}
