/** Who has a file open: processes below this one, made by perl so that who is whose child is known. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { fileIdentity } from './file-identity.ts';
import { findHolder } from './holders.ts';
import type { HolderSearch } from './holders.ts';
import { readProcess } from './process-table.ts';

/** Runs a program of perl with a file open as `$file`, and is over at the end of its input. */
const PRELUDE = `use POSIX; $| = 1; $^F = 100; open my $file, '<', $ARGV[0] or die; sub child { my $body = shift; my $pid = fork;
  if (!$pid) { $body->(); POSIX::pause() while 1 } push @pids, $pid; $pid }
  sub tell_all { print "@_\\n"; <STDIN>; kill KILL => @pids; exit }`;

let dir: string;
let path: string;
let programs: ChildProcess[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'daemontap-holders-'));
  chmodSync(dir, 0o755);
  path = join(dir, 'file');
  writeFileSync(path, '');
  programs = [];
});
afterEach(async () => {
  for (const program of programs) {
    const exit = once(program, 'exit');
    program.stdin?.end();
    await exit;
  }
  rmSync(dir, { recursive: true });
});

/** Starts it, and gives the pids that it tells. */
async function told(body: string): Promise<readonly number[]> {
  const program = spawn('/usr/bin/perl', ['-e', `${PRELUDE}; ${body}`, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  programs.push(program);
  const [line] = (await Promise.race([once(program.stdout, 'data'), once(program.stdout, 'end')])) as [Buffer];
  return line.toString().trim().split(' ').map(Number);
}
const found = (search: Partial<HolderSearch> = {}): number | undefined =>
  findHolder({ file: fileIdentity(path), among: 'all', except: new Set(), ...search })?.pid;

test('a file that nobody has open has no holder', async () => {
  await told('close $file; tell_all($$)');
  expect([found(), found({ among: 'children' })]).toEqual([undefined, undefined]);
});

test('one holder is found with its start time, among the children only where it is one', async () => {
  const [parent = 0] = await told('tell_all($$)');
  expect(findHolder({ file: fileIdentity(path), among: 'children', except: new Set() })).toEqual({
    pid: parent,
    startTicks: readProcess(parent)?.startTicks,
  });
  expect(found()).toBe(parent);
  expect(found({ except: new Set([parent]) })).toBeUndefined();
});

test('a grandchild is no child', async () => {
  const [grandchild] = await told('$pid = child(sub {}); close $file; tell_all($pid)');
  expect([found({ among: 'children' }), found()]).toEqual([undefined, grandchild]);
});

test('of a parent and its child it is the parent, however many others have it', async () => {
  const [parent] = await told('child(sub {}) for 1 .. 5; tell_all($$)');
  expect(found()).toBe(parent);
});

test('of two that are nobody’s children among them it is the older one', async () => {
  const [older] = await told(
    'my @both = map { my $pid = child(sub {}); select undef, undef, undef, 0.03; $pid } 1, 2; close $file; tell_all(@both)',
  );
  expect(found()).toBe(older);
});

test('one that has ended and was not reaped holds nothing', async () => {
  const [zombie = 0] = await told('my $pid = child(sub { POSIX::_exit(0) }); close $file; tell_all($pid)');
  await vi.waitFor(() => expect(readProcess(zombie)?.state).toBe('Z'), { timeout: 4500 });
  expect(found()).toBeUndefined();
});

test('one of another account is found by root without the right to look at everybody, too', async (context) => {
  const canDrop = process.getuid?.() === 0 && existsSync('/usr/sbin/capsh');
  if (!canDrop) context.skip('it needs root, and capsh');
  chmodSync(path, 0o644);
  const [pid] = await told(
    'POSIX::setgid(65534); POSIX::setuid(65534); exec "perl", "-e", q{$| = 1; print "$$\\n"; <STDIN>}',
  );
  const script = `import { findHolder } from '@daemontap/posix'; import { readFileSync, writeSync } from 'node:fs';
    const found = findHolder({ file: '${fileIdentity(path)}', among: 'all', except: new Set() });
    const [ids] = /^Uid:.*\\nGid:.*/m.exec(readFileSync('/proc/self/status', 'latin1'));
    writeSync(1, found?.pid + ' ' + ids.replaceAll(/\\s+/g, ' '));`;
  const words = [process.execPath, '--conditions=@daemontap/source', '--input-type=module', '--eval', script];
  const { stdout, stderr } = spawnSync(
    '/usr/sbin/capsh',
    ['--drop=cap_sys_ptrace', '--', '-c', 'exec "$0" "$@"', ...words],
    { cwd: import.meta.dirname, encoding: 'latin1', timeout: 20_000 },
  );
  expect([stdout, stderr]).toEqual([`${pid} Uid: 0 0 0 0 Gid: 0 0 0 0`, '']);
}, 20_000);
