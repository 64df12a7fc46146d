import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { parseStatus } from '@daemontap/formats';
import type { Plugin, PluginFactory } from '@daemontap/kernel';
import { serviceDirectory, simulateService } from '@daemontap/testkit';
import type { Simulation, TemporaryService } from '@daemontap/testkit';
import { afterEach, beforeEach, expect, expectTypeOf, test } from 'vitest';
import { statusFile } from './status-file.ts';

let service: TemporaryService;
beforeEach(() => {
  service = serviceDirectory();
  mkdirSync(service.join('supervise'));
});
afterEach(() => service[Symbol.asyncDispose]());

/** The plugin, told of a simulated service as if it were the real directory. */
function misled(): Plugin {
  const plugin = statusFile();
  return {
    name: plugin.name,
    apiVersion: plugin.apiVersion,
    apply(kernel) {
      const { statusChanged } = kernel.hooks;
      plugin.apply({
        ...kernel,
        hooks: {
          ...kernel.hooks,
          statusChanged: {
            tap: (options, tell) =>
              statusChanged.tap(options, (_directory, status) => tell({ ..._directory, path: service.path }, status)),
          },
        },
      });
    },
  };
}

async function supervised(down = false): Promise<Simulation> {
  const simulation = simulateService({ plugins: [misled()], service: { down } });
  await simulation.settle();
  return simulation;
}

const status = (): unknown => {
  const bytes = readFileSync(service.join('supervise/status'));
  expect(bytes).toHaveLength(18);
  return parseStatus(bytes);
};
const messages = ({ reports }: Simulation): readonly string[] => reports.map(({ message }) => message);

test('the status is there from the start, and after every change, 18 bytes each time', async () => {
  const simulation = await supervised();
  const [first] = simulation.processes.running;
  const sinceNs = simulation.clock.wallNs();
  expect(status()).toMatchObject({ pid: first?.pid, paused: false, want: 'up', sinceNs });
  await simulation.advanceMs(3000);
  simulation.command('/service/finger', 'p');
  expect(status()).toMatchObject({ pid: first?.pid, paused: true, want: 'up', sinceNs });
  simulation.command('/service/finger', 'o');
  simulation.endIn('/service/finger');
  expect(status()).toMatchObject({ pid: undefined, want: 'once', sinceNs: sinceNs + 3_000_000_000n });
  expect(readdirSync(service.join('supervise'))).toEqual(['status']);
});

test('a longer file of an older supervise is replaced as a whole', async () => {
  writeFileSync(service.join('supervise/status'), Buffer.alloc(100));
  await supervised(true);
  expect(status()).toMatchObject({ pid: undefined, want: 'down' });
});

test('without supervise/ it says so in the words of daemontools, and the service goes on', async () => {
  rmSync(service.join('supervise'), { recursive: true });
  const simulation = await supervised();
  expect(simulation.processes.running).toHaveLength(1);
  expect(messages(simulation)).toEqual(['unable to open /service/finger/supervise/status.new']);
  expect(simulation.reports[0]).toMatchObject({ level: 'warning', program: 'supervise', cause: { code: 'ENOENT' } });
});

test('a directory in the place of the status is told apart from one in the place of status.new', async () => {
  mkdirSync(service.join('supervise/status'));
  const simulation = await supervised(true);
  expect(messages(simulation)).toEqual(['unable to rename /service/finger/supervise/status.new to status']);
});

test('a symlink in the place of status.new leads nowhere', async () => {
  writeFileSync(service.join('precious'), 'precious');
  symlinkSync('../precious', service.join('supervise/status.new'));
  const simulation = await supervised(true);
  expect(messages(simulation)).toEqual(['unable to open /service/finger/supervise/status.new']);
  expect(readFileSync(service.join('precious'), 'utf8')).toBe('precious');
});

test('its factory takes no options', () => {
  expectTypeOf(statusFile).toEqualTypeOf<PluginFactory>();
  // @ts-expect-error: there are none
  expect(() => statusFile({ loud: true })).toThrow('it takes none, and was given loud');
});
