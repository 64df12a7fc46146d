/** The scan loop over a simulated scan directory: contract section 3.4, and where we depart from it. */
import { simulateScan } from '@daemontap/testkit';
import type { Leftovers, Simulation } from '@daemontap/testkit';
import { describe, expect, test } from 'vitest';
import type { Plugin } from '../plugin/contract.ts';

const SCAN_MS = 5000;
/** A new directory is left alone for 200 ms, then looked at every 50. */
const SETTLED_MS = 300;

const nothing: Leftovers = { timers: 0, heldDirectories: 0, locks: 0, processes: 0, watches: 0 };

const warnings = ({ reports }: Simulation): readonly string[] =>
  reports.filter(({ level }) => level === 'warning' || level === 'fatal').map(({ message }) => message);

/** A simulation after its first scan. */
async function scanned(options: Parameters<typeof simulateScan>[0]): Promise<Simulation> {
  const simulation = simulateScan(options);
  await simulation.settle();
  return simulation;
}

describe('what appears', () => {
  test('every service begins with the first scan, with its log, but for those with a down file', async () => {
    const simulation = await scanned({ services: { b: { log: true }, a: {}, c: { down: true } } });
    expect(simulation.story).toEqual(['started a', 'started b/log', 'started b']);
    expect(simulation.statusOf('c')).toMatchObject({ pid: undefined, want: 'down' });
  });

  test('a new directory is found within five seconds, and starts once it is quiet', async () => {
    const simulation = await scanned({});
    simulation.files.makeService('/service/finger');
    await simulation.advanceMs(SCAN_MS);
    expect(simulation.statusOf('finger')).toMatchObject({ want: 'up' });
    expect(simulation.processIn('/service/finger')).toBeDefined();
  });

  test('a scan that is asked for finds it at once, and the first start waits for quiet', async () => {
    const simulation = await scanned({});
    simulation.files.makeService('/service/finger');
    simulation.kernel.requestScan();
    await simulation.advanceMs(20);
    expect(simulation.statusOf('finger')).toMatchObject({ pid: undefined, want: 'up' });
    expect(simulation.story).toEqual([]);
    await simulation.advanceMs(SETTLED_MS);
    expect(simulation.story).toEqual(['started finger']);
  });

  test('names with a dot and files are nothing', async () => {
    const simulation = await scanned({});
    simulation.files.makeService('/service/.finger');
    simulation.files.writeFile('/service/file');
    await simulation.advanceMs(SCAN_MS);
    expect([simulation.story, simulation.reports]).toEqual([[], []]);
  });

  test('two names for one directory are one service', async () => {
    const simulation = await scanned({ services: { finger: {} } });
    simulation.files.link('/service/finger', '/service/another');
    await simulation.advanceMs(2 * SCAN_MS);
    expect(simulation.story).toEqual(['started finger']);
  });

  test('a directory that cannot be looked at is complained of at every scan, and begun when it can', async () => {
    const simulation = await scanned({});
    simulation.files.makeService('/service/finger');
    simulation.files.failLooksAt('/service/finger', 'EACCES');
    await simulation.advanceMs(2 * SCAN_MS);
    expect(warnings(simulation)).toEqual(['unable to stat finger', 'unable to stat finger']);
    simulation.files.failLooksAt('/service/finger', undefined);
    await simulation.advanceMs(SCAN_MS + SETTLED_MS);
    expect(simulation.story).toEqual(['started finger']);
  });

  test('a thousand new services are begun in turns, and all of them', async () => {
    const services = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`s${index}`, {}]));
    const simulation = await scanned({ services });
    expect(simulation.processes.running.length).toBeLessThan(1000);
    await simulation.advanceMs(1);
    expect(simulation.processes.running.length).toBe(1000);
  });
});

describe('a lock that is held when the kernel begins', () => {
  const locked = (...paths: readonly string[]): { simulation: Promise<Simulation>; unlock(): void } => {
    const locks: { close(): void }[] = [];
    return {
      simulation: scanned({
        services: { finger: { log: true } },
        before: ({ files }) => void locks.push(...paths.map((path) => files.lockByOther(path))),
      }),
      unlock() {
        for (const lock of locks) lock.close();
      },
    };
  };

  test('is looked at again every 50 ms, and nothing is said when it becomes free', async () => {
    const { simulation: begun, unlock } = locked('/service/finger', '/service/finger/log');
    const simulation = await begun;
    await simulation.advanceMs(1000);
    expect(simulation.story).toEqual([]);
    unlock();
    await simulation.advanceMs(50);
    expect([simulation.story, simulation.reports]).toEqual([['started finger/log', 'started finger'], []]);
  });

  test('keeps one of the two from beginning, and not the other', async () => {
    const { simulation: begun, unlock } = locked('/service/finger/log');
    const simulation = await begun;
    expect([simulation.story, simulation.reports]).toEqual([['started finger'], []]);
    unlock();
    await simulation.advanceMs(50 + SETTLED_MS);
    expect([simulation.story, simulation.reports]).toEqual([['started finger', 'started finger/log'], []]);
  });

  test('is said after two seconds, and then at each scan', async () => {
    const { simulation: begun } = locked('/service/finger');
    const simulation = await begun;
    await simulation.advanceMs(1999);
    expect(simulation.reports).toEqual([]);
    await simulation.advanceMs(50);
    expect(warnings(simulation)).toEqual(['unable to acquire finger/supervise/lock']);
    await simulation.advanceMs(SCAN_MS - 100);
    expect(simulation.reports).toHaveLength(1);
    await simulation.advanceMs(100);
    expect(simulation.reports).toHaveLength(2);
  });

  test('keeps no stop waiting', async () => {
    const { simulation: begun } = locked('/service/finger', '/service/finger/log');
    const simulation = await begun;
    simulation.kernel.stop();
    await simulation.settle();
    expect([simulation.isDone(), simulation.leftovers()]).toEqual([true, nothing]);
  });
});

describe('few descriptors', () => {
  test('a service that there is no room for is complained of at each scan, and begun when there is', async () => {
    const simulation = await scanned({
      services: { finger: {} },
      before: ({ files }) => void (files.room = 2),
    });
    await simulation.advanceMs(SCAN_MS);
    const message = 'unable to supervise finger: too few descriptors are left';
    expect([simulation.story, warnings(simulation)]).toEqual([[], [message, message]]);
    expect(simulation.leftovers()).toMatchObject({ heldDirectories: 1, locks: 0 });
    simulation.files.room = 10_000;
    await simulation.advanceMs(SCAN_MS);
    expect(simulation.story).toEqual(['started finger']);
  });

  test('those that run go on', async () => {
    const simulation = await scanned({ services: { finger: {} } });
    simulation.files.room = 0;
    simulation.endIn('/service/finger');
    await simulation.advanceMs(SCAN_MS);
    expect(simulation.story).toEqual(['started finger', 'ended finger', 'started finger']);
  });
});

describe('what leaves', () => {
  test('a renamed directory is the same service, and is called by its new name', async () => {
    const simulation = await scanned({ services: { finger: {} } });
    simulation.files.rename('/service/finger', '/service/fingerd');
    await simulation.advanceMs(SCAN_MS);
    expect(simulation.story).toEqual(['started finger']);
    simulation.endIn('/service/fingerd');
    await simulation.advanceMs(1000);
    expect(simulation.story.slice(1)).toEqual(['ended fingerd', 'started fingerd']);
  });

  test('a directory that vanishes keeps its services; once they have left, it is let go', async () => {
    const simulation = await scanned({ services: { finger: { log: true } } });
    simulation.files.rename('/service/finger', '/service/.finger');
    await simulation.advanceMs(2 * SCAN_MS);
    expect(simulation.processes.running).toHaveLength(2);
    simulation.command('finger', 'dx');
    simulation.command('finger/log', 'dx');
    simulation.endIn('/service/.finger');
    simulation.endIn('/service/.finger/log');
    await simulation.advanceMs(2 * SCAN_MS);
    expect(simulation.story.slice(2)).toEqual([
      'ended finger',
      'released finger',
      'ended finger/log',
      'released finger/log',
    ]);
    expect(simulation.leftovers()).toEqual({ ...nothing, timers: 1, heldDirectories: 1 });
  });

  test('one that reappears goes on as if it had never gone', async () => {
    const simulation = await scanned({ services: { finger: {} } });
    simulation.files.rename('/service/finger', '/service/.finger');
    await simulation.advanceMs(SCAN_MS);
    simulation.files.rename('/service/.finger', '/service/finger');
    await simulation.advanceMs(SCAN_MS);
    expect(simulation.story).toEqual(['started finger']);
    simulation.command('finger', 'dx');
    simulation.endIn('/service/finger');
    await simulation.advanceMs(SCAN_MS);
    expect(simulation.story.slice(1)).toEqual(['ended finger', 'released finger', 'started finger']);
  });

  test('a directory that was removed and made anew: the old service is ended first, then the new one begins', async () => {
    const simulation = await scanned({ services: { finger: {} } });
    const [old] = simulation.processes.running;
    simulation.files.remove('/service/finger');
    simulation.files.makeService('/service/finger');
    await simulation.advanceMs(2 * SCAN_MS);
    expect(old?.signals).toEqual(['SIGTERM', 'SIGCONT']);
    expect(simulation.processes.started).toHaveLength(1);
    expect(new Set(warnings(simulation))).toEqual(
      new Set([`finger was removed and made anew: the old service (pid ${old?.pid}) is ended first`]),
    );
    simulation.processes.end(old?.pid ?? 0);
    await simulation.advanceMs(20 + SETTLED_MS);
    expect(simulation.story).toEqual(['started finger', 'ended finger', 'released finger', 'started finger']);
    expect(simulation.leftovers()).toMatchObject({ heldDirectories: 2, locks: 1 });
  });

  test('the log of a removed service reads to the end before the new one begins', async () => {
    const simulation = await scanned({ services: { finger: { log: true } } });
    const [log, main] = simulation.processes.running;
    simulation.files.remove('/service/finger');
    simulation.files.makeService('/service/finger', { log: true });
    await simulation.advanceMs(SCAN_MS);
    simulation.processes.end(main?.pid ?? 0);
    await simulation.advanceMs(SCAN_MS);
    expect(log?.signals).toEqual([]);
    expect(simulation.processes.started).toHaveLength(2);
    simulation.processes.end(log?.pid ?? 0);
    await simulation.advanceMs(20 + SETTLED_MS);
    expect(simulation.story.slice(-2)).toEqual(['started finger/log', 'started finger']);
  });

  test('a removed directory whose process ends is not started again, and it is said', async () => {
    const simulation = await scanned({ services: { finger: {} } });
    simulation.files.remove('/service/finger');
    const [old] = simulation.processes.running;
    simulation.processes.end(old?.pid ?? 0);
    await simulation.advanceMs(2 * SCAN_MS);
    expect(simulation.story).toEqual(['started finger', 'ended finger', 'released finger']);
    expect(warnings(simulation)).toEqual(['finger was removed: it is no longer supervised']);
    expect(simulation.leftovers()).toMatchObject({ heldDirectories: 1, locks: 0 });
  });
});

describe('looking', () => {
  test('a scan directory that cannot be read is complained of, and nothing is dropped', async () => {
    const simulation = await scanned({ services: { finger: {} } });
    simulation.files.failLooksAt('/service', 'EIO');
    await simulation.advanceMs(SCAN_MS);
    expect(warnings(simulation)).toEqual(['unable to read directory']);
    simulation.files.failLooksAt('/service', undefined);
    await simulation.advanceMs(SCAN_MS);
    expect(simulation.story).toEqual(['started finger']);
  });

  test('a look that takes long keeps no service from being restarted and commanded', async () => {
    const simulation = await scanned({ services: { finger: {} } });
    const listing = simulation.files.pauseListing();
    await simulation.advanceMs(SCAN_MS);
    simulation.endIn('/service/finger');
    await simulation.advanceMs(1000);
    simulation.command('finger', 't');
    expect(simulation.processIn('/service/finger')?.signals).toEqual(['SIGTERM']);
    listing.close();
  });

  test('a scan that is older than the end of a service does not begin it again', async () => {
    const simulation = await scanned({ services: { finger: {} } });
    const listing = simulation.files.pauseListing();
    await simulation.advanceMs(SCAN_MS + 1);
    simulation.command('finger', 'dx');
    simulation.files.rename('/service/finger', '/service/.finger');
    simulation.endIn('/service/.finger');
    listing.close();
    await simulation.settle();
    expect(simulation.story).toEqual(['started finger', 'ended finger', 'released finger']);
    await simulation.advanceMs(SCAN_MS);
    expect(simulation.leftovers()).toMatchObject({ heldDirectories: 1, locks: 0, processes: 0 });
  });

  test('a watcher that throws is reported, and the timed scan goes on', async () => {
    const broken: Plugin = {
      name: 'broken',
      apiVersion: 1,
      apply({ hooks }) {
        hooks.watchScanDirectory.tap('broken', () => {
          throw new Error('no inotify');
        });
      },
    };
    const simulation = await scanned({ plugins: [broken] });
    expect(warnings(simulation)).toEqual(['plugin broken failed in watchScanDirectory']);
    simulation.files.makeService('/service/finger');
    await simulation.advanceMs(SCAN_MS + SETTLED_MS);
    expect(simulation.story).toEqual(['started finger']);
  });

  test('requests that never cease do not put the scan off', async () => {
    const simulation = await scanned({});
    simulation.files.makeService('/service/finger');
    for (let ms = 0; ms < 2 * SCAN_MS; ms += 10) {
      simulation.kernel.requestScan();
      await simulation.advanceMs(10);
    }
    expect(simulation.story).toEqual(['started finger']);
  });
});
