/** process.exit() joins the threads of libuv's pool: one that waits in epoll_wait must be woken, or nothing ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { until } from '../e2e/support/until.ts';

function child(script: string): ReturnType<typeof spawn> {
  const code = `import { openReadiness } from '@daemontap/posix'; openReadiness(() => {}); ${script}`;
  const flags = ['--conditions=@daemontap/source', '--input-type=module', '-e', code];
  return spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'], cwd: import.meta.dirname });
}

test('a process that waits on descriptors ends at once by process.exit', async () => {
  const [code] = await once(child('setTimeout(() => process.exit(3), 50);'), 'exit');
  expect(code).toBe(3);
});

test('without the wake it would not: its exit handler has run, and it is still there', async () => {
  const process = child(`
    setTimeout(() => {
      process.removeAllListeners('exit');
      process.on('exit', () => { import.meta.dirname; require('node:fs').writeSync(1, 'exiting'); });
      process.exit(3);
    }, 50);
    import { createRequire } from 'node:module';
    const require = createRequire(import.meta.url);`);
  let said = '';
  process.stdout?.on('data', (text) => (said += String(text)));
  await until(() => said === 'exiting', { describe: 'the exit handler' });
  expect(process.exitCode).toBe(null);
  process.kill('SIGKILL');
  expect(await once(process, 'exit')).toEqual([null, 'SIGKILL']);
});
