import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemError } from '@daemontap/posix';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, expectTypeOf, test, vi } from 'vitest';
import { syncCalls } from './calls.ts';
import { FilePool, poolCalls } from './file-pool.ts';
import type { PoolCalls } from './file-pool.ts';
import { openHosted, openHostedOn } from './hosted.ts';
import type { HostedSink, HostedSinkOptions } from './hosted.ts';
import { Multilog } from './multilog.ts';
import { SetUpError } from './need.ts';
import type { Steps } from './need.ts';
import { parseScript } from './script.ts';

const ENOSPC = 28;
const EAGAIN = 11;
const ENOENT = 2;

let here = '';
const inHere = (...names: readonly string[]): string => join(here, ...names);

beforeEach(() => {
  here = mkdtempSync(join(tmpdir(), 'daemontap-hosted-'));
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(here, { recursive: true });
});

const words = (...all: readonly string[]): Buffer[] => all.map((word) => Buffer.from(word, 'latin1'));
const numbered = (count: number, from = 0): string =>
  Array.from({ length: count }, (_, index) => `${String(from + index).padStart(49, '0')}\n`).join('');
const text = (...names: readonly string[]): string => readFileSync(inHere(...names), 'latin1');
const bytes = (content: string): Buffer => Buffer.from(content, 'latin1');

/** Waits for a condition, as long as a test may take. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise(setImmediate);
}

/** A hosted stream of a service directory, with what it has said. */
async function hosted(
  service: string,
  script: readonly string[],
  { files = new FilePool(), ...options }: Partial<HostedSinkOptions> & { readonly files?: FilePool } = {},
): Promise<{ readonly sink: HostedSink; readonly said: string[] }> {
  mkdirSync(inHere(service), { recursive: true });
  const directoryFd = openSync(inHere(service), 'r');
  const said: string[] = [];
  try {
    const sink = await openHostedOn(files, {
      script: parseScript(words(...script)),
      directoryFd,
      show: (line) => said.push(`shown ${line.toString('latin1')}`),
      trouble: (what, cause) => said.push(cause instanceof Error ? `${what}: ${cause.message}` : what),
      recovered: () => said.push('recovered'),
      spawnProcessor: () => Promise.reject(systemError(ENOENT, 'posix_spawn')),
      ...options,
    });
    return { sink, said };
  } finally {
    closeSync(directoryFd);
  }
}

/** Runs an operation with the whole process, where there is nothing to wait for. */
function now<T>(steps: Steps<T>): T {
  const { done, value } = steps.next();
  if (done !== true) throw new Error(`there is something to wait for: ${value.kind}`);
  return value;
}

/** All that is in a directory, with the modes; stamps are masked, and the order of finished files is that of their age. */
function contentOf(path: string): readonly unknown[] {
  const mask = (content: string): string => content.replaceAll(/@[0-9a-f]{24}/g, '@STAMP');
  return readdirSync(path, { recursive: true, encoding: 'latin1' })
    .toSorted()
    .map((name) => {
      const stats = statSync(join(path, name));
      return [mask(name), stats.mode, stats.isFile() ? mask(readFileSync(join(path, name), 'latin1')) : ''];
    });
}

/** fsync takes its time, and makes no difference without a power cut. */
const sparesDisk = {
  pool: { ...poolCalls, fsync: (_: number, done: (error: null) => void) => void setImmediate(done, null) },
  sync: { ...syncCalls, fsync() {} },
};

describe('a hosted stream leaves what the program leaves', () => {
  const patterns = fc.constantFrom('*', '', 'x*', '*y', '* x*', '@* *x*');
  const actions = fc.oneof(
    patterns.map((pattern) => `-${pattern}`),
    patterns.map((pattern) => `+${pattern}`),
    fc.constantFrom('e', '=first', '=second', 'n3', 's4096', 's6000'),
  );
  const scripts = fc
    .tuple(fc.boolean(), fc.array(actions, { maxLength: 6 }), fc.shuffledSubarray(['./a', './b']), fc.nat(), fc.nat())
    .map(([stamps, all, [one = './a', two], first, second]) => {
      const script = ['s4096', ...all];
      script.splice(1 + (first % script.length), 0, one);
      if (two !== undefined) script.splice(1 + (second % script.length), 0, two);
      return [...(stamps ? ['t'] : []), ...script];
    });
  const lines = fc.oneof(
    { weight: 6, arbitrary: fc.string({ unit: fc.constantFrom('x', 'y', ' ', '*'), maxLength: 60 }) },
    { weight: 1, arbitrary: fc.constantFrom(974, 999, 1000, 1001, 5000).map((length) => 'x'.repeat(length)) },
  );
  const inputs = fc
    .tuple(fc.array(fc.tuple(lines, fc.constantFrom(1, 1, 3, 40)), { maxLength: 12 }), fc.boolean())
    .map(([all, isEnded]) => {
      const whole = all.map(([line, count]) => `${line}\n`.repeat(count)).join('');
      return bytes(isEnded ? whole : whole.slice(0, -1));
    });
  const blocks = (input: Buffer, sizes: readonly number[]): readonly Buffer[] => {
    const all: Buffer[] = [];
    for (let at = 0; at < input.length;) {
      const size = sizes[all.length % sizes.length] ?? 1;
      all.push(input.subarray(at, at + size));
      at += size;
    }
    return all;
  };

  test.each([true, false])(
    'whatever the script, the lines and the blocks are (waiting for each block: %s)',
    async (waits) => {
      let count = 0;
      const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 300 }), fc.constantFrom(4096, 4097, 70_000)), {
        minLength: 1,
        maxLength: 4,
      });
      const property = fc.asyncProperty(scripts, inputs, sizes, fc.boolean(), async (script, input, each, rotates) => {
        const [ours, theirs] = [`hosted${++count}`, `program${count}`];
        mkdirSync(inHere(theirs));
        const shown: string[] = [];
        const directoryFd = openSync(inHere(theirs), 'r');
        const program = now(
          Multilog.open(parseScript(words(...script)), {
            directoryFd,
            calls: sparesDisk.sync,
            show: (line) => shown.push(line.toString('latin1')),
          }),
        );
        closeSync(directoryFd);
        const { sink, said } = await hosted(ours, script, { files: new FilePool({ calls: sparesDisk.pool }) });
        const one = Buffer.alloc(70_000);
        for (const [index, block] of blocks(input, each).entries()) {
          now(program.take(block));
          // One block for all: what is given is free at once.
          const taken = sink.take(one.subarray(0, block.copy(one)));
          if (waits) await taken;
          if (rotates && index === 1) {
            now(program.rotate());
            await sink.rotate();
          }
        }
        now(program.end());
        await sink.end();
        const masked = (each: string): string => each.replaceAll(/@[0-9a-f]{24}/g, '@STAMP');
        expect(said.map(masked)).toEqual(shown.map((line) => masked(`shown ${line}`)));
        expect(contentOf(inHere(ours))).toEqual(contentOf(inHere(theirs)));
        rmSync(inHere(ours), { recursive: true });
        rmSync(inHere(theirs), { recursive: true });
      });
      await fc.assert(property, { numRuns: 60 });
    },
    30_000,
  );

  test('a block that has no end of a line needs nothing to be waited for', async () => {
    const { sink } = await hosted('x', ['./main']);
    expect(sink.take(bytes('the beginning'))).toBe(undefined);
    await sink.take(bytes(' and the end\n'));
    expect(text('x/main/current')).toBe('the beginning and the end\n');
    await sink.end();
  });

  test('more than the largest block is refused', async () => {
    const { sink } = await hosted('x', ['./main']);
    expect(() => sink.take(Buffer.alloc(131_073))).toThrow(RangeError);
    await sink.take(Buffer.alloc(131_072, '\n'));
    const logs = readdirSync(inHere('x/main')).filter((name) => /^(@|current)/.test(name));
    expect(logs.map((name) => text('x/main', name)).join('')).toBe('\n'.repeat(131_072));
    await sink.end();
  });
});

describe('where paths lead', () => {
  test('relative ones begin in the service directory, which may be renamed; messages have them as the script', async () => {
    const { sink } = await hosted('x', ['=status', './main', '../beside', `${here}/absolute`]);
    renameSync(inHere('x'), inHere('renamed'));
    await sink.take(bytes('one\n'));
    await sink.rotate();
    for (const path of ['renamed/main', 'beside', 'absolute']) {
      expect(readdirSync(inHere(path)).filter((name) => name.startsWith('@'))).toHaveLength(1);
    }
    expect(text('renamed/status').trimEnd()).toBe('one');
    await expect(hosted('x', ['./no/such'])).rejects.toMatchObject({
      name: 'SetUpError',
      message: 'unable to open directory ./no/such',
      cause: { code: 'ENOENT' },
    });
    await sink.end();
  });

  test('what cannot be opened leaves nothing open, and may be tried again', async () => {
    const { sink } = await hosted('x', ['./main']);
    const openFiles = (): readonly string[] => readdirSync('/proc/self/fd');
    const before = openFiles().length;
    for (const script of [
      ['=status', './other', './main'],
      ['=no/such', './main'],
    ]) {
      await expect(hosted('x', script)).rejects.toBeInstanceOf(SetUpError);
    }
    await until(() => openFiles().length === before);
    await sink.end();
    const { sink: again } = await hosted('x', ['=status', './other', './main']);
    await again.end();
    await until(() => openFiles().length === before - 3);
  });

  test('a directory is left as it was, however often another one cannot be opened', async () => {
    const { sink } = await hosted('x', ['n2', './main']);
    for (const line of ['old\n', 'new\n']) {
      await sink.take(bytes(line));
      if (line === 'old\n') await sink.rotate();
    }
    await sink.end();
    const before = readdirSync(inHere('x/main'));
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(hosted('x', ['n2', './main', './no/such'])).rejects.toBeInstanceOf(SetUpError);
    }
    expect(readdirSync(inHere('x/main'))).toEqual(before);
    expect([text('x/main/current'), statSync(inHere('x/main/current')).mode & 0o777]).toEqual(['new\n', 0o744]);
  });
});

/** Calls of which some are done otherwise: those on an open file whose path has that in it. */
function withWrite(part: string, write: PoolCalls['write']): PoolCalls {
  return {
    ...poolCalls,
    write(fd, ...rest) {
      if (readlinkSync(`/proc/self/fd/${fd}`).includes(part)) write(fd, ...rest);
      else poolCalls.write(fd, ...rest);
    },
  };
}

describe('trouble', () => {
  test('is told once when it begins and once when it is over, and nothing is lost', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let room = 0;
    let refused = 0;
    const calls = withWrite('/main/', (fd, block, at, length, position, done) => {
      if (room === 0) {
        refused++;
        done(systemError(ENOSPC, 'write'));
      } else {
        const some = Math.min(room, length);
        room -= some;
        poolCalls.write(fd, block, at, some, position, done);
      }
    });
    const { sink, said } = await hosted('x', ['./main'], { files: new FilePool({ calls }) });
    const taken = Promise.all([sink.take(bytes(numbered(10))), sink.take(bytes(numbered(10, 10)))]);
    for (let times = 1; times <= 3; times++) {
      await until(() => refused === times && vi.getTimerCount() > 0);
      if (times === 3) room = 170; // less than the first block
      await vi.advanceTimersByTimeAsync(5000);
    }
    await until(() => refused === 4);
    expect(said).toEqual(['unable to write to ./main/current, pausing: ENOSPC: no space left on device, write']);
    expect(text('x/main/current')).toBe(numbered(10).slice(0, 170));
    room = Infinity;
    await until(() => vi.getTimerCount() > 0);
    await vi.advanceTimersByTimeAsync(5000);
    await taken;
    expect(said.slice(1)).toEqual(['recovered']);
    await sink.end();
    expect(text('x/main/current')).toBe(numbered(20));
    expect(said).toHaveLength(2);
  });

  test('of a stream that is given up is waited for no longer, and the next run finds what a crash would have left', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const before = readdirSync('/proc/self/fd').length;
    const calls = withWrite('/main/', (...[, , , , , done]) => done(systemError(ENOSPC, 'write')));
    const { sink, said } = await hosted('x', ['./main'], { files: new FilePool({ calls }) });
    const taken = Promise.all([sink.take(bytes('one\n')), sink.take(bytes('two\n'))]);
    await until(() => said.length > 0);
    await sink.abandon();
    await taken;
    expect(said).toHaveLength(1);
    await until(() => readdirSync('/proc/self/fd').length === before);
    expect(statSync(inHere('x/main/current')).mode & 0o777).toBe(0o644);
    const { sink: next } = await hosted('x', ['./main']);
    expect(readdirSync(inHere('x/main')).map((name) => name.replace(/^@.*\./, '@'))).toEqual([
      '@u',
      'current',
      'lock',
      'state',
    ]);
    await next.end();
  });
});

/** Writes that do not come back before they are released. */
function hanging(part: string): { readonly calls: PoolCalls; readonly waiting: string[]; release(): void } {
  const waiting: string[] = [];
  const held: (() => void)[] = [];
  let isReleased = false;
  return {
    calls: withWrite(part, (fd, ...rest) => {
      if (isReleased) poolCalls.write(fd, ...rest);
      else {
        waiting.push(readlinkSync(`/proc/self/fd/${fd}`));
        held.push(() => poolCalls.write(fd, ...rest));
      }
    }),
    waiting,
    release() {
      isReleased = true;
      for (const each of held) each();
    },
  };
}

describe('a call that does not come back', () => {
  test('keeps waiting its own stream alone, which goes on when it does', async () => {
    const { calls, waiting, release } = hanging('/stuck/');
    const files = new FilePool({ calls, atOnce: 2 });
    const stuck = await hosted('stuck', ['./main'], { files });
    const fine = await hosted('fine', ['./main'], { files });
    let isOver = false;
    const taken = [stuck.sink.take(bytes('one\n')), stuck.sink.take(bytes('two\n'))].map((each) =>
      Promise.resolve(each).then(() => (isOver = true)),
    );
    for (let n = 0; n < 20; n++) await fine.sink.take(bytes(numbered(1, n)));
    await fine.sink.end();
    expect(text('fine/main/current')).toBe(numbered(20));
    expect([isOver, waiting.length]).toEqual([false, 1]);
    release();
    await Promise.all(taken);
    await stuck.sink.end();
    expect(text('stuck/main/current')).toBe('one\ntwo\n');
  });

  test('of three dead devices with many streams leaves the rest working', async () => {
    const dead = ['nfs', 'fuse', 'frozen'];
    const { calls, waiting, release } = hanging('/dead/');
    const deviceOfName = (path: string): string => dead.find((name) => path.includes(`/dead/${name}/`)) ?? 'fine';
    const mounts = {
      deviceOf: (fd: number) => deviceOfName(readlinkSync(`/proc/self/fd/${fd}`)),
      deviceOfPath: (path: Buffer) => Promise.resolve(path.includes('late') ? 'nfs' : 'fine'),
    };
    const files = new FilePool({ calls, atOnce: 4, mounts });
    const names = dead.flatMap((device) => Array.from({ length: 10 }, (_, index) => `dead/${device}/${index}`));
    const stuck = await Promise.all(names.map((name) => hosted(name, ['./main'], { files })));
    let over = 0;
    const taken = stuck.map(({ sink }) => Promise.resolve(sink.take(bytes('one\n'))).then(() => over++));
    // One more cannot even be opened.
    const late = hosted('dead/nfs', ['./late'], { files }).finally(() => over++);
    const { sink } = await hosted('fine', ['s4096', './main'], { files });
    for (let n = 0; n < 20; n++) await sink.take(bytes(numbered(20, n * 20)));
    await sink.end();
    expect(readdirSync(inHere('fine/main')).filter((name) => name.startsWith('@')).length).toBeGreaterThan(2);
    const waitingOn = (device: string): number => waiting.filter((path) => path.includes(`/${device}/`)).length;
    expect([over, ...dead.map(waitingOn)]).toEqual([0, 4, 4, 4]);
    release();
    await Promise.all(taken);
    for (const each of [...stuck, await late]) await each.sink.end();
    expect(names.map((name) => text(name, 'main/current'))).toEqual(names.map(() => 'one\n'));
  });
});

describe('processors', () => {
  const FAILED = 'processor failed in ./main, pausing';

  test('of several streams run at the same time, with their files', async () => {
    const ends: (() => void)[] = [];
    const spawnProcessor: HostedSinkOptions['spawnProcessor'] = ({ path, command, directoryFd, descriptors }) => {
      expect([path.toString(), command.toString()]).toEqual(['./main', 'cat']);
      expect(readlinkSync(`/proc/self/fd/${directoryFd}`)).toMatch(/\/main$/);
      const files = descriptors.map(([target, fd]) => [target, readlinkSync(`/proc/self/fd/${fd}`).split('/').at(-1)]);
      expect(files).toEqual([
        [0, 'previous'],
        [1, 'processed'],
        [4, 'state'],
        [5, 'newstate'],
      ]);
      writeSync(descriptors[1]?.[1] ?? -1, 'processed\n');
      return new Promise((resolve) => ends.push(() => resolve({ exitCode: 0 })));
    };
    const streams = await Promise.all(['x', 'y'].map((name) => hosted(name, ['!cat', './main'], { spawnProcessor })));
    for (const { sink } of streams) await sink.take(bytes('one\n'));
    const rotated = streams.map(({ sink }) => sink.rotate());
    await until(() => ends.length === 2);
    for (const end of ends) end();
    await Promise.all(rotated);
    for (const [index, name] of ['x', 'y'].entries()) {
      const [finished = ''] = readdirSync(inHere(name, 'main')).filter((each) => each.startsWith('@'));
      expect(text(name, 'main', finished)).toBe('processed\n');
      await streams[index]?.sink.end();
    }
  });

  test.each([
    ['fails', () => Promise.resolve({ exitCode: 3 }), FAILED],
    ['crashes', () => Promise.resolve({ signal: 9 }), 'processor crashed in ./main, pausing'],
    ['is not there', () => Promise.reject(systemError(ENOENT, 'spawn')), /^unable to run cat: ENOENT: .*, spawn$/],
    [
      'is one too many',
      () => Promise.reject(systemError(EAGAIN, 'spawn')),
      /^unable to fork for processor in \.\/main, pausing: EAGAIN: .*, spawn$/,
    ],
  ] as const)('one that %s is told of once, and run again until it succeeds', async (_, fails, told) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let runs = 0;
    const spawnProcessor: HostedSinkOptions['spawnProcessor'] = () =>
      ++runs < 3 ? fails() : Promise.resolve({ exitCode: 0 });
    const { sink, said } = await hosted('x', ['!cat', './main'], { spawnProcessor });
    await sink.take(bytes('one\n'));
    const rotated = sink.rotate();
    for (let times = 1; times < 3; times++) {
      await until(() => runs === times && vi.getTimerCount() > 0);
      await vi.advanceTimersByTimeAsync(5000);
    }
    await rotated;
    expect(said).toEqual([typeof told === 'string' ? told : expect.stringMatching(told), 'recovered']);
    await sink.end();
  });
});

test('the types of a host: what is taken is bytes, and may be written by then', () => {
  expectTypeOf<HostedSink['take']>().toEqualTypeOf<(block: Buffer) => Promise<void> | undefined>();
  expectTypeOf(openHosted).toEqualTypeOf<(options: HostedSinkOptions) => Promise<HostedSink>>();
  // @ts-expect-error: whoever opens a script is told of trouble
  expectTypeOf<Omit<HostedSinkOptions, 'trouble'>>().toExtend<HostedSinkOptions>();
});
