/**
 * The world of one check: kernels' side of the plugin contract, real service directories, and time that passes. All
 * of it is gone after the check.
 */
import assert from 'node:assert/strict';
import { closeSync, constants, fstatSync, mkdirSync, mkdtempSync, openSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleepMs } from 'node:timers/promises';
import type { Plugin, PluginHooks, ServiceDirectory } from '@daemontap/kernel';
import { applyTo } from '../apply-alone.ts';
import type { HookArguments, Tap, Taps } from '../apply-alone.ts';
import { serviceDirectory } from '../service-directory.ts';
import { SimulatedClock } from '../simulated-clock.ts';
import { PolledReadiness } from './polled-readiness.ts';
import { addedSince } from './process-state.ts';
import type { OpenThings } from './process-state.ts';

/** Where a plugin under contract is made. */
export interface ContractPlace {
  /** A directory of its own, empty and absolute, for what its options may need: a socket, a directory of logs. */
  readonly dir: string;
}

/** A service that a plugin under contract is asked about. */
export interface ContractService {
  /** As the plugin sees it. */
  readonly directory: ServiceDirectory;
  /** What the service directory is called at this moment, as a client knows it. */
  readonly path: string;
  /** What the kernel's `stateDir()` answers. */
  readonly stateDir: string;
  /** Where the plugin was made. */
  readonly place: ContractPlace;
}

/** What the contracts of all kinds of plugins are given. */
export interface PluginContractOptions {
  /** For the tests' titles. */
  readonly name: string;
  /** Makes the plugin with its factory. It is called often: each call is another kernel's configuration. */
  readonly create: (place: ContractPlace) => Plugin;
  /** Calls of the factory that it must refuse, by what is wrong with the options; default: it takes no options. */
  readonly wrongOptions?: Readonly<Record<string, () => unknown>>;
  /** How long something that must happen is waited for, in milliseconds; default 10,000. */
  readonly timeoutMs?: number;
}

/** A service of a trial. */
export interface TrialService extends ContractService {
  /** Gives the directory another name. */
  rename(): void;
}

/** How a kernel of a trial differs from others. */
export interface TrialKernelOptions {
  /** Makes its plugin; default: as the contract's options say. */
  readonly create?: PluginContractOptions['create'];
  /** Whether its `stateDir()` answers or throws; default true. */
  readonly hasStateDir?: boolean;
}

/** A kernel of a trial, with one plugin. */
export interface TrialKernel {
  readonly place: ContractPlace;
  readonly stateDir: string;
  readonly clock: SimulatedClock;
  readonly readiness: PolledReadiness;
  taps(hook: keyof PluginHooks): readonly Tap[];
  /** Calls every tap of a hook. @throws what a tap throws */
  call<K extends keyof PluginHooks>(hook: K, ...args: HookArguments<K>): readonly unknown[];
  /** Another service directory of this kernel. */
  service(name: string, role?: ServiceDirectory['role']): TrialService;
}

/** Runs the body in the world of a trial, and removes that world. */
export async function inTrial<T extends Trial>(trial: T, body: (trial: T) => Promise<void> | void): Promise<void> {
  try {
    await body(trial);
  } finally {
    await trial.dispose();
  }
}

/** One world. Contracts of one kind of plugins add what is on the other side of their hooks. */
export class Trial {
  readonly #create: PluginContractOptions['create'];
  readonly #timeoutMs: number;
  readonly #kernels: TrialKernel[] = [];
  readonly #services: (() => Promise<void>)[] = [];
  readonly #directories: string[] = [];
  #lookedAtMs = performance.now();

  constructor({ create, timeoutMs = 10_000 }: PluginContractOptions) {
    this.#create = create;
    this.#timeoutMs = timeoutMs;
  }

  /** Another kernel, with a plugin of its own. */
  kernel({ create = this.#create, hasStateDir = true }: TrialKernelOptions = {}): TrialKernel {
    const place = { dir: this.directory() };
    const stateDir = this.directory();
    const clock = new SimulatedClock();
    const readiness = new PolledReadiness();
    const taps: Taps = applyTo(create(place), {
      clock,
      readiness,
      stateDir() {
        if (!hasStateDir) throw new Error('unable to create a state directory: permission denied');
        return stateDir;
      },
      serviceOptions: () => ({}),
      profiles: () => [],
      supervise: () => ({ close() {} }),
    });
    const kernel: TrialKernel = {
      place,
      stateDir,
      clock,
      readiness,
      taps: (hook) => taps.of(hook),
      call: (hook, ...args) => taps.of(hook).map((tap) => tap(...args)),
      service: (name, role = 'service') => this.#service(name, { role, place, stateDir }),
    };
    this.#kernels.push(kernel);
    return kernel;
  }

  /** A directory that is gone after the check. */
  directory(): string {
    const dir = mkdtempSync(join(tmpdir(), 'daemontap-contract-'));
    this.#directories.push(dir);
    return dir;
  }

  /**
   * Lets the world go on until a condition is true.
   * @throws AssertionError when it does not become true
   */
  async until(what: string | (() => string), condition: () => boolean | Promise<boolean>): Promise<void> {
    const deadlineMs = performance.now() + this.#timeoutMs;
    while (!(await condition())) {
      const said = typeof what === 'string' ? what : what();
      assert.ok(performance.now() < deadlineMs, `waited ${this.#timeoutMs} ms in vain: ${said}`);
      await this.#turn();
      await sleepMs(1);
    }
  }

  /** Lets happen what needs no time: enough turns for anything that is on its way to arrive. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) await this.#turn();
  }

  /** Lets the world go on until all that was opened since is closed. */
  settledTo(before: OpenThings): Promise<void> {
    return this.until(
      () => `what was opened is closed; there is still ${addedSince(before).join(', ')}`,
      () => addedSince(before).length === 0,
    );
  }

  /** Lets the world go on until an answer is there. @throws what the answer is rejected with */
  async settled<T>(what: string, answer: T | Promise<T>): Promise<T> {
    let isSettled = false;
    const settled = Promise.resolve(answer).finally(() => (isSettled = true));
    settled.catch(() => {}); // it is thrown below, or nobody waits for it any more
    await this.until(what, () => isSettled);
    return settled;
  }

  /** @throws AssertionError when a plugin still has timers or watches of a kernel */
  assertQuiet(): void {
    for (const { clock, readiness } of this.#kernels) {
      assert.equal(clock.pendingTimers, 0, 'a timer of the kernel is still set');
      assert.equal(readiness.watched.length, 0, 'a descriptor is still watched');
    }
  }

  async dispose(): Promise<void> {
    // A broken plugin may have closed what is ours: that is said, and the rest is removed all the same.
    const results = await Promise.allSettled(this.#services.map((dispose) => dispose()));
    for (const dir of this.#directories) rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
    const failed = results.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  async #turn(): Promise<void> {
    const nowMs = performance.now();
    const passedMs = nowMs - this.#lookedAtMs;
    this.#lookedAtMs = nowMs;
    for (const { clock, readiness } of this.#kernels) {
      clock.advanceMs(passedMs);
      readiness.look();
    }
    await nextTurn();
  }

  #service(
    name: string,
    { role, ...rest }: Pick<ContractService, 'place' | 'stateDir'> & Pick<ServiceDirectory, 'role'>,
  ): TrialService {
    const made = serviceDirectory({ name, log: 'exec cat' });
    mkdirSync(made.join('supervise'), 0o700); // as the kernel has done when it asks
    mkdirSync(made.join('log', 'supervise'), 0o700);
    let path = role === 'log' ? made.join('log') : made.path;
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    this.#services.push(async () => {
      try {
        closeSync(fd);
      } finally {
        await made[Symbol.asyncDispose]();
      }
    });
    const { dev, ino } = fstatSync(fd);
    const directory: ServiceDirectory = {
      label: role === 'log' ? `${name}/log` : name,
      role,
      hasLog: role === 'service',
      identity: `${dev}-${ino}`,
      path: `/proc/self/fd/${fd}`,
    };
    return {
      ...rest,
      directory,
      get path() {
        return path;
      },
      rename() {
        renameSync(path, `${path}.renamed`);
        path = `${path}.renamed`;
      },
    };
  }
}
