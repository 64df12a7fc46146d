/**
 * The running system for a kernel: time, processes, descriptors and files, and what every service starts with, which
 * is all that the caller handed to this process and nothing of its own.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { nodeClock } from './clock.ts';
import { nodeFiles } from './files.ts';
import type { PreparingProgram } from './prepared.ts';
import { systemProcesses } from './processes.ts';
import type { KernelOptions, SpawnPlan } from '@daemontap/kernel';
import { readLimit, openReadiness, readInherited, writeLimit, signalBit, tryLock } from '@daemontap/posix';
import type { Inherited } from '@daemontap/posix';

/** What a kernel needs of the system, and the end of it. */
export interface RunningSystem extends Pick<KernelOptions, 'ports' | 'basePlan'> {
  readonly inherited: Inherited;
  /** Stops waiting for descriptors and children. Without it the process does not end by itself. */
  close(): void;
}

/**
 * Opens the running system, once in a process and before its first child. Raises the process's descriptor limits as
 * far as it may; services get those of the caller.
 * @param onError told of what a callback throws; by then nobody else can be
 * @param preparing what services are started through that have an account or limits of their own; without it these are
 * not started
 * @example
 * const system = runningSystem((error) => log(error));
 * const kernel = superviseScanDirectory({ ...system, path, plugins: daemontools(), runtimeRoot, stopTimeoutMs: 30_000 });
 * process.on('SIGTERM', () => kernel.stop());
 * await kernel.done;
 * system.close();
 */
export function runningSystem(onError: (error: unknown) => void, preparing?: PreparingProgram): RunningSystem {
  const inherited = readInherited();
  const basePlan = basePlanOf(inherited);
  const readiness = openReadiness(onError);
  const processes = systemProcesses({ readiness, onError, preparing });
  return {
    ports: { clock: nodeClock(), files: nodeFiles({ tryLock }), processes, readiness },
    basePlan,
    inherited,
    close() {
      processes.close();
      readiness.close();
    },
  };
}

function basePlanOf({ environment, descriptors, ignoredSignals, ...inherited }: Inherited): SpawnPlan {
  const childBit = signalBit(constants.signals.SIGCHLD); // as C's supervise: always its default, never blocked
  return {
    file: Buffer.from('./run'),
    argv: [Buffer.from('./run')],
    environment,
    descriptors: descriptors.map((fd) => [fd, fd] as const),
    ignoredSignals: ignoredSignals & ~childBit,
    blockedSignals: inherited.blockedSignals & ~childBit,
    descriptorLimit: { soft: inherited.descriptorLimit.soft, hard: makeRoomForDescriptors() },
  };
}

/** A kernel takes four descriptors a service. Raises the limits where that is allowed and returns the hard one before. */
function makeRoomForDescriptors(): bigint {
  const { hard } = readLimit('nofile');
  const most = BigInt(readFileSync('/proc/sys/fs/nr_open', 'latin1').trim());
  try {
    if (most > hard) writeLimit('nofile', { soft: most, hard: most });
  } catch {
    writeLimit('nofile', { soft: hard, hard }); // not root: what there is must do
  }
  return hard;
}
