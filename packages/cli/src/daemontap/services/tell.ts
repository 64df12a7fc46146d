/** `daemontap start`, `stop` and `restart`: tells services what to do, and waits until it is done if that is asked for. */
import type { Command } from '@daemontap/formats';
import { program as voiceOf, writeAll } from '../../program.ts';
import type { DirectoryOptions } from '../directory.ts';
import { AskError } from './ask-error.ts';
import type { AskedKernel, KernelCommand } from './ask-kernel.ts';
import { findServices, nothingFound } from './find-services.ts';
import type { FoundService } from './find-services.ts';
import { advance, beginProgress, doneAtMs, noteEnd, remainsText } from './progress.ts';
import type { Moment, Progress, Verb } from './progress.ts';
import type { NamedService } from './service-words.ts';
import { stateText } from './service-view.ts';
import type { ServiceView } from './service-view.ts';
import { FifoError, sendByFifo } from './supervise-files.ts';
import { Watch } from './watch-services.ts';

/** What to tell, and to whom. */
export interface TellOptions extends DirectoryOptions {
  readonly verb: Verb;
  readonly words: readonly Buffer[];
  /** All services of the scan directory, without their logs. */
  readonly all: boolean;
  /** How long to wait until it is done; `undefined`: not at all. */
  readonly waitMs: number | undefined;
}

const WRONG_USE = 100;
const SEND_TIMEOUT_MS = 2000;
const AT_ONCE = 16;

const { fatal, usage, warning } = voiceOf('daemontap');

const kernelCommands: Readonly<Record<Verb, KernelCommand>> = { start: 'up', stop: 'down', restart: 'restart' };

/** A service that is told something. */
interface Task {
  readonly found: FoundService;
  progress: Progress;
  /** Whether it was told, and what becomes of it is waited for. */
  isPending: boolean;
}

/** Exit code 0 when all services were told, or have done it; 111 when one could not; 100 when nothing was told. */
export async function tell(options: TellOptions): Promise<number> {
  const { verb, words, all, waitMs } = options;
  if (all === words.length > 0) {
    const what = all ? 'services are named, and --all' : 'no service is named; --all stands for all of them';
    return usage(`daemontap: fatal: unable to ${verb}: ${what}`);
  }
  const { found, missing } = await findServices(words, options);
  for (const line of missing) usage(`daemontap: fatal: ${line}`);
  if (missing.length > 0) return WRONG_USE;
  const services = all ? found.filter(({ service }) => service.role === 'service') : found;
  if (services.length === 0) return fatal(nothingFound(options));
  const tasks = services.map((each): Task => {
    return { found: each, progress: beginProgress(verb, each.view, now()), isPending: true };
  });
  return waitMs === undefined ? sendAll(tasks) : sendAndWait(tasks, waitMs);
}

async function sendAndWait(tasks: readonly Task[], waitMs: number): Promise<number> {
  const taskOf = new Map(tasks.map((task) => [task.found.service, task]));
  let areTold = false;
  const change = (service: NamedService, next: (progress: Progress) => Progress): void => {
    const task = taskOf.get(service);
    if (task !== undefined) task.progress = next(task.progress);
  };
  const watch = await Watch.begin(
    tasks.map(({ found }) => found),
    {
      // What is seen last before it is told is what counts as before.
      seen: (service, view) =>
        change(service, (last) => (areTold ? advance(last, view, now()) : beginProgress(last.verb, view, now()))),
      ended: (service, text) => change(service, (last) => noteEnd(last, text)),
      startFailed: (service, trouble) => change(service, (last) => ({ ...last, trouble })),
    },
  );
  areTold = true;
  let exitCode = await sendAll(tasks, true);
  const deadlineMs = performance.now() + waitMs;
  const pending = new Set(tasks.filter(({ isPending }) => isPending));
  for (;;) {
    watch.look();
    const atMs = performance.now();
    const dueMs: number[] = [];
    for (const task of pending) {
      const doneMs = doneAtMs(task.progress);
      if (doneMs !== undefined && doneMs > atMs) dueMs.push(doneMs);
      if (doneMs === undefined || doneMs > atMs) continue;
      pending.delete(task);
      watch.leave(task.found.service);
      say(`${task.found.service.shown}: ${stateText(task.progress.view)}`);
    }
    if (pending.size === 0 || atMs >= deadlineMs) break;
    await watch.next(Math.ceil(Math.min(deadlineMs, ...dueMs) - atMs));
  }
  watch.close();
  for (const { found, progress } of pending) {
    exitCode = fatal(`unable to ${progress.verb} ${found.service.shown}: ${remainsText(progress, waitMs)}`);
  }
  return exitCode;
}

/** Tells all of them; 111 when one could not be told. */
async function sendAll(tasks: readonly Task[], waits = false): Promise<number> {
  let exitCode = 0;
  const left = tasks.values();
  const lost = new Set<AskedKernel>();
  const sender = async (): Promise<void> => {
    for (const task of left) {
      const { service } = task.found;
      const { verb } = task.progress;
      try {
        await send(task, lost);
        if (!waits) say(`${service.shown}: told to ${verb}`);
      } catch (error) {
        if (!(error instanceof AskError || error instanceof FifoError)) throw error;
        task.isPending = false;
        exitCode = fatal(`unable to ${verb} ${service.shown}: ${error.message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, sender));
  return exitCode;
}

/** @throws AskError or FifoError */
async function send({ found, progress }: Task, lost: Set<AskedKernel>): Promise<void> {
  const { service, kernel, told } = found;
  const { verb, view } = progress;
  try {
    if (kernel !== undefined && !lost.has(kernel))
      return await kernel.command(told?.name ?? service.label, kernelCommands[verb]);
  } catch (error) {
    // A restart that may have been begun is not begun twice.
    if (!(error instanceof AskError) || (error.kind === 'lost' && verb === 'restart')) throw error;
    warning(`unable to tell ${service.shown} through its kernel: ${error.message}; writing to supervise/control`);
    if (kernel !== undefined && error.kind !== 'refused') lost.add(kernel); // it would not hear the others, either
  }
  const deadlineMs = performance.now() + SEND_TIMEOUT_MS;
  await sendByFifo(service.directory, { commands: commandsOf(verb, view), deadlineMs });
}

/** What svc would be told. TERM reaches one that is paused when it is continued; one that has it already is let end. */
function commandsOf(verb: Verb, { pid, want }: ServiceView): readonly Command[] {
  if (verb === 'stop') return ['d'];
  return verb === 'restart' && pid !== undefined && want !== 'down' ? ['u', 't', 'c'] : ['u'];
}

function say(line: string): void {
  writeAll(1, `${line}\n`);
}

function now(): Moment {
  return { atMs: performance.now(), wallNs: BigInt(Date.now()) * 1_000_000n };
}
