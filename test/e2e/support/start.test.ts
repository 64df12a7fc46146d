import { describe, expect, test } from 'vitest';
import { supervisors } from './implementations.ts';
import { start } from './start.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { until } from './until.ts';

describe.each(supervisors.filter((each) => each.has('svscan')))('start() of svscan ($name)', (implementation) => {
  test('leaves nothing behind, not even services that ignore TERM', async () => {
    await using here = temporaryDirectory();
    here.makeService('service/plain');
    here.makeService('service/plain/log', 'exec cat >/dev/null');
    here.makeService('service/stubborn', 'trap "" TERM; echo ready; while :; do sleep 0.1; done');
    const env = { PATH: `${implementation.programDir}:/usr/bin:/bin` };
    const started = start([implementation.path('svscan'), here.join('service')], { cwd: here.path, env });
    await until(() => started.stdout().includes('ready') && started.pids().length >= 4, {
      describe: 'all services run',
      state: () => [started.pids(), started.stderr()],
    });
    expect(started.pids()).toContain(started.pid);
    await started[Symbol.asyncDispose]();
    expect(started.pids()).toEqual([]);
  });
});

test('until() tells what was last seen', async () => {
  const waiting = until(() => false, { describe: 'pigs fly', state: () => 'pigs walk', timeoutMs: 1 });
  await expect(waiting).rejects.toThrow('gave up waiting until pigs fly (1 ms); last seen: pigs walk');
});
