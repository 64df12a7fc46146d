/** Runs the processor of a log directory to its end; everything else waits for it, as in daemontools. */
import { constants } from 'node:os';
import { openProcessorFiles } from '@daemontap/log-multilog';
import type { ProcessorFiles, ProcessorPlan } from '@daemontap/log-multilog';
import { signalBit, spawn, waitForEnd } from '@daemontap/posix';
import type { Inherited, ProcessEnd } from '@daemontap/posix';

const { SIGALRM, SIGTERM } = constants.signals;
const SHELL = Buffer.from('/bin/sh');

/**
 * Runs it with what multilog's caller handed over, TERM and ALRM excepted.
 * @throws what kept it from running, `EAGAIN` for one process too many
 */
export function runProcessor(plan: ProcessorPlan, inherited: Inherited): ProcessEnd {
  const files = openProcessorFiles(plan);
  let pid: number;
  try {
    pid = start(plan, { inherited, files });
  } finally {
    files.close();
  }
  return waitForEnd(pid);
}

function start(
  { command, directoryFd }: ProcessorPlan,
  { inherited, files }: { readonly inherited: Inherited; readonly files: ProcessorFiles },
): number {
  const own = new Set(files.descriptors.map(([target]) => target));
  const others = inherited.descriptors.filter((fd) => !own.has(fd)).map((fd) => [fd, fd] as const);
  const received = ~(signalBit(SIGTERM) | signalBit(SIGALRM));
  return spawn({
    file: SHELL,
    argv: [Buffer.from('sh'), Buffer.from('-c'), command],
    environment: inherited.environment,
    directoryFd,
    descriptors: [...others, ...files.descriptors],
    ignoredSignals: inherited.ignoredSignals & received,
    blockedSignals: inherited.blockedSignals & received,
    descriptorLimit: inherited.descriptorLimit,
  });
}
