/** A simulated kernel with a control socket that is real: what is asked through it is asked of the simulation. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Plugin } from '@daemontap/kernel';
import { simulateScan } from '@daemontap/testkit';
import type { Simulation, SimulationOptions } from '@daemontap/testkit';
import { ask, events, refused } from './client.test-support.ts';
import type { CheckedAnswer, CheckedEvent, Question } from './client.test-support.ts';
import { controlSocket } from './control-socket.ts';
import type { ControlSocketOptions } from './control-socket.ts';

/** A question to the kernel; a word is the target. */
export type Asked = string | Omit<Question, 'socketPath'>;

/** A kernel that can be asked. */
export interface AskedKernel extends AsyncDisposable {
  readonly simulation: Simulation;
  readonly stateDir: string;
  readonly socketPath: string;
  ask<T = unknown>(asked: Asked): Promise<CheckedAnswer<T>>;
  refused(asked: Asked): Promise<readonly [number, string, string]>;
  command(name: string, body: unknown): Promise<CheckedAnswer<never>>;
  events(target?: string): AsyncGenerator<CheckedEvent>;
  /** Lets whatever is on its way through the socket arrive. */
  settle(): Promise<void>;
  /** Waits until that is so. */
  until(condition: () => boolean): Promise<void>;
}

/** How a kernel differs from others. */
export interface AskedKernelOptions extends Omit<SimulationOptions, 'plugins'> {
  readonly socket?: ControlSocketOptions;
  /** Of an earlier kernel; it is the caller's to remove. */
  readonly stateDir?: string;
}

/** A directory of a test's own. */
export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'daemontap-socket-'));
}

/** The plugin in a simulated world, which has no directories of its own. */
export function inDirectory(made: Plugin, stateDir: string): Plugin {
  return { ...made, apply: (kernel) => made.apply({ ...kernel, stateDir: () => stateDir }) };
}

/** Makes a kernel with these services. */
export async function askedKernel({
  socket = {},
  stateDir: given,
  ...options
}: AskedKernelOptions = {}): Promise<AskedKernel> {
  const stateDir = given ?? temporaryDirectory();
  const socketPath = socket.path ?? join(stateDir, 'http');
  const simulation = simulateScan({ ...options, plugins: [inDirectory(controlSocket(socket), stateDir)] });
  await simulation.settle();
  const abort = new AbortController();
  // The simulation's readiness is told by hand; all that it watches here is the socket.
  const wake = (): void => {
    for (const fd of simulation.readiness.watched) simulation.readiness.ready(fd);
  };
  const question = (asked: Asked): Question => {
    wake();
    return { signal: abort.signal, socketPath, ...(typeof asked === 'string' ? { target: asked } : asked) };
  };
  const until = async (condition: () => boolean): Promise<void> => {
    const deadlineMs = performance.now() + 10_000;
    while (!condition()) {
      if (performance.now() > deadlineMs) throw new Error('waited in vain');
      await sleep(2);
    }
  };
  return {
    simulation,
    stateDir,
    socketPath,
    ask: (asked) => ask(question(asked)),
    refused: (asked) => refused(question(asked)),
    command: (name, body) => ask(question({ target: `/v1/services/${encodeURIComponent(name)}/commands`, body })),
    events: (target = '/v1/events') => events(question(target)),
    async settle() {
      // A question that comes back was behind all that was sent before.
      await ask(question('/v1'));
      await simulation.settle();
    },
    until,
    async [Symbol.asyncDispose]() {
      abort.abort();
      simulation.kernel.stop();
      for (const { pid } of simulation.processes.running) simulation.processes.end(pid);
      await simulation.advanceMs(5000);
      for (const { pid } of simulation.processes.running) simulation.processes.end(pid);
      await until(() => simulation.isDone());
      if (given === undefined) rmSync(stateDir, { recursive: true, force: true });
    },
  };
}
