/**
 * What svscan and supervise have in common: gives the kernel the running system, with what the caller handed over
 * for the services, and sees to it that no error ends a supervisor that runs.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { isatty } from 'node:tty';
import { reportLine } from '@daemontap/formats';
import { KernelError, nodeClock, nodeFiles } from '@daemontap/kernel';
import type { Kernel, KernelOptions, Plugin, SpawnPlan } from '@daemontap/kernel';
import {
  argumentBytes,
  descriptorLimit,
  ignoreSignal,
  openLineOutput,
  openProcesses,
  openReadiness,
  raisePriority,
  readInherited,
  setDescriptorLimit,
  setProcessName,
  signalBit,
  signalsIn,
  tryLock,
} from '@daemontap/posix';
import type { Inherited, LineOutput } from '@daemontap/posix';
import { daemontools } from '@daemontap/preset';
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
const { SIGCHLD, SIGHUP } = constants.signals;

/** Runs svscan or supervise until nothing is supervised any more. */
export async function runSupervisor(program: SupervisorProgram): Promise<void> {
  const { fatal, warning, usage } = voice(program.name);
  const words = argumentBytes();
  const path = program.pathOf(words);
  if (path === undefined) {
    usage(program.usage);
    process.exit(WRONG_USE);
  }
  try {
    const settings = readSettings(process.env, process.geteuid?.() ?? 0);
    const inherited = readInherited();
    // Whatever is wrong inside, services are worth more than a clean end of their supervisor.
    const survive = (cause: unknown): void => warning('unable to finish a step', cause);
    raisePriority();
    setProcessName({ name: program.name, commandLine: [program.name, ...words.map(String)].join(' ') });
    const kernel = program.supervise({
      path,
      plugins: await pluginsFor(settings),
      ports: {
        clock: nodeClock(),
        files: nodeFiles({ tryLock }),
        processes: openProcesses(survive),
        readiness: openReadiness(survive),
      },
      basePlan: basePlanOf(inherited),
      runtimeRoot: settings.runtimeRoot,
      stopTimeoutMs: settings.stopTimeoutMs,
    });
    process.on('uncaughtException', survive).on('unhandledRejection', survive);
    takeSignals(kernel, { inherited, stops: program.stops(settings) });
    await kernel.done;
    process.exit(0);
  } catch (error) {
    fatal(error);
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
  return error instanceof SettingError || (error instanceof KernelError && error.code === 'ROOT_DIRECTORY');
}

/** pino is loaded only where it is wanted: it takes 7 MB. */
async function pluginsFor({ log }: Settings): Promise<readonly Plugin[]> {
  if (log === 'plain') return daemontools();
  const { logPino } = await import('@daemontap/log-pino');
  return daemontools({ log: logPino({ format: log, colours: log === 'pretty' && isatty(2) }) });
}

/** What every service starts with: all that the caller had, and nothing of ours. */
function basePlanOf({ environment, descriptors, ignoredSignals, ...inherited }: Inherited): SpawnPlan {
  return {
    file: Buffer.from('./run'),
    argv: [Buffer.from('./run')],
    environment,
    descriptors: descriptors.map((fd) => [fd, fd] as const),
    ignoredSignals: ignoredSignals & ~signalBit(SIGCHLD),
    blockedSignals: inherited.blockedSignals & ~signalBit(SIGCHLD),
    descriptorLimit: { soft: inherited.descriptorLimit.soft, hard: makeRoomForDescriptors() },
  };
}

/** A kernel takes four descriptors a service. Raises the limits where that is allowed and returns the hard one before. */
function makeRoomForDescriptors(): bigint {
  const { hard } = descriptorLimit();
  const most = BigInt(readFileSync('/proc/sys/fs/nr_open', 'latin1').trim());
  try {
    if (most > hard) setDescriptorLimit({ soft: most, hard: most });
  } catch {
    setDescriptorLimit({ soft: hard, hard }); // not root: what there is must do
  }
  return hard;
}

function takeSignals(
  kernel: Kernel,
  { inherited, stops }: { readonly inherited: Inherited; readonly stops: boolean },
): void {
  const ignored = signalsIn(inherited.ignoredSignals).filter((signal) => signal !== SIGHUP && signal !== SIGCHLD);
  // Node has forgotten what the caller ignored: a shell's background job is not to end at its terminal's Ctrl-C.
  for (const signal of ignored) ignoreSignal(signal);
  process.on('SIGHUP', () => kernel.requestScan());
  process.on('SIGUSR1', () => {}); // else Node opens its debugger
  if (!stops) return;
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    if (!ignored.includes(constants.signals[name])) process.on(name, () => kernel.stop());
  }
}
