/** The plugin writes to standard error, so each test gives it one of its own: that of a Node that runs the source. */
import { spawnSync } from 'node:child_process';
import type { PluginFactory } from '@daemontap/kernel';
import { expect, expectTypeOf, test } from 'vitest';
import { logPino } from './index.ts';
import type { LogPinoOptions } from './index.ts';

/** What appears on standard error after these calls of `tell(hook, …args)`. */
function shown(options: LogPinoOptions, calls: string): readonly string[] {
  const script = `
    import { logPino } from './log-pino.ts';
    const taps = {};
    const hook = (name) => ({ tap: (_plugin, tap) => (taps[name] = tap) });
    logPino(${JSON.stringify(options)}).apply({ hooks: new Proxy({}, { get: (_hooks, name) => hook(name) }) });
    const tell = (name, ...args) => taps[name](...args);
    const missing = Object.assign(new Error('ENOENT'), { code: 'ENOENT', errno: -2 });
    const finger = { label: 'finger' };
    ${calls}`;
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--conditions=@daemontap/source', '--input-type=module', '--eval', script],
    { cwd: import.meta.dirname, encoding: 'utf8' },
  );
  expect([status, stdout]).toEqual([0, '']);
  return stderr.split('\n').slice(0, -1);
}

const history = `
  tell('serviceStarted', finger, 7);
  tell('reported', { level: 'fatal', program: 'supervise', message: 'unable to start', cause: missing, service: 'finger' });
  tell('reported', { level: 'warning', program: 'svscan', message: 'unable to scan', cause: undefined, service: undefined });
  tell('reported', { level: 'debug', program: 'svscan', message: 'details', cause: undefined, service: undefined });
  tell('serviceEnded', finger, 7, { signal: 9 });
  tell('serviceEnded', finger, 8, { exitCode: 0 });
  tell('serviceReleased', finger);`;

test('as JSON, everything that happens is one object on one line, with a level that pino tools know', () => {
  const lines = shown({ format: 'json' }, history).map((line) => JSON.parse(line) as unknown);
  expect(lines).toMatchObject([
    { level: 30, name: 'daemontap', msg: 'started', service: 'finger', servicePid: 7 },
    { level: 50, msg: 'unable to start', service: 'finger', program: 'supervise', reason: 'file does not exist' },
    { level: 40, msg: 'unable to scan', program: 'svscan' },
    { level: 30, msg: 'ended', service: 'finger', servicePid: 7, signal: 9 },
    { level: 30, msg: 'ended', service: 'finger', servicePid: 8, exitCode: 0 },
    { level: 30, msg: 'no longer supervised', service: 'finger' },
  ]);
  expect(lines).toHaveLength(6);
});

test('the least level is shown, and what is above it', () => {
  const messages = (options: LogPinoOptions): unknown =>
    shown(options, history).map((line) => (JSON.parse(line) as { msg: string }).msg);
  expect(messages({ format: 'json', level: 'error' })).toEqual(['unable to start']);
  expect(messages({ format: 'json', level: 'debug' })).toContain('details');
});

test('in the readable form, it is a line for people, without colours', () => {
  const lines = shown({ format: 'pretty' }, history);
  expect(lines).toHaveLength(6);
  expect(lines[0]).toMatch(/INFO.*finger.*started/);
  expect(lines[1]).toMatch(/ERROR.*finger.*unable to start.*file does not exist/);
  // eslint-disable-next-line no-control-regex -- an escape is what must not be there
  expect(lines.join('')).not.toMatch(/\u001b/);
});

test('colours come when they are asked for', () => {
  expect(shown({ format: 'pretty', colours: true }, history).join('')).toContain('\u001b[');
});

test('the types of its options are the words of forms and levels', () => {
  expectTypeOf(logPino).toEqualTypeOf<PluginFactory<LogPinoOptions>>();
  // @ts-expect-error: no form is called so
  expect(() => logPino({ format: 'plain' })).toThrow('unable to use the options of plugin log-pino: format: ');
});
