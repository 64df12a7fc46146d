/** Runs the processor of a log directory to its end; everything else waits for it, as in daemontools. */
import { processorRequest } from '@daemontap/multilog';
import type { ProcessorPlan } from '@daemontap/multilog';
import { spawn, waitForEnd } from '@daemontap/posix';
import type { Inherited, ProcessEnd } from '@daemontap/posix';

/**
 * Runs it with what multilog's caller handed over.
 * @throws what kept it from running, `EAGAIN` for one process too many
 */
export function runProcessor(plan: ProcessorPlan, inherited: Inherited): ProcessEnd {
  return waitForEnd(spawn(processorRequest(plan, inherited)));
}
