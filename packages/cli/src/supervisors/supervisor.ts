/**
 * What svscan and supervise have in common: gives the kernel the running system, with what the caller handed over
 * for the services, and sees to it that no error ends a supervisor that runs.
 */
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { reportLine } from '@daemontap/formats';
import { KernelError } from '@daemontap/kernel';
import type { Kernel, KernelOptions, Plugin } from '@daemontap/kernel';
import {
  argumentBytes,
  ignoreSignal,
  openLineOutput,
  raisePriority,
  setProcessName,
  signalsIn,
} from '@daemontap/posix';
import type { Inherited, LineOutput } from '@daemontap/posix';
import { daemontools } from '@daemontap/preset';
import { runningSystem } from '@daemontap/system';
import { preparingProgram } from './preparing.ts';
import { pinoMessages } from './pino-messages.ts';
import { readSettings, SettingError } from './settings.ts';
import type { Settings } from './settings.ts';

/** One of the two programs. */
export interface SupervisorProgram {
  readonly name: 'svscan' | 'supervise';
  /** The directory that the arguments name; `undefined` when they are not what the program takes. */
  pathOf(words: readonly Buffer[]): Buffer | undefined;
  readonly usage: string;
  /** @throws KernelError when there is nothing to supervise */
  supervise(options: KernelOptions): Kernel;
  /** Whether TERM and INT stop it in order; if not they end it, and services run on. */
  stops(settings: Settings): boolean;
}

const WRONG_USE = 100;
const TEMPORARY = 111;
const LOCK_ATTEMPTS = 5;
const LOCK_ATTEMPT_EVERY_MS = 50;
const WRONG_USE_CODES: ReadonlySet<string> = new Set([
  'ROOT_DIRECTORY',
  'PLUGIN_FAILED',
  'PLUGIN_NAME_TAKEN',
  'PLUGIN_API',
  'PLUGIN_MISSING',
]);
const { SIGCHLD, SIGHUP } = constants.signals;

/** Runs svscan or supervise until nothing is supervised any more. */
export async function runSupervisor(program: SupervisorProgram): Promise<void> {
  const { name, usage } = program;
  const words = argumentBytes();
  await exitWithSupervisor(name, async () => {
    const path = program.pathOf(words);
    if (path === undefined) {
      voice(name).usage(usage);
      return WRONG_USE;
    }
    const settings = readSettings(process.env, process.geteuid?.() ?? 0);
    const plugins = await pluginsFor(settings);
    const stops = program.stops(settings);
    return supervise({ name, words, supervise: program.supervise, path, plugins, settings, stops });
  });
}

/** What a supervisor is made of. */
export interface SupervisorRun extends Pick<KernelOptions, 'path' | 'plugins'> {
  /** For its own lines, and for ps. */
  readonly name: string;
  readonly words: readonly Buffer[];
  /** Makes the kernel. */
  readonly supervise: SupervisorProgram['supervise'];
  readonly settings: Settings;
  readonly serviceOptions?: NonNullable<KernelOptions['serviceOptions']>;
  /** Whether TERM and INT stop it in order. */
  readonly stops: boolean;
  /** Is called at HUP, besides the scan. */
  readonly onHangUp?: () => void;
  /** Is called once, when there is a kernel. */
  readonly onKernel?: (kernel: Kernel) => void;
}

/**
 * Supervises until nothing is supervised any more, and returns the exit code.
 * @throws what the kernel throws before it runs; after that it survives everything
 */
export async function supervise(run: SupervisorRun): Promise<number> {
  const { name, words, path, plugins, settings, stops, onHangUp, onKernel, serviceOptions = () => ({}) } = run;
  // Whatever is wrong inside, services are worth more than a clean end of their supervisor.
  const { warning } = voice(name);
  const survive = (cause: unknown): void => warning('unable to finish a step', cause);
  const system = runningSystem(survive, preparingProgram());
  raisePriority();
  setProcessName({ name, words });
  // Before anything is started: a signal between the two would end it and leave the service behind.
  const signals = takeSignals({ inherited: system.inherited, stops, onHangUp });
  const { runtimeRoot, stopTimeoutMs } = settings;
  const kernel = await whenUnlocked(() =>
    run.supervise({ ...system, path, plugins, runtimeRoot, stopTimeoutMs, serviceOptions }),
  );
  process.on('uncaughtException', survive).on('unhandledRejection', survive);
  onKernel?.(kernel);
  signals.sendTo(kernel);
  await kernel.done;
  return 0;
}

/**
 * Tries again where a lock is held: the last child of a supervisor that was killed has it until it executes something.
 * @throws what `make` throws
 */
async function whenUnlocked(make: () => Kernel): Promise<Kernel> {
  for (let attempt = 1; ; attempt++) {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'LOCK_HELD' || attempt === LOCK_ATTEMPTS) throw error;
    }
    await sleep(LOCK_ATTEMPT_EVERY_MS);
  }
}

/** Ends the process with what `main` returns, or says why it could not. */
export async function exitWithSupervisor(name: string, main: () => Promise<number>): Promise<never> {
  try {
    process.exit(await main());
  } catch (error) {
    voice(name).fatal(error);
    process.exit(willNeverWork(error) ? WRONG_USE : TEMPORARY);
  }
}

/** The program's own lines, before there is a kernel to speak through plugins, and when it cannot. */
function voice(name: string): {
  readonly fatal: (error: unknown) => void;
  readonly warning: (message: string, cause: unknown) => void;
  readonly usage: (line: string) => void;
} {
  let output: LineOutput | undefined;
  const write = (line: string): void => {
    output ??= openLineOutput(2, { dropped: (count) => `${name}: warning: ${count} messages were lost\n` });
    output.write(line);
  };
  return {
    fatal(error) {
      const known = error instanceof KernelError || error instanceof SettingError;
      const message = known ? error.message : 'unable to start';
      write(reportLine({ program: name, level: 'fatal', message, cause: known ? error.cause : error }));
    },
    warning: (message, cause) => write(reportLine({ program: name, level: 'warning', message, cause })),
    usage: (line) => write(`${line}\n`),
  };
}

function willNeverWork(error: unknown): boolean {
  return error instanceof SettingError || (error instanceof KernelError && WRONG_USE_CODES.has(error.code));
}

async function pluginsFor({ log }: Settings): Promise<readonly Plugin[]> {
  return log === 'plain' ? daemontools() : daemontools({ log: (await pinoMessages(log)).plugin });
}

/** Takes the signals of a supervisor; they reach the kernel as soon as there is one. */
function takeSignals({
  inherited,
  stops,
  onHangUp,
}: Pick<SupervisorRun, 'stops'> & {
  readonly inherited: Inherited;
  readonly onHangUp: SupervisorRun['onHangUp'] | undefined;
}): {
  sendTo(kernel: Kernel): void;
} {
  let kernel: Kernel | undefined;
  let isStopDue = false;
  const ignored = signalsIn(inherited.ignoredSignals).filter((signal) => signal !== SIGHUP && signal !== SIGCHLD);
  // Node has forgotten what the caller ignored: a shell's background job is not to end at its terminal's Ctrl-C.
  for (const signal of ignored) ignoreSignal(signal);
  process.on('SIGHUP', () => {
    kernel?.requestScan();
    onHangUp?.();
  });
  process.on('SIGUSR1', () => {}); // else Node opens its debugger
  // Leaves: services run on, and nothing of what the next kernel needs is closed or removed.
  if (!ignored.includes(constants.signals.SIGQUIT)) process.on('SIGQUIT', () => process.exit(0));
  for (const name of stops ? (['SIGTERM', 'SIGINT'] as const) : []) {
    if (ignored.includes(constants.signals[name])) continue;
    process.on(name, () => {
      isStopDue = true;
      kernel?.stop();
    });
  }
  return {
    sendTo(made) {
      kernel = made;
      if (isStopDue) made.stop();
    },
  };
}
