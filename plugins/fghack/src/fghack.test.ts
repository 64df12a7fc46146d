/** Which descriptors services are given, and who goes on for them. What becomes of services test/e2e/fghack.test.ts tells. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PluginFactory, ServiceDirectory, SpawnPlan } from '@daemontap/kernel';
import { isSubreaper, mkfifo, readProcess, setSubreaper } from '@daemontap/posix';
import { applyAlone, basePlan, spawnPluginContract } from '@daemontap/testkit';
import type { AppliedPlugin } from '@daemontap/testkit';
import { afterAll, afterEach, beforeEach, describe, expect, expectTypeOf, test } from 'vitest';
import { fghack } from './index.ts';
import type { FghackOptions } from './index.ts';

const plan: SpawnPlan = { ...basePlan, descriptorLimit: { soft: 1024n, hard: 4096n } };
const service: ServiceDirectory = { label: 'finger', role: 'service', hasLog: true, identity: '1-2', path: '/' };
const log: ServiceDirectory = { ...service, label: 'finger/log', role: 'log', hasLog: false };
const up = { pid: 7, paused: false, want: 'up', sinceNs: 0n, startDue: false, leaving: false } as const;

const NUMBERS = [10, 31, 63, 255, 1023];
const O_PATH = 0o10000000;

/** The descriptors of this process for reading a file. */
function readersOf(path: string): readonly number[] {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => {
      try {
        const [, flags = '0'] = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? [];
        return readlinkSync(`/proc/self/fd/${fd}`) === path && (parseInt(flags, 8) & O_PATH) === 0;
      } catch {
        return false; // what the directory was read through
      }
    });
}

spawnPluginContract({
  name: 'fghack',
  create: () => fghack(),
  promises: ({ descriptors }, { directory, stateDir }) => {
    if (directory.role !== 'service') return {};
    const [fd = -1] = readersOf(join(stateDir, `pipe-${directory.identity}`));
    return { descriptors: [...descriptors, ...NUMBERS.map((number) => [number, fd] as const)] };
  },
  wrongOptions: {
    'a word': () => fghack({ follow: 'yes' as unknown as boolean }),
    'an unknown option': () => fghack({ folow: true } as FghackOptions),
  },
});

let dir: string;
let pipePath: string;
let children: ChildProcess[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'daemontap-fghack-'));
  pipePath = join(dir, 'pipe-1-2');
  children = [];
});
afterEach(async () => {
  for (const child of children) await ended(child);
  rmSync(dir, { recursive: true });
});
afterAll(() => setSubreaper(false)); // what the contract applies it does not close

const applied = (options: FghackOptions = {}, own: FghackOptions = {}): AppliedPlugin =>
  applyAlone(fghack(options), { stateDir: dir, serviceOptions: () => ({ ...own }) });
const prepared = (plugin: AppliedPlugin, given: SpawnPlan = plan, about = service): SpawnPlan =>
  plugin.call('prepareSpawn', given, about)[0] as SpawnPlan; // it has one tap
const successor = (plugin: AppliedPlugin, about = service): unknown =>
  plugin.call('findSuccessor', about, undefined)[0];
const numbersOf = ({ descriptors }: SpawnPlan): readonly number[] => descriptors.map(([target]) => target);

/** A process that has what a plan gives besides standard input and output. */
function holder({ descriptors }: SpawnPlan): ChildProcess {
  const [, fd] = descriptors.at(-1) ?? [];
  const child = spawn('/bin/sleep', ['1000'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  children.push(child);
  return child;
}
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
const identityOf = ({ pid = 0 }: ChildProcess): unknown => ({ pid, startTicks: readProcess(pid)?.startTicks });

/** A service that has started, and its process. */
function started(plugin: AppliedPlugin): ChildProcess {
  const child = holder(prepared(plugin));
  plugin.call('serviceStarted', service, child.pid ?? 0);
  plugin.call('statusChanged', service, { ...up, pid: child.pid });
  return child;
}

describe('the descriptors', () => {
  test('are those that nothing else has and that the limit allows', () => {
    const plugin = applied();
    const with63: SpawnPlan = { ...plan, descriptors: [...plan.descriptors, [63, 0]] };
    expect(numbersOf(prepared(plugin, with63))).toEqual([0, 1, 2, 63, 10, 31, 255, 1023]);
    const limited = { ...plan, descriptorLimit: { soft: 255n, hard: 255n } };
    expect(numbersOf(prepared(plugin, limited))).toEqual([0, 1, 2, 10, 31, 63]);
    expect(numbersOf(prepared(plugin, { ...plan, descriptorLimit: undefined }))).toEqual([0, 1, 2, ...NUMBERS]);
    plugin.close();
  });

  test('are one where the limit allows none of these, and where it allows none at all nothing is started', () => {
    const plugin = applied();
    const limited = (soft: bigint): SpawnPlan => ({ ...plan, descriptorLimit: { soft, hard: 4096n } });
    expect(numbersOf(prepared(plugin, limited(8n)))).toEqual([0, 1, 2, 7]);
    const taken = { ...limited(8n), descriptors: [...plan.descriptors, [7, 0] as const] };
    expect(numbersOf(prepared(plugin, taken))).toEqual([0, 1, 2, 7, 6]);
    expect(() => prepared(plugin, limited(3n))).toThrow(
      expect.objectContaining({
        code: 'START_FAILED',
        message: 'unable to follow finger: its limit leaves no descriptor for a pipe',
      }),
    );
    plugin.close();
  });

  test('are closed here once the service has started, or could not be', () => {
    const plugin = applied();
    prepared(plugin);
    expect(readersOf(pipePath)).toHaveLength(1);
    plugin.call('serviceStarted', service, 7);
    expect(readersOf(pipePath)).toEqual([]);
    prepared(plugin);
    plugin.call('startFailed', service, new Error('no'));
    expect(readersOf(pipePath)).toEqual([]);
    plugin.close();
  });

  test('belong to a FIFO for this account alone, whatever the mask is', () => {
    const mask = process.umask(0o277);
    const plugin = applied();
    prepared(plugin);
    process.umask(mask);
    expect([statSync(pipePath).isFIFO(), statSync(pipePath).mode & 0o777]).toEqual([true, 0o600]);
    plugin.close();
  });

  test('are given to no log service, and to no service that is not to be followed', () => {
    const plugin = applied();
    expect(prepared(plugin, plan, log)).toBe(plan);
    for (const unfollowing of [applied({ follow: false }), applied({}, { follow: false })]) {
      expect(prepared(unfollowing)).toBe(plan);
    }
    expect(numbersOf(prepared(applied({ follow: false }, { follow: true })))).toHaveLength(8);
    plugin.close();
  });

  test('cannot be had where no pipe can be made', () => {
    const plugin = applied();
    rmSync(dir, { recursive: true });
    expect(() => prepared(plugin)).toThrow(
      expect.objectContaining({ code: 'PIPE_FAILED', message: 'unable to create pipe for finger' }),
    );
    plugin.close();
    writeFileSync(dir, '');
  });
});

describe('a service goes on', () => {
  test('as the process that has its pipe, and has ended when none has', async () => {
    const plugin = applied();
    const first = started(plugin);
    const other = holder({ ...plan, descriptors: [[3, openSync(pipePath, 'r+')]] });
    closeSync(readersOf(pipePath)[0] ?? -1);
    await ended(first);
    expect(successor(plugin)).toEqual(identityOf(other));
    await ended(other);
    expect(successor(plugin)).toBeUndefined();
    plugin.close();
  });

  test('as the oldest of several, and never as one that is known to be another service', async () => {
    const plugin = applied();
    const given = prepared(plugin);
    const [one, two, three] = [holder(given), holder(given), holder(given)];
    plugin.call('serviceStarted', service, 7);
    const oldest = [one, two, three].toSorted((a, b) => startOf(a) - startOf(b) || (a.pid ?? 0) - (b.pid ?? 0));
    expect(successor(plugin)).toEqual(identityOf(oldest[0] ?? one));
    plugin.call('statusChanged', { ...service, identity: '3-4' }, { ...up, pid: oldest[0]?.pid });
    expect(successor(plugin)).toEqual(identityOf(oldest[1] ?? two));
    plugin.close();
  });

  test('although its FIFO was removed', async () => {
    const plugin = applied();
    const given = prepared(plugin);
    const [first, other] = [holder(given), holder(given)];
    plugin.call('serviceStarted', service, first.pid ?? 0);
    rmSync(pipePath);
    await ended(first);
    expect(successor(plugin)).toEqual(identityOf(other));
    await ended(other);
    expect(successor(plugin)).toBeUndefined();
    // The next start has one that a later kernel finds.
    prepared(plugin);
    expect(statSync(pipePath).isFIFO()).toBe(true);
    plugin.close();
  });

  test('for a later kernel, and for the plugin taken back', () => {
    const before = applied();
    const child = started(before);
    before.close();
    expect(statSync(pipePath).isFIFO()).toBe(true);
    const plugin = applied();
    expect(successor(plugin)).toEqual(identityOf(child));
    plugin.close();
  });

  test('without what others have left where it is started all the same', async () => {
    const plugin = applied();
    const left = started(plugin);
    const first = started(plugin);
    expect(successor(plugin)).toEqual(identityOf(first));
    await ended(first);
    expect([successor(plugin), left.exitCode]).toEqual([undefined, null]);
    plugin.close();
  });

  test('not as anything where it was never followed, and nothing is made for that', () => {
    const plugin = applied({ follow: false });
    expect([successor(plugin), successor(plugin, log), readdirSync(dir)]).toEqual([undefined, undefined, []]);
    const nowhere = applyAlone(fghack({ follow: false }));
    expect(successor(nowhere)).toBeUndefined();
    plugin.close();
  });

  test('not as what holds something else that has the name of its pipe', () => {
    writeFileSync(pipePath, '');
    const plugin = applied();
    expect(successor(plugin)).toBeUndefined();
    prepared(plugin);
    expect(statSync(pipePath).isFIFO()).toBe(true);
    plugin.close();
  });
});

describe('where nobody can be found who has the pipe', () => {
  test('it is looked for later, less and less often, which is said once; and it has ended with its holder', () => {
    const plugin = applied();
    plugin.call('statusChanged', service, { ...up, pid: undefined });
    prepared(plugin);
    plugin.call('serviceStarted', service, 7);
    // This process itself, which is nobody's successor.
    const fd = openSync(pipePath, 'r+');
    const saidAfter: number[] = [];
    for (let seconds = 0; seconds < 70; seconds++) {
      expect(successor(plugin)).toBe('later');
      if (plugin.said.length > saidAfter.length) saidAfter.push(seconds);
      plugin.clock.advanceMs(1000);
    }
    expect([plugin.said, saidAfter]).toEqual([
      [{ level: 'warning', message: 'unable to find the process of finger: it may not be looked at', service }],
      [3],
    ]);
    closeSync(fd);
    expect(successor(plugin)).toBeUndefined();
    plugin.close();
  });
});

describe('orphans are left to this process', () => {
  test('from the first start of a followed service until the plugin goes', () => {
    setSubreaper(false);
    const plugin = applied();
    expect(isSubreaper()).toBe(false);
    prepared(plugin, plan, log);
    expect(isSubreaper()).toBe(false);
    prepared(plugin);
    expect(isSubreaper()).toBe(true);
    plugin.close();
    expect(isSubreaper()).toBe(false);
  });

  test('not for services that are not followed', () => {
    const plugin = applied({ follow: false });
    prepared(plugin);
    plugin.call('statusChanged', service, up);
    expect(isSubreaper()).toBe(false);
    plugin.close();
  });

  test('for a service that runs already and is followed', () => {
    mkfifo(pipePath, 0o600);
    const plugin = applied({ follow: false });
    plugin.call('statusChanged', service, up);
    expect(isSubreaper()).toBe(true);
    plugin.close();
    expect([isSubreaper(), readdirSync(dir)]).toEqual([false, []]);
  });
});

test('a released service leaves nothing', () => {
  const plugin = applied();
  prepared(plugin);
  plugin.call('serviceReleased', log);
  expect(readdirSync(dir)).toEqual(['pipe-1-2']);
  plugin.call('serviceReleased', service);
  expect(readdirSync(dir)).toEqual([]);
  plugin.close();
});

test('the types say what an option is', () => {
  expectTypeOf(fghack).toExtend<PluginFactory<FghackOptions>>();
  expectTypeOf<FghackOptions>().toEqualTypeOf<{ readonly follow?: boolean }>();
});

function startOf({ pid = 0 }: ChildProcess): number {
  return readProcess(pid)?.startTicks ?? 0;
}
