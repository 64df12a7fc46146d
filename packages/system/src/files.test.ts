import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tryLock } from '@daemontap/posix';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { HeldDirectory } from '@daemontap/kernel';
import { nodeFiles } from './files.ts';

const files = nodeFiles({ tryLock });
let dir: string;
let held: HeldDirectory;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'daemontap-files-'));
  held = files.hold(dir);
});
afterEach(() => {
  held.close();
  rmSync(dir, { recursive: true, force: true });
});

const refused = (code: string): unknown => expect.objectContaining({ code });
const inside = (...names: readonly string[]): string => join(dir, ...names);

describe('a held directory', () => {
  test('is known by device and inode, whatever leads to it', () => {
    const { dev, ino } = statSync(dir, { bigint: true });
    symlinkSync('.', inside('link'));
    const again = files.holdInside(held, Buffer.from('link'));
    expect([held.identity, again.identity]).toEqual([`${dev}-${ino}`, `${dev}-${ino}`]);
    again.close();
  });
  test('is reached by its path after it was renamed', () => {
    mkdirSync(inside('a'));
    const a = files.holdInside(held, 'a');
    renameSync(inside('a'), inside('b'));
    writeFileSync(inside('b/run'), '');
    expect([files.kindOf(a, 'run'), existsSync(`${a.path}/run`), files.isRemoved(a)]).toEqual(['other', true, false]);
    a.close();
  });
  test('that was removed says so', () => {
    mkdirSync(inside('a'));
    const a = files.holdInside(held, 'a');
    rmSync(inside('a'), { recursive: true });
    expect(files.isRemoved(a)).toBe(true);
    a.close();
  });
  test('is let go once, however often it is closed', () => {
    const other = files.hold(dir);
    other.close();
    const next = files.hold(dir); // takes the number that was let go
    other.close();
    expect(() => fstatSync(next.fd)).not.toThrow();
    next.close();
  });
  test('is refused where there is none', () => {
    writeFileSync(inside('file'), '');
    expect(() => files.holdInside(held, 'file')).toThrow(refused('ENOTDIR'));
    expect(() => files.holdInside(held, 'missing')).toThrow(refused('ENOENT'));
  });
});

test('what a name is, symlinks followed', () => {
  writeFileSync(inside('file'), '');
  symlinkSync('file', inside('link'));
  symlinkSync('missing', inside('dangling'));
  mkdirSync(inside('dir'));
  expect(['file', 'link', 'dangling', 'dir', 'missing'].map((name) => files.kindOf(held, name))).toEqual([
    'other',
    'other',
    'nothing',
    'directory',
    'nothing',
  ]);
  symlinkSync('loop', inside('loop'));
  expect(() => files.kindOf(held, 'loop')).toThrow(refused('ELOOP'));
});

describe('a listing', () => {
  const listed = async (): Promise<ReadonlyMap<string, unknown>> =>
    new Map((await files.list(held)).map(({ name, found }) => [name.toString('latin1'), found]));

  test('has every name but those with a dot, bytes and all', async () => {
    mkdirSync(inside('dir'));
    mkdirSync(inside('.hidden'));
    mkdirSync(Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0x0a])]));
    writeFileSync(inside('file'), '');
    symlinkSync('missing', inside('dangling'));
    const { dev, ino, ctimeNs } = statSync(inside('dir'), { bigint: true });
    const found = await listed();
    expect([...found.keys()].toSorted()).toEqual(['dangling', 'dir', 'file', '\xff\n'].toSorted());
    expect(found.get('dir')).toMatchObject({ type: 'directory', identity: `${dev}-${ino}` });
    const { changedAtNs } = found.get('dir') as { changedAtNs: bigint };
    expect(changedAtNs / 1_000_000n).toBe(ctimeNs / 1_000_000n);
    expect(found.get('file')).toEqual({ type: 'other' });
    expect(found.get('dangling')).toEqual({ type: 'failed', cause: refused('ENOENT') });
  });

  test('sees at the next look what was renamed, exchanged, removed, made anew or changed', async () => {
    for (const name of ['a', 'b', 'c', 'd']) mkdirSync(inside(name));
    const first = await listed();
    renameSync(inside('a'), inside('x'));
    renameSync(inside('b'), inside('a'));
    renameSync(inside('x'), inside('b'));
    rmSync(inside('c'), { recursive: true });
    writeFileSync(inside('c'), '');
    mkdirSync(inside('d/log'));
    const second = await listed();
    const identity = (found: ReadonlyMap<string, unknown>, name: string): unknown =>
      (found.get(name) as { identity?: string }).identity;
    expect([identity(second, 'a'), identity(second, 'b')]).toEqual([identity(first, 'b'), identity(first, 'a')]);
    expect(second.get('c')).toEqual({ type: 'other' });
    const changed = (found: ReadonlyMap<string, unknown>): bigint =>
      (found.get('d') as { changedAtNs: bigint }).changedAtNs;
    expect(changed(second)).toBeGreaterThanOrEqual(changed(first));
  });

  test('of a directory that is not there any more is empty', async () => {
    rmSync(dir, { recursive: true });
    expect([...(await listed())]).toEqual([]);
  });
});

describe('a claim', () => {
  test('makes supervise/ and its lock for their owner alone, and is exclusive until it is closed', () => {
    const umask = process.umask(0);
    const claim = files.claim(held);
    process.umask(umask);
    expect(statSync(inside('supervise')).mode & 0o777).toBe(0o700);
    expect(statSync(inside('supervise/lock')).mode & 0o777).toBe(0o600);
    expect(() => files.claim(held)).toThrow(refused('EAGAIN'));
    claim.close();
    claim.close();
    files.claim(held).close();
  });
  test('leaves no descriptor open when it is refused', () => {
    const claim = files.claim(held);
    const before = readdirSync('/proc/self/fd').length;
    for (let count = 0; count < 10; count++) expect(() => files.claim(held)).toThrow(refused('EAGAIN'));
    expect(readdirSync('/proc/self/fd').length).toBe(before);
    claim.close();
  });
  test('makes the directory that a dangling supervise leads to, as Debian does', () => {
    symlinkSync('elsewhere', inside('supervise'));
    files.claim(held).close();
    expect(statSync(inside('elsewhere')).mode & 0o777).toBe(0o700);
  });
  test('follows no symlink in the place of the lock', () => {
    mkdirSync(inside('supervise'));
    symlinkSync('../precious', inside('supervise/lock'));
    expect(() => files.claim(held)).toThrow(refused('ELOOP'));
    expect(existsSync(inside('precious'))).toBe(false);
  });
});

describe('the last change', () => {
  const since = (): bigint => files.lastChangeNs(held, { longAgoNs: 0n });

  test('is that of the newest thing in the directory or its log, but for supervise/', async () => {
    mkdirSync(inside('log'));
    mkdirSync(inside('supervise'));
    writeFileSync(inside('run'), '');
    const first = since();
    await tick();
    writeFileSync(inside('supervise/status'), '');
    expect(since()).toBe(first);
    for (const name of ['run', 'log/run']) {
      const before = since();
      await tick();
      writeFileSync(inside(name), 'x');
      expect([name, since() > before]).toEqual([name, true]);
    }
  });

  /** The clock of the file system is coarse. */
  const tick = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, 20));
});

describe('a runtime directory', () => {
  test('is made for others to go through, whatever the umask is, and taken when it is there', () => {
    const umask = process.umask(0o077);
    files.makeRuntimeDir(inside('run'));
    process.umask(umask);
    files.makeRuntimeDir(inside('run'));
    expect(statSync(inside('run')).mode & 0o777).toBe(0o711);
  });
  test('is refused where somebody else could write it, or it is a symlink', () => {
    mkdirSync(inside('open'));
    const umask = process.umask(0);
    mkdirSync(inside('wide'), 0o777);
    process.umask(umask);
    symlinkSync('open', inside('link'));
    expect(() => files.makeRuntimeDir(inside('wide'))).toThrow('nobody else may write');
    expect(() => files.makeRuntimeDir(inside('link'))).toThrow('must be a directory of uid');
  });
  test('is removed where it is empty, and left where it is not', () => {
    files.makeRuntimeDir(inside('run'));
    writeFileSync(inside('run/pipe'), '');
    files.removeRuntimeDir(inside('run'));
    expect(existsSync(inside('run/pipe'))).toBe(true);
    rmSync(inside('run/pipe'));
    files.removeRuntimeDir(inside('run'));
    files.removeRuntimeDir(inside('run'));
    expect(existsSync(inside('run'))).toBe(false);
  });
});

test('the sticky bit and the identity of / are what the system says', () => {
  expect(files.isSticky(held)).toBe(false);
  const tmp = files.hold('/tmp');
  expect(files.isSticky(tmp)).toBe((statSync('/tmp').mode & 0o1000) !== 0);
  tmp.close();
  const root = files.hold('/');
  expect(files.rootIdentity()).toBe(root.identity);
  root.close();
});

test('a descriptor of a sink is closed', () => {
  const { fd } = files.hold(dir);
  files.closeDescriptor(fd);
  expect(() => closeSync(fd)).toThrow(refused('EBADF'));
});
