import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Closeable, PluginFactory } from '@daemontap/kernel';
import { applyAlone } from '@daemontap/testkit';
import type { AppliedPlugin } from '@daemontap/testkit';
import { afterEach, beforeEach, expect, expectTypeOf, test } from 'vitest';
import { scanWatch } from './index.ts';

let dir: string;
let plugin: AppliedPlugin;
let opened: Closeable[];
let requests: number;
let onRequest: () => void;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'daemontap-watch-'));
  plugin = applyAlone(scanWatch());
  opened = [];
  requests = 0;
  onRequest = () => {};
});
afterEach(() => {
  for (const each of opened) each.close();
  rmSync(dir, { recursive: true });
});

const watch = (path = dir): void => {
  plugin.call('watchScanDirectory', {
    path,
    requestScan() {
      requests++;
      onRequest();
    },
    opened: (watcher) => void opened.push(watcher),
  });
};
/** Resolves once a scan is asked for after `body`, which is repeated: a watcher takes a moment to begin. */
async function requested(body: (attempt: number) => void): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  onRequest = resolve;
  let attempt = 0;
  body(attempt);
  const timer = setInterval(() => body(++attempt), 100);
  await promise;
  clearInterval(timer);
}

test('a directory that appears, is renamed or leaves hurries the next scan', async () => {
  watch();
  await requested((attempt) => mkdirSync(join(dir, `a${attempt}`)));
  mkdirSync(join(dir, 'b'));
  await requested((attempt) => renameSync(join(dir, `b${attempt === 0 ? '' : attempt}`), join(dir, `b${attempt + 1}`)));
  await requested((attempt) => rmSync(join(dir, `a${attempt}`), { recursive: true, force: true }));
  expect(requests).toBeGreaterThan(0);
  expect(plugin.said).toEqual([]);
});

test('what happens below asks for nothing', async () => {
  mkdirSync(join(dir, 'a'));
  watch();
  await requested((attempt) => mkdirSync(join(dir, `b${attempt}`)));
  await sleep(200);
  const before = requests;
  for (let index = 0; index < 10; index++) writeFileSync(join(dir, 'a', `file${index}`), '');
  await sleep(200);
  expect(requests).toBe(before);
});

test('a file in the scan directory that is written to asks for nothing, a new one does', async () => {
  const file = join(dir, 'errors.log');
  writeFileSync(file, '');
  watch();
  await requested((attempt) => mkdirSync(join(dir, `a${attempt}`)));
  await sleep(200);
  const before = requests;
  for (let index = 0; index < 10; index++) {
    appendFileSync(file, `line ${index}\n`);
    writeFileSync(join(dir, 'errors.log'), ''); // emptied in its place, as a rotated log
    await sleep(20);
  }
  await sleep(200);
  expect(requests).toBe(before);
  await requested((attempt) => writeFileSync(join(dir, `new${attempt}`), ''));
  expect(requests).toBeGreaterThan(before);
});

test('closed, it asks for nothing any more, and closing it again is harmless', async () => {
  watch();
  await requested((attempt) => mkdirSync(join(dir, `a${attempt}`)));
  for (const each of [...opened, ...opened]) each.close();
  await sleep(100);
  const before = requests;
  mkdirSync(join(dir, 'late'));
  await sleep(200);
  expect(requests).toBe(before);
});

test('its factory takes no options', () => {
  expectTypeOf(scanWatch).toEqualTypeOf<PluginFactory>();
  // @ts-expect-error: there are none
  expect(() => scanWatch({ loud: true })).toThrow('it takes none, and was given loud');
});
