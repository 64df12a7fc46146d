/**
 * Becoming another program from within Node: what the next program finds when it is done through libc, and which parts
 * of it need care. process.execve is no way: it aborts in Node 24 when it fails.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const asRoot = test.runIf(process.getuid?.() === 0);
if (process.getuid?.() !== 0) console.log('skipped: probes that need root');

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'daemontap-exec-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

/**
 * Runs a script that has the functions of @daemontap/posix, and returns what it or what it becomes prints. As the
 * programs do, without a compiler, which would take memory at any time.
 */
function node(script: string): string {
  const code = `import * as posix from '@daemontap/posix'; import * as fs from 'node:fs';
    const become = (file, ...words) => becomeUnder(new Map(), file, ...words);
    const becomeUnder = (softLimits, file, ...words) => {
      const environment = Object.entries(process.env).map((entry) => Buffer.from(entry.join('=')));
      for (const fd of [0, 1, 2]) posix.keepAtExec(fd, true);
      const exec = posix.prepareExec({ argv: [file, ...words].map((w) => Buffer.from(w)), environment, softLimits });
      return () => exec(Buffer.from(file));
    };
    ${script}`;
  const flags = ['--lite-mode', '--input-type=module', '-e', code];
  return execFileSync(process.execPath, flags, { encoding: 'latin1', cwd: import.meta.dirname, input: 'input' });
}

describe('execve through libc', () => {
  test('keeps the pid, gives one thread and no descriptor of Node', () => {
    const script = `fs.writeSync(1, process.pid + '\\n');
      become('/bin/sh', '-c', 'echo $$; grep Threads /proc/self/status; exec ls /proc/self/fd')();`;
    const [pid, own, threads, ...descriptors] = node(script).trim().split('\n');
    expect([own, threads]).toEqual([pid, 'Threads:\t1']);
    // 3 is that of ls; what is higher than Node's was there before it.
    expect(descriptors.filter((fd) => Number(fd) < 100)).toEqual(['0', '1', '2', '3']);
  });

  test('loses the first three descriptors unless close-on-exec is taken from them', () => {
    const script = `const attempt = become('/bin/sh', '-c', '[ -e /proc/$$/fd/0 ] || echo closed');
      posix.keepAtExec(0, false);
      attempt();`;
    expect(node(script)).toBe('closed\n');
  });

  test('returns the number of the error when it fails, and Node goes on', () => {
    writeFileSync(join(dir, 'plain'), '', { mode: 0o755 });
    const script = `const failures = ['/nonexist', '/tmp', ${JSON.stringify(join(dir, 'plain'))}]
        .map((file) => become(file)());
      fs.writeSync(1, failures.join());`;
    expect(node(script)).toBe('2,13,8');
  });

  test('hands on what Node has not read', () => {
    expect(node(`become('/bin/cat')();`)).toBe('input');
  });

  test('works under limits of memory that are far below what Node has', () => {
    const script = `becomeUnder(new Map([['data', 0n], ['stack', 200000n], ['as', 4096000n]]), '/bin/sh', '-c', 'ulimit -v')();`;
    expect(node(script)).toBe('4000\n');
  });

  test('takes them back when it fails, however often', () => {
    const script = `const attempt = becomeUnder(new Map([['data', 0n], ['as', 0n]]), '/nonexist');
      let failures = 0; for (let count = 0; count < 20000; count++) failures += attempt();
      fs.writeSync(1, failures + ' ' + Buffer.alloc(50_000_000).length);`;
    expect(node(script)).toBe('40000 50000000');
  });

  test('gives descriptors the numbers that Node has taken for itself', () => {
    const path = JSON.stringify(join(dir, 'placed'));
    const script = `const [first, second] = [fs.openSync(${path}, 'a'), fs.openSync('/dev/null', 'r')];
      const attempt = become('/bin/sh', '-c', 'echo text >&3; readlink /proc/$$/fd/4');
      posix.placeDescriptors([[3, first], [4, second]]);
      attempt();`;
    expect(node(script)).toBe('/dev/null\n');
    expect(readFileSync(join(dir, 'placed'), 'latin1')).toBe('text\n');
  });
});

describe('within Node', () => {
  test('accounts are found by the C library', () => {
    const script = `fs.writeSync(1, JSON.stringify(['root', 'nobody', 'no such account', ''].map((name) =>
      posix.findAccount(Buffer.from(name)) ?? null)));`;
    expect(JSON.parse(node(script))).toEqual([{ uid: 0, gid: 0 }, { uid: 65534, gid: 65534 }, null, null]);
  });

  asRoot('ids change for all threads', () => {
    const script = `process.setgroups([65534]); process.setgid(65534); process.setuid(65534);
      const uids = fs.readdirSync('/proc/self/task').map((id) =>
        /^Uid:\\s+(\\d+)/m.exec(fs.readFileSync('/proc/self/task/' + id + '/status', 'latin1'))[1]);
      fs.writeSync(1, JSON.stringify([uids.length > 1, new Set(uids).size, uids[0]]));`;
    expect(JSON.parse(node(script))).toEqual([true, 1, '65534']);
  });

  test('a session is started, once', () => {
    const script = `posix.startSession(); let refused; try { posix.startSession(); } catch ({ code }) { refused = code; }
      const stat = fs.readFileSync('/proc/self/stat', 'latin1').split(') ')[1].split(' ');
      fs.writeSync(1, JSON.stringify([stat[2], stat[3], String(process.pid), refused]));`;
    const [group, session, pid, refused] = JSON.parse(node(script)) as readonly string[];
    expect([group, session, refused]).toEqual([pid, pid, 'EPERM']);
  });

  test('a directory is entered by bytes and left by descriptor', () => {
    const script = `const back = fs.openSync('.', 'r'); const name = Buffer.from(${JSON.stringify(join(dir, 'odd'))} + '\\xff\\n', 'latin1');
      fs.mkdirSync(name); posix.enterDirectory(name);
      const inside = fs.readlinkSync('/proc/self/cwd', 'buffer').equals(name);
      posix.enterOpenDirectory(back);
      let refused; try { posix.enterDirectory(Buffer.from('/nonexist')); } catch ({ code, syscall, path }) { refused = [code, syscall, path]; }
      fs.writeSync(1, JSON.stringify([inside, fs.readlinkSync('/proc/self/cwd') === process.cwd(), refused]));`;
    expect(JSON.parse(node(script))).toEqual([true, true, ['ENOENT', 'chdir', '/nonexist']]);
  });
});
