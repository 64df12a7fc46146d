/** svok: tells by its exit code whether a supervise runs in a directory. */
import { closeSync, constants, openSync } from 'node:fs';
import { errorText } from '@daemontap/formats';
import { hasCode } from '@daemontap/posix';
import { program } from '../program.ts';
import { enter } from './service-directory.ts';
import type { ServiceDirectory } from './service-directory.ts';

const { fatal, usage } = program('svok');

/** Exit code 0 when supervise runs in the directory, 100 when not, 111 when that cannot be told. */
export function svok([directory]: readonly Buffer[]): number {
  if (directory === undefined) return usage('svok: usage: svok dir');
  let service: ServiceDirectory;
  try {
    service = enter(directory);
  } catch (error) {
    return fatal('unable to chdir to ', directory, ': ', errorText(error));
  }
  try {
    closeSync(openSync(service.inside('supervise/ok'), constants.O_WRONLY | constants.O_NONBLOCK));
    return 0;
  } catch (error) {
    // A FIFO without a reader: nobody supervises. Without a FIFO nobody ever did.
    if (hasCode(error, 'ENXIO') || hasCode(error, 'ENOENT')) return 100;
    return fatal('unable to open ', directory, '/supervise/ok: ', errorText(error));
  }
}
