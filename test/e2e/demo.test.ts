/** `npm start`: the demonstration, as a newcomer meets it. */
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { daemontap } from './support/implementations.ts';
import { run } from './support/run.ts';
import { start } from './support/start.ts';
import type { StartedProgram } from './support/start.ts';
import { maskStatus, serverEnvironment } from './support/supervised.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import type { TemporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

const rootDir = join(import.meta.dirname, '../..');
const ownNode = realpathSync(join(rootDir, `node_modules/node-linux-${process.arch}/bin/node`));

/** Starts it; its sample lies below `tmp`. */
function startDemo(here: TemporaryDirectory, ...words: readonly string[]): StartedProgram {
  here.makeDirectory('tmp');
  return start([ownNode, join(rootDir, 'packages/cli/dist/demo.cjs'), ...words], {
    cwd: here.path,
    env: serverEnvironment(daemontap, here, { TMPDIR: here.join('tmp') }),
  });
}

/** Waits until svstat says that all of these are up. */
async function areUp(demo: StartedProgram, directories: readonly string[]): Promise<void> {
  const says = async (): Promise<string> => maskStatus((await run([daemontap.path('svstat'), ...directories])).stdout);
  const expected = directories.map((directory) => `${directory}: up (pid N) N seconds\n`).join('');
  await until(async () => (await says()) === expected, {
    describe: 'all are up',
    state: async () => [await says(), demo.stderr()],
    everyMs: 100,
  });
}

describe.concurrent('npm start', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)(
    'shows a sample and what to try with it; %s ends it with 0, and nothing is left',
    async (signal) => {
      await using here = temporaryDirectory();
      await using demo = startDemo(here);
      const scanDir = await until(() => /^svscan supervises the services in (\S+); Ctrl-C/m.exec(demo.stdout())?.[1], {
        describe: 'it says where the sample is',
        state: () => [demo.stdout(), demo.stderr()],
      });
      expect(scanDir.startsWith(`${here.join('tmp')}/`)).toBe(true);
      for (const command of ['svstat', 'svc -d', 'svc -t', 'tail -f', 'cp -r'])
        expect(demo.stdout()).toContain(command);
      const services = ['clock', 'crasher', 'greeter', 'greeter/log'];
      await areUp(
        demo,
        services.map((name) => join(scanDir, name)),
      );
      await until(() => services.every((name) => demo.stderr().includes(` ${name}: started (pid `)), {
        describe: 'it is shown what happens',
        state: demo.stderr,
      });
      process.kill(demo.pid, signal);
      expect(await demo.exit).toEqual({ code: 0, signal: undefined });
      expect(demo.stdout()).toMatch(/\nAll services have ended\.\n$/);
      expect(readdirSync(here.join('tmp'))).toEqual([]);
      // What a script of the sample waited for goes on until it is over, as under any supervisor.
      const left = demo.pids().map((pid) => ({ pid, name: nameOf(pid) }));
      expect(left.filter(({ name }) => name !== 'sleep' && name !== undefined)).toEqual([]);
      for (const { pid, name } of left) if (name !== undefined) process.kill(pid, 'SIGKILL');
    },
  );

  test('with a directory supervises that one, and leaves it there', async () => {
    await using here = temporaryDirectory();
    const own = here.makeService('own/finger');
    await using demo = startDemo(here, here.join('own'));
    await areUp(demo, [own]);
    expect(demo.stdout()).toContain(`svscan supervises the services in ${here.join('own')}; Ctrl-C ends it.\n`);
    expect(demo.stdout()).not.toContain('greeter');
    process.kill(demo.pid, 'SIGINT');
    expect(await demo.exit).toEqual({ code: 0, signal: undefined });
    expect(demo.pids()).toEqual([]);
    expect([existsSync(join(own, 'run')), readdirSync(here.join('tmp'))]).toEqual([true, []]);
  });
});

function nameOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trim();
  } catch {
    return undefined; // ended meanwhile
  }
}
