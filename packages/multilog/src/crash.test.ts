import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { syncCalls } from './calls.ts';
import { FilePool, poolCalls } from './file-pool.ts';
import type { PoolCalls } from './file-pool.ts';
import { openHostedOn } from './hosted.ts';
import { Multilog } from './multilog.ts';
import { parseScript } from './script.ts';

/** What takes its time, and makes no difference without a power cut. */
const sparesDisk: PoolCalls = { ...poolCalls, fsync: (_, done) => setImmediate(done, null) };

/** Calls of a process that is killed before so many of them, with what it has open. */
function mortal(lifetime: number): { readonly calls: PoolCalls; isDead(): boolean; readonly openFiles: Set<number> } {
  const openFiles = new Set<number>();
  let count = 0;
  const calls = Object.fromEntries(
    Object.entries(sparesDisk).map(([name, body]) => [
      name,
      (...all: readonly unknown[]) => {
        if (++count > lifetime) return;
        const done = all.at(-1) as (error: unknown, answer?: unknown) => void; // as all calls have
        const [first] = all;
        (body as (...args: readonly unknown[]) => void)(...all.slice(0, -1), (error: unknown, answer?: unknown) => {
          if (name === 'open' && typeof answer === 'number') openFiles.add(answer);
          if (name === 'close' && typeof first === 'number') openFiles.delete(first);
          done(error, answer);
        });
      },
    ]),
  ) as unknown as PoolCalls; // of the same names
  return { calls, isDead: () => count > lifetime, openFiles };
}

/** All that is logged, from the oldest file to the one at hand. */
function logged(directory: string): string {
  const names = readdirSync(directory)
    .filter((name) => /^(@|current$)/.test(name))
    .toSorted();
  return names.map((name) => readFileSync(join(directory, name), 'latin1')).join('');
}

test.each([
  ['', ['n1000', 's4096', './main']],
  [' with a processor', ['n1000', 's4096', '!cat', './main']],
])(
  'a stream%s that is killed before any of its calls has what was written, once, and goes on',
  async (_, words) => {
    const here = mkdtempSync(join(tmpdir(), 'daemontap-crash-'));
    try {
      const script = parseScript(words.map((word) => Buffer.from(word)));
      const blocks = Array.from({ length: 4 }, (_, n) => `${String(n).padStart(49, '0')}\n`.repeat(40));
      let crashes = 0;
      for (let lifetime = 1; ; lifetime++) {
        const service = join(here, String(lifetime));
        mkdirSync(service);
        const directoryFd = openSync(service, 'r');
        const { calls, isDead, openFiles } = mortal(lifetime);
        let written = 0;
        const live = async (): Promise<void> => {
          const sink = await openHostedOn(new FilePool({ calls }), {
            script,
            directoryFd,
            show() {},
            trouble: (text) => expect.unreachable(text),
            recovered() {},
            spawnProcessor({ descriptors }) {
              const [previous = -1, processed = -1] = descriptors.map(([, fd]) => fd);
              writeSync(processed, readFileSync(previous));
              return Promise.resolve({ exitCode: 0 });
            },
          });
          for (const block of blocks) {
            await sink.take(Buffer.from(block));
            written++;
          }
          await sink.end();
        };
        let isOver = false;
        const life = live().then(() => (isOver = true));
        while (!isDead() && !isOver) await Promise.race([life, new Promise(setImmediate)]);
        for (const fd of openFiles) closeSync(fd);
        const next = Multilog.open(script, { directoryFd, calls: syncCalls });
        // What was being processed is finished as it was.
        const opened = next.next();
        closeSync(directoryFd);
        if (opened.done !== true) throw new Error(`there is something to wait for: ${opened.value.kind}`);
        const text = logged(join(service, 'main'));
        expect([lifetime, blocks.join('').startsWith(text)]).toEqual([lifetime, true]);
        expect([lifetime, text.startsWith(blocks.slice(0, written).join(''))]).toEqual([lifetime, true]);
        const ended = opened.value.end().next();
        expect(ended.done).toBe(true);
        expect(readdirSync(join(service, 'main')).filter((name) => !/^(@|current|lock|state)/.test(name))).toEqual([]);
        if (isOver) break;
        crashes++;
      }
      expect(crashes).toBeGreaterThan(40);
    } finally {
      rmSync(here, { recursive: true });
    }
  },
  30_000,
);
