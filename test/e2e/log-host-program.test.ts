/** A plugin of one's own with a log host of its own: a program that cannot start, is replaced, or has a sink that hangs. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { daemontap as ours } from './support/implementations.ts';
import { compareWithSent } from './support/numbered.ts';
import { floodsNumbers, writesNumbers } from './support/runs.ts';
import { stack } from './support/stack.ts';
import type { Stack } from './support/stack.ts';
import { isWriting, linesOf } from './support/supervised.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

const PLUGIN = `import { definePlugin } from '@daemontap/kernel';
import { openLogHosts } from '@daemontap/log-host';
const program = new URL('./host.mjs', import.meta.url).pathname;
const options = { dir: new URL('.', import.meta.url).pathname };
export const logOwn = definePlugin({ name: 'log-own', apiVersion: 1, apply(kernel) {
  openLogHosts(kernel, { plugin: 'log-own', program, streamOf: () => ({ account: undefined, options }) });
} });
`;

/** Appends what a service writes to a file that has its name; a service called hangs has a sink that does not come back. */
const HOST = `import { openSync, writeSync } from 'node:fs';
import { runLogHost } from '@daemontap/log-host';
runLogHost({ name: 'log-own', async open({ label, options }) {
  const fd = openSync(options.dir + '/' + label, 'a');
  return {
    take: (block) => (label === 'hangs' ? new Promise(() => {}) : void writeSync(fd, block)),
    async rotate() {}, async end() {}, async abandon() {},
  };
} });
`;

interface Place extends AsyncDisposable {
  readonly up: Stack;
  /** The numbered lines of a service that have arrived. */
  lines(name: string): readonly string[];
  grows(name: string): Promise<void>;
  /** Puts another program in the place of the host's. */
  writeHost(text: string): void;
  removeHost(): void;
  /** Ends everything in order, and compares what was sent with what is there. */
  end(names: readonly string[]): Promise<void>;
}

function place({
  host,
  services,
}: {
  readonly host: string;
  readonly services: Readonly<Record<string, string>>;
}): Place {
  const here = temporaryDirectory();
  mkdirSync(here.join('node_modules/@daemontap'), { recursive: true });
  for (const name of ['kernel', 'log-host']) {
    symlinkSync(join(ours.programDir, '../..', name), here.join('node_modules/@daemontap', name));
  }
  writeFileSync(here.join('plugin.mjs'), PLUGIN);
  const writeHost = (text: string): void => {
    writeFileSync(here.join('new.mjs'), text);
    renameSync(here.join('new.mjs'), here.join('host.mjs'));
  };
  if (host !== '') writeHost(host);
  const up = stack({
    plugins: [here.join('plugin.mjs')],
    stopTimeout: 1,
    prepare({ make }) {
      for (const [name, command] of Object.entries(services)) make(name, command);
    },
  });
  const lines = (name: string): readonly string[] => linesOf(here.join(name));
  return {
    up,
    lines,
    writeHost,
    removeHost: () => rmSync(here.join('host.mjs')),
    async grows(name) {
      const before = lines(name).length;
      await until(() => lines(name).length > before + 50, { describe: `${name} grows`, state: up.said });
    },
    async end(names) {
      expect(await up.stop()).toEqual({ code: 0, signal: undefined });
      expect(up.pids()).toEqual([]);
      for (const name of names) {
        expect([name, compareWithSent(up.path(name), lines(name))]).toEqual([name, { problems: [], repeatedBytes: 0 }]);
      }
    },
    async [Symbol.asyncDispose]() {
      await up[Symbol.asyncDispose]();
      await here[Symbol.asyncDispose]();
    },
  };
}

describe('the program of a log host', { concurrent: true }, () => {
  test.each([
    { what: 'cannot be run', host: 'this is no program', said: 'SyntaxError' },
    { what: 'ends at once', host: 'process.exit(7)', said: 'warning: log-own: log host own does not answer: what' },
    { what: 'is not there', host: '', said: 'warning: unable to start log-own/own/run: ' },
  ])('$what: told, services run on until they have no room, and nothing is lost', async ({ host, said }) => {
    await using here = place({ host, services: { a: writesNumbers, flood: floodsNumbers, quiet: 'exec sleep 1000' } });
    const { up } = here;
    const flood = await up.runs('flood');
    const sent = (): number => Number(linesOf(up.path('a', `sent.${up.record('a')?.pid}`))[0] ?? 0);
    await until(() => sent() > 500, { describe: 'who has room writes on' });
    await until(() => isWriting(flood), { describe: 'who has none waits' });
    await up.speaks(said);
    const quiet = await up.runs('quiet');
    await up.svc('-t', 'quiet');
    await up.runs('quiet', quiet);
    expect(existsSync(here.up.here.join('a'))).toBe(false);
    here.writeHost(HOST);
    for (const name of ['a', 'flood']) await here.grows(name);
    await here.end(['a', 'flood']);
  });

  test('never starts: a stop of everything has its deadline', async () => {
    await using here = place({ host: 'process.exit(7)', services: { a: writesNumbers } });
    const { up } = here;
    await up.runs('a');
    expect(await up.stop()).toEqual({ code: 0, signal: undefined });
    expect(up.pids()).toEqual([]);
    expect(up.said()).toMatch(/log-own\/own has not ended in time/);
  });

  test('is another file than that of the host that runs: the next start counts, and a later kernel replaces it', async () => {
    await using here = place({ host: HOST, services: { a: writesNumbers } });
    const { up } = here;
    const first = await up.host();
    await here.grows('a');
    here.writeHost(`${HOST}// the second version\n`);
    await up.svc('-t', first.dir);
    const second = await up.host({ before: first.pid });
    await here.grows('a');
    await here.grows('a');
    expect((await up.host()).pid).toBe(second.pid);
    here.writeHost(`${HOST}// the third version\n`);
    await up.kill();
    up.start();
    const third = await up.host({ before: second.pid });
    await here.grows('a');
    expect((await up.host()).pid).toBe(third.pid);
    await here.end(['a']);
  });

  test('has a sink that hangs: other streams go on, and the host can be ended', async () => {
    await using here = place({ host: HOST, services: { a: writesNumbers, hangs: floodsNumbers } });
    const { up } = here;
    const { pid, dir } = await up.host();
    const hanging = await up.runs('hangs');
    await until(() => isWriting(hanging), { describe: 'the service that nobody reads waits' });
    await here.grows('a');
    await up.svc('-t', dir);
    await up.host({ before: pid });
    await here.grows('a');
    expect(readFileSync(up.path('hangs', `sent.${hanging}`), 'latin1')).not.toBe('');
    await here.end(['a']);
  });
});
