/** SCHED_RESET_ON_FORK: a supervisor may go first without its services going first, too. Needs root. */
import { execFileSync } from 'node:child_process';
import { test as always, expect } from 'vitest';

const test = always.runIf(process.getuid?.() === 0);

test('what a raised process starts has the ordinary priority', () => {
  const code = `
    import { readFileSync } from 'node:fs';
    import { openProcesses, raisePriority } from '@daemontap/posix';
    raisePriority();
    const nice = (pid) => readFileSync('/proc/' + pid + '/stat', 'latin1').split(') ')[1].split(' ')[16];
    const { openSync } = await import('node:fs');
    const processes = openProcesses(() => {});
    const words = ['sh', '-c', 'read line'].map((word) => Buffer.from(word));
    const pid = processes.spawn({
      file: Buffer.from('/bin/sh'), argv: words, environment: [], directoryFd: openSync('/', 'r'),
      descriptors: [[0, 0], [1, 1], [2, 2]], ignoredSignals: 0n, blockedSignals: 0n, descriptorLimit: undefined,
    }, () => process.exit(0));
    console.log(nice('self'), nice(pid));
    processes.signal(pid, 'SIGKILL');`;
  const flags = ['--conditions=@daemontap/source', '--input-type=module', '-e', code];
  const output = execFileSync(process.execPath, flags, {
    encoding: 'utf8',
    cwd: import.meta.dirname,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  expect(output).toBe('-10 0\n');
});
