/** What a plugin author meets when tapping: each hook's arguments and answers, and what the types refuse. */
import { expectTypeOf, expect, test } from 'vitest';
import type {
  ControlPort,
  KernelHooks,
  LeftService,
  LogSink,
  Plugin,
  PluginHooks,
  ProcessEnd,
  Report,
  ScanWatch,
  ServiceDirectory,
  ServiceStatus,
  SpawnPlan,
  Successor,
} from './index.ts';

type Tap<K extends keyof PluginHooks> = Parameters<PluginHooks[K]['tap']>[1];
type Arguments<K extends keyof PluginHooks> = Parameters<Tap<K>>;
type Answer<K extends keyof PluginHooks> = ReturnType<Tap<K>>;
type Promised<K extends 'openLogSink' | 'prepareSpawn'> = ReturnType<Parameters<PluginHooks[K]['tapPromise']>[1]>;

test('a tap is called with what its hook names', () => {
  expectTypeOf<Arguments<'openLogSink'>>().toEqualTypeOf<[ServiceDirectory]>();
  expectTypeOf<Arguments<'prepareSpawn'>>().toEqualTypeOf<[SpawnPlan, ServiceDirectory]>();
  expectTypeOf<Arguments<'openControl'>>().toEqualTypeOf<[ServiceDirectory, ControlPort]>();
  expectTypeOf<Arguments<'watchScanDirectory'>>().toEqualTypeOf<[ScanWatch]>();
  expectTypeOf<Arguments<'statusChanged'>>().toEqualTypeOf<[ServiceDirectory, ServiceStatus]>();
  expectTypeOf<Arguments<'serviceStarted'>>().toEqualTypeOf<[ServiceDirectory, number]>();
  expectTypeOf<Arguments<'startFailed'>>().toEqualTypeOf<[ServiceDirectory, unknown]>();
  expectTypeOf<Arguments<'serviceEnded'>>().toEqualTypeOf<[ServiceDirectory, number, ProcessEnd | undefined]>();
  expectTypeOf<Arguments<'findRunning'>>().toEqualTypeOf<[ServiceDirectory]>();
  expectTypeOf<Arguments<'findSuccessor'>>().toEqualTypeOf<[ServiceDirectory, number | undefined]>();
  expectTypeOf<Arguments<'intended'>>().toEqualTypeOf<[ServiceDirectory, 'start' | 'stop']>();
  expectTypeOf<Arguments<'serviceReleased'>>().toEqualTypeOf<[ServiceDirectory]>();
  expectTypeOf<Arguments<'reported'>>().toEqualTypeOf<[Report]>();
  expectTypeOf<keyof PluginHooks>().toEqualTypeOf<keyof KernelHooks>();
});

test('a tap answers what its hook asks for, at once or as a promise, and nothing where it is told', () => {
  expectTypeOf<Answer<'openLogSink'>>().toEqualTypeOf<LogSink | undefined>();
  expectTypeOf<Promised<'openLogSink'>>().toEqualTypeOf<Promise<LogSink | undefined>>();
  expectTypeOf<Answer<'prepareSpawn'>>().toEqualTypeOf<SpawnPlan>();
  expectTypeOf<Answer<'findRunning'>>().toEqualTypeOf<LeftService | undefined>();
  expectTypeOf<Answer<'findSuccessor'>>().toEqualTypeOf<Successor | undefined>();
  expectTypeOf<Promised<'prepareSpawn'>>().toEqualTypeOf<Promise<SpawnPlan>>();
  expectTypeOf<
    Answer<Exclude<keyof PluginHooks, 'openLogSink' | 'prepareSpawn' | 'findRunning' | 'findSuccessor'>>
  >().toEqualTypeOf<void>();
});

test('what a kernel would refuse does not compile', () => {
  const plugin: Plugin = {
    name: 'wrong',
    apiVersion: 1,
    apply({ hooks }) {
      hooks.serviceStarted.tap({ name: 'wrong', stage: 1, before: 'status-file' }, ({ label }, pid) => {
        expectTypeOf(label).toEqualTypeOf<string>();
        expectTypeOf(pid).toEqualTypeOf<number>();
      });
      // @ts-expect-error: the kernel alone calls
      void hooks.serviceStarted.call;
      // @ts-expect-error: nobody waits for those that are told
      void hooks.serviceStarted.tapPromise;
      // @ts-expect-error: callbacks have promises in their place
      void hooks.prepareSpawn.tapAsync;
      // @ts-expect-error: there is no such hook
      void hooks.serviceStopped;
      // @ts-expect-error: it has two arguments
      hooks.serviceReleased.tap('wrong', (_service, _pid) => {});
      // @ts-expect-error: a plan has more than a file
      hooks.prepareSpawn.tap('wrong', ({ file }) => ({ file }));
      // @ts-expect-error: nothing is no plan
      hooks.prepareSpawn.tapPromise('wrong', async () => {});
      // @ts-expect-error: `undefined` passes, `null` would not
      hooks.openLogSink.tap('wrong', () => null);
      // @ts-expect-error: a sink ends and closes
      hooks.openLogSink.tap('wrong', () => ({ openOutput: () => 1 }));
      hooks.prepareSpawn.tap('wrong', (plan, service) => {
        // @ts-expect-error: a plan is not changed, another one is given
        plan.file = Buffer.from('/bin/true');
        // @ts-expect-error: a service is not changed
        service.label = 'other';
        return plan;
      });
      // @ts-expect-error: it is no command
      hooks.openControl.tap('wrong', (_service, control) => control.command('restart'));
    },
  };
  expect(plugin.name).toBe('wrong');
});
