/** The daemontools preset: what a supervisor does that behaves as daemontools 0.76, as a list of plugins. */
import { controlFifo } from '@daemontap/control-fifo';
import type { Plugin } from '@daemontap/kernel';
import { logPipe } from '@daemontap/log-pipe';
import { logStderr } from '@daemontap/log-stderr';
import { runRecord } from '@daemontap/run-record';
import { scanWatch } from '@daemontap/scan-watch';
import { statusFile } from '@daemontap/status-file';

/** What may be put in the place of a part. */
export interface DaemontoolsOptions {
  /** Shows the kernel's messages; default: daemontools' own lines on standard error. */
  readonly log?: Plugin;
}

/**
 * The plugins that make a kernel daemontools.
 * @example
 * const plugins = [...daemontools(), myPlugin()];
 */
export function daemontools({ log = logStderr() }: DaemontoolsOptions = {}): readonly Plugin[] {
  return [log, statusFile(), controlFifo(), logPipe(), runRecord(), scanWatch()];
}
