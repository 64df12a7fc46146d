import type { Plugin, PluginHooks, PluginKernel } from '@daemontap/kernel';
import { expect, expectTypeOf, test } from 'vitest';
import { daemontools } from './index.ts';
import type { DaemontoolsOptions } from './index.ts';

const quiet: Plugin = { name: 'quiet', apiVersion: 1, apply() {} };
const names = (options?: DaemontoolsOptions): readonly string[] => daemontools(options).map(({ name }) => name);

test('messages come first, and the status is published before commands can come', () => {
  expect(names()).toEqual(['log-stderr', 'status-file', 'control-fifo', 'log-pipe', 'run-record', 'scan-watch']);
});

test('of the kinds that a contract suite exists for there are one control transport and one log sink', () => {
  const tapping = (hook: keyof PluginHooks): readonly string[] =>
    daemontools()
      .filter((plugin) => hooksOf(plugin).includes(hook))
      .map(({ name }) => name);
  // Both run their suite in their own package; run-record adds its mark to a plan, and changes nothing of the start.
  expect([tapping('openControl'), tapping('openLogSink'), tapping('prepareSpawn')]).toEqual([
    ['control-fifo'],
    ['log-pipe'],
    ['run-record'],
  ]);
});

test('a plugin given for `log` takes the place of log-stderr', () => {
  expect(names({ log: quiet })).toEqual(['quiet', ...names().slice(1)]);
});

test('each call makes plugins of its own: two kernels share nothing', () => {
  const first = daemontools();
  expect(daemontools().filter((plugin) => first.includes(plugin))).toEqual([]);
});

test('the types say what may be replaced', () => {
  expectTypeOf(daemontools).parameter(0).toEqualTypeOf<DaemontoolsOptions | undefined>();
  expectTypeOf(daemontools).returns.toEqualTypeOf<readonly Plugin[]>();
  const wrong = (): unknown => [
    // @ts-expect-error: it is a plugin, not its name
    daemontools({ log: 'log-pino' }),
    // @ts-expect-error: other parts are not replaced this way
    daemontools({ control: quiet }),
  ];
  expect(wrong).toBeTypeOf('function');
});

/** The hooks that a plugin taps. */
function hooksOf(plugin: Plugin): readonly string[] {
  const tapped: string[] = [];
  const noted = (hook: string | symbol) => () => void tapped.push(String(hook));
  // All of the kernel that these plugins use before a hook is called.
  const hooks = new Proxy({} as PluginHooks, {
    get: (_hooks, name) => ({ tap: noted(name), tapPromise: noted(name) }),
  });
  plugin.apply({ hooks } as PluginKernel);
  return tapped;
}
