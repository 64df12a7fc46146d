/** svc, svstat and svok against a live supervise, each of ours and djb's with each: transcripts T14 and T16 to T20. */
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { daemontools, implementations, supervisors } from '../e2e/support/implementations.ts';
import { run } from '../e2e/support/run.ts';
import { start } from '../e2e/support/start.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import { until } from '../e2e/support/until.ts';

const silent = { code: 0, signal: undefined, stdout: '', stderr: '' };

test.runIf(daemontools.has('svc'))('the C programs are there to compare with', () => {
  expect(implementations).toContain(daemontools);
});

const pairs = implementations.flatMap((client) =>
  supervisors.map((server) => ({ client, server, title: `${client.name} with supervise of ${server.name}` })),
);

describe.each(pairs)('clients and a live supervise ($title)', ({ client, server }) => {
  /** A supervised service `a`, and what svc and svstat of the client do to it and say of it. */
  const supervised = async (command?: string) => {
    const here = temporaryDirectory();
    here.makeService('a', command);
    const started = start([server.path('supervise'), 'a'], { cwd: here.path });
    const status = async (): Promise<string> => {
      const { stdout } = await run([client.path('svstat'), 'a'], { cwd: here.path });
      return stdout.replace(/pid \d+/, 'pid <PID>').replace(/\d+ seconds/, '<N> seconds');
    };
    const becomes = (line: string): Promise<boolean> =>
      until(async () => (await status()) === line, { describe: `svstat says "${line}"`, state: status });
    return {
      here,
      started,
      status,
      becomes,
      svc: async (options: string): Promise<void> => {
        expect(await run([client.path('svc'), options, 'a'], { cwd: here.path })).toEqual(silent);
      },
      svok: async (): Promise<number | undefined> => (await run([client.path('svok'), 'a'], { cwd: here.path })).code,
      async [Symbol.asyncDispose]() {
        await started[Symbol.asyncDispose]();
        await here[Symbol.asyncDispose]();
      },
    };
  };

  test('svok exits 0 while it runs, svc -dx ends it, then svok exits 100 and svstat says so', async () => {
    await using a = await supervised();
    await until(async () => (await a.svok()) === 0, { describe: 'svok succeeds' });
    await a.becomes('a: up (pid <PID>) <N> seconds\n');
    await a.svc('-dx');
    expect(await a.started.exit).toEqual({ code: 0, signal: undefined });
    expect(await a.svok()).toBe(100);
    expect(await a.status()).toBe('a: supervise not running\n');
  });

  test('paused, continued, normally down: svstat shows each', async () => {
    await using a = await supervised();
    await a.becomes('a: up (pid <PID>) <N> seconds\n');
    await a.svc('-p');
    await a.becomes('a: up (pid <PID>) <N> seconds, paused\n');
    await a.svc('-c');
    await a.becomes('a: up (pid <PID>) <N> seconds\n');
    writeFileSync(a.here.join('a/down'), '');
    expect(await a.status()).toBe('a: up (pid <PID>) <N> seconds, normally down\n');
    await a.svc('-p');
    await a.becomes('a: up (pid <PID>) <N> seconds, normally down, paused\n');
  });

  test('down is shown against what is normal', async () => {
    await using a = await supervised();
    await a.becomes('a: up (pid <PID>) <N> seconds\n');
    await a.svc('-d');
    await a.becomes('a: down <N> seconds, normally up\n');
    writeFileSync(a.here.join('a/down'), '');
    expect(await a.status()).toBe('a: down <N> seconds\n');
  });

  test('wanted down but still up, paused as well, killed', async () => {
    await using a = await supervised('trap "" TERM; echo ready; while :; do sleep 0.1; done');
    await until(() => a.started.stdout().includes('ready'), { describe: 'the service ignores TERM' });
    await a.becomes('a: up (pid <PID>) <N> seconds\n');
    await a.svc('-d');
    await a.becomes('a: up (pid <PID>) <N> seconds, want down\n');
    await a.svc('-p');
    await a.becomes('a: up (pid <PID>) <N> seconds, paused, want down\n');
    await a.svc('-k');
    await a.becomes('a: down <N> seconds, normally up\n');
  });

  test('once is shown by nothing until it has ended', async () => {
    await using a = await supervised();
    await a.becomes('a: up (pid <PID>) <N> seconds\n');
    await a.svc('-ok');
    await a.becomes('a: down <N> seconds, normally up\n');
  });
});
