/** What the types of the testkit allow: contracts of each kind, the simulation, and one plugin alone. */
import type { Kernel, Plugin, ServiceDirectory, ServiceStatus, SpawnPlan } from '@daemontap/kernel';
import { expect, expectTypeOf, test } from 'vitest';
import {
  applyAlone,
  controlTransportContract,
  failedChecks,
  logSinkContract,
  serviceDirectory,
  simulateScan,
  simulateService,
  spawnPluginContract,
} from './index.ts';
import type {
  AppliedPlugin,
  ContractCheck,
  ControlTransportContractOptions,
  FailedCheck,
  LogSinkContractOptions,
  Simulation,
  SimulationOptions,
  SpawnPluginContractOptions,
} from './index.ts';

const plugin: Plugin = { name: 'mine', apiVersion: 1, apply() {} };
const create = (): Plugin => plugin;

test('a contract needs a name, a plugin, and what only the plugin knows', () => {
  expectTypeOf(controlTransportContract).parameters.toEqualTypeOf<[options: ControlTransportContractOptions]>();
  expectTypeOf(logSinkContract).parameters.toEqualTypeOf<[options: LogSinkContractOptions]>();
  expectTypeOf(spawnPluginContract).parameters.toEqualTypeOf<[options: SpawnPluginContractOptions]>();
  expectTypeOf<LogSinkContractOptions['create']>().returns.toEqualTypeOf<Plugin>();
  expectTypeOf(failedChecks).toEqualTypeOf<(checks: readonly ContractCheck[]) => Promise<readonly FailedCheck[]>>();
  const wrong = (): unknown => [
    // @ts-expect-error: a plugin is made anew for each check
    logSinkContract({ name: 'mine', create: plugin }),
    // @ts-expect-error: it has a name
    logSinkContract({ create }),
    // @ts-expect-error: who sends commands must be said
    controlTransportContract({ name: 'mine', create }),
    // @ts-expect-error: what the plan becomes must be said
    spawnPluginContract({ name: 'mine', create }),
  ];
  expect(wrong).toBeTypeOf('function');
});

test('a simulation takes plugins and services, and gives the kernel and its world', () => {
  expectTypeOf(simulateScan).parameter(0).toEqualTypeOf<SimulationOptions | undefined>();
  expectTypeOf(simulateScan).returns.toEqualTypeOf<Simulation>();
  expectTypeOf<Simulation['kernel']>().toEqualTypeOf<Kernel>();
  expectTypeOf<Simulation['statusOf']>().returns.toEqualTypeOf<ServiceStatus | undefined>();
  expectTypeOf<Simulation['advanceMs']>().toEqualTypeOf<(ms: number) => Promise<void>>();
  const wrong = (simulation: Simulation): unknown => [
    // @ts-expect-error: plugins are handed over, not named
    simulateScan({ plugins: ['mine'] }),
    // @ts-expect-error: a service holds a log or a `down`, and no more
    simulateScan({ services: { finger: { run: 'exec true' } } }),
    // @ts-expect-error: it has one service
    simulateService({ services: {} }),
    // @ts-expect-error: a process ends with a number
    simulation.endIn('/service/finger', { signal: 'SIGTERM' }),
    // @ts-expect-error: milliseconds are a number
    simulation.advanceMs(1000n),
  ];
  expect(wrong).toBeTypeOf('function');
});

test('one plugin alone is called as the kernel calls it', () => {
  const wrong = (alone: AppliedPlugin, service: ServiceDirectory, plan: SpawnPlan): unknown => [
    alone.call('serviceStarted', service, 7),
    alone.call('prepareSpawn', plan, service),
    // @ts-expect-error: the pid is missing
    alone.call('serviceStarted', service),
    // @ts-expect-error: there is no such hook
    alone.call('serviceStopped', service),
    // @ts-expect-error: a state directory is a path
    applyAlone(plugin, { stateDir: () => '/tmp' }),
    // @ts-expect-error: a `down` file lies there or not
    serviceDirectory({ down: 'yes' }),
  ];
  expect(wrong).toBeTypeOf('function');
});
