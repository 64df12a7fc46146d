/** Options for single services: what the configuration says, and what a service's own file may. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ServiceDirectory } from '@daemontap/kernel';
import { testDirectory } from './directory.test-support.ts';
import { serviceOptionsOf } from './services.ts';

const serviceAt = (path: string, label = 'finger'): ServiceDirectory => ({
  label,
  path,
  role: 'service',
  hasLog: false,
  identity: '1-2',
});
const allow = ['heartbeat.interval', 'heartbeat.jitter'];

test('the configuration has options by service and plugin', () => {
  const options = serviceOptionsOf({
    services: { finger: { heartbeat: { interval: 5 } }, 'finger/log': { bell: {} } },
  });
  expect(options('heartbeat', serviceAt('/nowhere'))).toEqual({ interval: 5 });
  expect(options('bell', serviceAt('/nowhere'))).toEqual({});
  expect(options('heartbeat', serviceAt('/nowhere', 'other'))).toEqual({});
  expect(options('constructor', serviceAt('/nowhere', 'toString'))).toEqual({});
});

describe("a service's own file", () => {
  const refused = (content: string | object, name = 'daemontap.config.json'): string => {
    using dir = testDirectory({ [name]: content });
    const options = serviceOptionsOf({ allow });
    try {
      options('other', serviceAt(dir.path));
    } catch (error) {
      expect(error).toMatchObject({ code: 'PLUGIN_OPTIONS' });
      expect(() => options('heartbeat', serviceAt(dir.path))).toThrow((error as Error).message);
      return (error as Error).message;
    }
    return 'not refused';
  };

  test.each([
    ['daemontap.config.json', '{ "heartbeat": { "interval": 5 } }'],
    ['daemontap.config.yaml', 'heartbeat: { interval: 5 }'],
    ['daemontap.config.yml', 'heartbeat: { interval: 5 }'],
  ])('may be %s', (name, content) => {
    using dir = testDirectory({ [name]: content });
    expect(serviceOptionsOf({ allow })('heartbeat', serviceAt(dir.path))).toEqual({ interval: 5 });
    expect(serviceOptionsOf({ allow })('bell', serviceAt(dir.path))).toEqual({});
  });

  test('gives way to the configuration', () => {
    using dir = testDirectory({ 'daemontap.config.json': { heartbeat: { interval: 5, jitter: 1 } } });
    const options = serviceOptionsOf({ allow, services: { finger: { heartbeat: { interval: 9 } } } });
    expect(options('heartbeat', serviceAt(dir.path))).toEqual({ interval: 9, jitter: 1 });
  });

  test('is not looked for when nothing is allowed', () => {
    using dir = testDirectory({ 'daemontap.config.json': '{ broken' });
    expect(serviceOptionsOf({})('heartbeat', serviceAt(dir.path))).toEqual({});
    expect(serviceOptionsOf({ allow: [] })('heartbeat', serviceAt(dir.path))).toEqual({});
  });

  test('that is code is no file of options', () => {
    using dir = testDirectory({ 'daemontap.config.js': 'throw new Error("run")' });
    expect(serviceOptionsOf({ allow })('heartbeat', serviceAt(dir.path))).toEqual({});
  });

  test('is read through the directory that is held, whatever it is called meanwhile, and again when it has changed', () => {
    using dir = testDirectory({ 'finger/daemontap.config.json': { heartbeat: { interval: 5 } } });
    const fd = openSync(join(dir.path, 'finger'), 'r');
    try {
      const service = serviceAt(`/proc/self/fd/${fd}`);
      const options = serviceOptionsOf({ allow });
      expect(options('heartbeat', service)).toEqual({ interval: 5 });
      renameSync(join(dir.path, 'finger'), join(dir.path, '.finger'));
      expect(options('heartbeat', service)).toEqual({ interval: 5 });
      dir.write('.finger/daemontap.config.json', { heartbeat: { interval: 77 } });
      expect(options('heartbeat', service)).toEqual({ interval: 77 });
      dir.write('.finger/daemontap.config.json', '{');
      expect(() => options('heartbeat', service)).toThrow('finger/daemontap.config.json');
      dir.write('.finger/daemontap.config.json', {});
      expect(options('heartbeat', service)).toEqual({});
    } finally {
      closeSync(fd);
    }
  });

  test('says nothing that is not allowed', () => {
    expect(refused({ heartbeat: { interval: 1, account: 'root' }, setuidgid: { account: 'root' } })).toBe(
      'unable to use the configuration of finger/daemontap.config.json: heartbeat.account is not allowed there: the scan directory\'s configuration would have to say allow: ["heartbeat.account"]; ' +
        'setuidgid.account is not allowed there: the scan directory\'s configuration would have to say allow: ["setuidgid.account"]',
    );
  });

  test.each([
    ['{"heartbeat": 3}', ': heartbeat must be an object of options and values'],
    ['[]', ': it must be an object of plugins and their options'],
    ['{"heartbeat": {', ":1:16 expected property name or '}'"],
    ['', ': it is empty; for the defaults write {}'],
    [`{"heartbeat": {"interval": "${'x'.repeat(70_000)}"}}`, ': it has more than 65536 bytes'],
    ['{"__proto__": {"interval": 3}}', '__proto__.interval is not allowed there'],
  ])('%.30s is refused', (content, message) => {
    expect(refused(content)).toContain(message.replace(/^:1/, ': 1'));
  });

  test('YAML that repeats itself without end is refused', () => {
    const lines = Array.from(
      { length: 12 },
      (_, n) =>
        `k${n}: &k${n} [${Array(12)
          .fill(n === 0 ? 'x' : `*k${n - 1}`)
          .join(', ')}]`,
    );
    expect(refused(lines.join('\n'), 'daemontap.config.yaml')).toContain('is too large');
  });

  test('two at once, links and FIFOs are refused', () => {
    using dir = testDirectory({
      'two/daemontap.config.json': {},
      'two/daemontap.config.yml': '{}',
      'target.json': { heartbeat: { interval: 5 } },
    });
    for (const name of ['link', 'fifo']) mkdirSync(join(dir.path, name));
    symlinkSync('../target.json', join(dir.path, 'link/daemontap.config.json'));
    expect(spawnSync('mkfifo', [join(dir.path, 'fifo/daemontap.config.json')]).status).toBe(0);
    const options = serviceOptionsOf({ allow });
    const asked = (name: string) => (): unknown => options('heartbeat', serviceAt(join(dir.path, name)));
    const begin = 'unable to use the configuration of finger';
    expect(asked('two')).toThrow(`${begin}: there is more than one: daemontap.config.json and daemontap.config.yml`);
    expect(asked('link')).toThrow(`${begin}/daemontap.config.json: symbolic link loop`);
    expect(asked('fifo')).toThrow(`${begin}/daemontap.config.json: it is not a file`);
  });
});
