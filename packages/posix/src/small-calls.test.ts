/** The calls that are one function each: errors, FIFOs, locks, limits, sets of signals. */
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from 'vitest';
import { systemError } from './errno.ts';
import { ensureFifo, mkfifo } from './fifo.ts';
import { readLimit, writeLimit } from './limits.ts';
import type { Limit, Resource } from './limits.ts';
import { tryLock } from './lock.ts';
import { signalBit, signalSet, signalsIn } from './signals.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'daemontap-posix-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});
const refused = (fields: object): unknown => expect.objectContaining(fields);

describe('errors', () => {
  test('are those that Node itself would throw', () => {
    const ours = systemError(2, 'open', '/no/such/file');
    let theirs: unknown;
    try {
      openSync('/no/such/file', 'r');
    } catch (error) {
      theirs = error;
    }
    expect(ours).toEqual(theirs);
    expect({ ...ours }).toEqual({ ...(theirs as Error) });
  });
  test('have a code for a number that nobody knows, too', () => {
    expect(systemError(9999, 'flock')).toMatchObject({ code: 'E9999', errno: -9999, syscall: 'flock' });
  });
});

describe('FIFOs', () => {
  test('are made with their mode, subject to the umask', () => {
    const umask = process.umask(0o022);
    mkfifo(join(dir, 'fifo'), 0o666);
    process.umask(umask);
    const stats = statSync(join(dir, 'fifo'));
    expect([stats.isFIFO(), stats.mode & 0o777]).toEqual([true, 0o644]);
  });
  test('are refused where the name is taken or the directory is not there', () => {
    writeFileSync(join(dir, 'file'), '');
    expect(() => mkfifo(join(dir, 'file'), 0o600)).toThrow(
      refused({ code: 'EEXIST', syscall: 'mkfifo', path: join(dir, 'file') }),
    );
    expect(() => mkfifo(join(dir, 'no/fifo'), 0o600)).toThrow(refused({ code: 'ENOENT' }));
  });
  test('need not be possible where only opening them will tell', () => {
    ensureFifo(join(dir, 'no/fifo'), 0o600);
    ensureFifo(join(dir, 'fifo'), 0o600);
    ensureFifo(join(dir, 'fifo'), 0o600);
    expect(statSync(join(dir, 'fifo')).isFIFO()).toBe(true);
  });
});

describe('locks', () => {
  test('belong to the open file: another opening of it is refused until the first is closed', () => {
    const [first, second] = [openSync(join(dir, 'lock'), 'w'), openSync(join(dir, 'lock'), 'w')];
    tryLock(first);
    tryLock(first);
    expect(() => tryLock(second)).toThrow(refused({ code: 'EAGAIN', syscall: 'flock' }));
    closeSync(first);
    tryLock(second);
    closeSync(second);
  });
  test('are those of flock(1)', () => {
    const fd = openSync(join(dir, 'lock'), 'w');
    tryLock(fd);
    expect(spawnSync('flock', ['-n', join(dir, 'lock'), 'true']).status).toBe(1);
    closeSync(fd);
    expect(spawnSync('flock', ['-n', join(dir, 'lock'), 'true']).status).toBe(0);
  });
  test('need an open descriptor', () => {
    expect(() => tryLock(1_000_000)).toThrow(refused({ code: 'EBADF' }));
  });
});

describe('the limit of descriptors', () => {
  test('is read, lowered and raised again', () => {
    const { soft, hard } = readLimit('nofile');
    writeLimit('nofile', { soft: 200n, hard });
    expect(readLimit('nofile')).toEqual({ soft: 200n, hard });
    writeLimit('nofile', { soft, hard });
    expect(readLimit('nofile')).toEqual({ soft, hard });
  });
  test('cannot be softer than hard', () => {
    const { hard } = readLimit('nofile');
    expect(() => writeLimit('nofile', { soft: hard + 1n, hard })).toThrow(
      refused({ code: 'EINVAL', syscall: 'setrlimit' }),
    );
  });
});

describe('sets of signals', () => {
  test('have bit n-1 for signal n, 1 to 64', () => {
    expect([signalBit(1), signalBit(15), signalBit(64)]).toEqual([1n, 1n << 14n, 1n << 63n]);
    expect(signalsIn(signalBit(1) | signalBit(15) | signalBit(64))).toEqual([1, 15, 64]);
    expect(signalsIn(0n)).toEqual([]);
  });
  test('are written as C has them, all bits of an endless set included', () => {
    expect(Buffer.from(signalSet(signalBit(1) | signalBit(9))).toString('hex')).toMatch(/^01010{252}$/);
    expect(Buffer.from(signalSet(~0n)).toString('hex')).toMatch(/^f{16}0{240}$/);
  });
});

test('the types of limits and signals: resources have names, sets of signals are a bigint', () => {
  expectTypeOf(readLimit).parameters.toEqualTypeOf<[resource: Resource]>();
  expectTypeOf(readLimit).returns.toEqualTypeOf<Limit>();
  expectTypeOf(signalsIn).toEqualTypeOf<(bits: bigint) => readonly number[]>();
  const wrong = (): unknown => [
    // @ts-expect-error: RLIMIT_NOFILE, in lower case
    readLimit('NOFILE'),
    // @ts-expect-error: a limit has two halves
    writeLimit('nofile', { soft: 100n }),
    // @ts-expect-error: limits are a bigint
    writeLimit('nofile', { soft: 100, hard: 100 }),
    // @ts-expect-error: a signal has a number here
    signalBit('SIGTERM'),
  ];
  expect(wrong).toBeTypeOf('function');
});
