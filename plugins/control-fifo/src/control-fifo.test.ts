import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import type { Closeable, Command, PluginFactory, ServiceDirectory } from '@daemontap/kernel';
import { applyAlone, controlTransportContract, serviceDirectory } from '@daemontap/testkit';
import type { AppliedPlugin, TemporaryService } from '@daemontap/testkit';
import { afterEach, beforeEach, expect, expectTypeOf, test } from 'vitest';
import { controlFifo } from './index.ts';

let service: TemporaryService;
let directory: ServiceDirectory;
let plugin: AppliedPlugin;
let opened: Closeable[];
let commands: Command[];

beforeEach(() => {
  service = serviceDirectory();
  mkdirSync(service.join('supervise'));
  directory = { label: 'finger', role: 'service', hasLog: false, identity: '1-2', path: service.path };
  plugin = applyAlone(controlFifo());
  opened = [];
  commands = [];
});
afterEach(async () => {
  for (const each of opened) each.close();
  await service[Symbol.asyncDispose]();
});

const open = (): void => {
  plugin.call('openControl', directory, {
    command: (command) => void commands.push(command),
    opened: (transport) => void opened.push(transport),
  });
};
const publish = (): void => {
  plugin.call('statusChanged', directory, {
    pid: undefined,
    paused: false,
    want: 'up',
    sinceNs: 0n,
    startDue: false,
    leaving: false,
  });
};
/** Writes as svc does, and lets the kernel notice. */
const send = (bytes: string): void => {
  const fd = openSync(service.join('supervise/control'), constants.O_WRONLY | constants.O_NONBLOCK);
  writeSync(fd, bytes, null, 'latin1');
  closeSync(fd);
  for (const watched of plugin.readiness.watched) plugin.readiness.ready(watched);
};
const codeOf = (body: () => unknown): unknown => {
  try {
    body();
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
};
const openOk = (): unknown =>
  codeOf(() => closeSync(openSync(service.join('supervise/ok'), constants.O_WRONLY | constants.O_NONBLOCK)));

controlTransportContract({
  name: 'control-fifo',
  create: () => controlFifo(),
  send: async ({ path }, bytes) => {
    const fd = openSync(`${path}/supervise/control`, constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      writeSync(fd, bytes);
    } finally {
      closeSync(fd);
    }
  },
});

test('both FIFOs are made, for their owner alone', () => {
  open();
  publish();
  expect(readdirSync(service.join('supervise'))).toEqual(['control', 'ok']);
  for (const name of ['control', 'ok']) {
    const stats = statSync(service.join('supervise', name));
    expect([stats.isFIFO(), stats.mode & 0o777]).toEqual([true, 0o600]);
  }
});

test('ok can be opened once the first status is there, and no longer than supervision lasts', () => {
  open();
  expect(openOk()).toBe('ENOENT');
  publish();
  expect(openOk()).toBeUndefined();
  publish();
  expect(opened).toHaveLength(2);
  for (const each of opened) each.close();
  for (const each of opened) each.close();
  expect([openOk(), plugin.readiness.watched]).toEqual(['ENXIO', []]);
});

test('more bytes than are read at once stay for the next turn', () => {
  open();
  send('u'.repeat(100));
  const first = commands.length;
  expect(first).toBeLessThan(100);
  for (const fd of plugin.readiness.watched) plugin.readiness.ready(fd);
  expect(commands).toHaveLength(100);
});

test('FIFOs of an earlier supervise are used again', () => {
  open();
  publish();
  const before = statSync(service.join('supervise/control')).ino;
  for (const each of opened.splice(0)) each.close();
  open();
  expect(statSync(service.join('supervise/control')).ino).toBe(before);
});

test.each([
  ['a file', 'read', () => writeFileSync(service.join('supervise/control'), 'x')],
  ['a symlink', 'read', () => symlinkSync('/dev/null', service.join('supervise/control'))],
  ['a directory', 'write', () => mkdirSync(service.join('supervise/control'))],
])('%s in the place of control is refused, in words of daemontools', (_what, verb, make) => {
  make();
  expect(open).toThrow(
    expect.objectContaining({ code: 'CONTROL_FAILED', message: `unable to ${verb} finger/supervise/control` }),
  );
  expect([commands, plugin.readiness.watched]).toEqual([[], []]);
});

test('without supervise/ it is refused', () => {
  rmSync(service.join('supervise'), { recursive: true });
  expect(open).toThrow(
    expect.objectContaining({ code: 'CONTROL_FAILED', cause: expect.objectContaining({ code: 'ENOENT' }) }),
  );
});

test('a file in the place of ok is refused, too', () => {
  writeFileSync(service.join('supervise/ok'), '');
  expect(open).toThrow(
    expect.objectContaining({ code: 'CONTROL_FAILED', message: 'unable to read finger/supervise/ok' }),
  );
});

test('its factory takes no options', () => {
  expectTypeOf(controlFifo).toEqualTypeOf<PluginFactory>();
  // @ts-expect-error: there are none
  expect(() => controlFifo({ loud: true })).toThrow('it takes none, and was given loud');
});
