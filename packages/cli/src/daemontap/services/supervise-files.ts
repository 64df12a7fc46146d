/**
 * A service as the files in its directory tell it, and commands through its control FIFO: what svstat and svc do, for
 * any supervise that is daemontools', C's too.
 */
import { closeSync, constants, openSync, readSync, statSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText, parseStatus, STATUS_SIZE } from '@daemontap/formats';
import type { Command } from '@daemontap/formats';
import { hasCode, identityOf } from '@daemontap/posix';
import { enter } from '../../clients/service-directory.ts';
import type { ServiceDirectory } from '../../clients/service-directory.ts';
import type { NamedService } from './service-words.ts';
import { stateOf } from './service-view.ts';
import type { ServiceView } from './service-view.ts';

const RETRY_MS = 10;

/** Why a command did not go into a control FIFO. */
export class FifoError extends Error {
  static {
    this.prototype.name = 'FifoError';
  }
}

/** Looks at a service. What cannot be told is part of the view. */
export function viewByFiles(service: NamedService): ServiceView {
  const known = { service, identity: identity(service), by: 'files' } as const;
  let entered: ServiceDirectory;
  try {
    entered = enter(service.directory);
  } catch (error) {
    return { ...known, state: 'unknown', reason: `unable to chdir: ${errorText(error)}` };
  }
  try {
    return { ...known, normally: normallyOf(entered), ...statusOf(entered) };
  } finally {
    entered.close();
  }
}

/** What a service is known by, whatever it is called; `undefined`: its directory may not be looked at. */
export function identity({ mainDirectory }: NamedService): string | undefined {
  try {
    return identityOf(statSync(mainDirectory, { bigint: true }));
  } catch {
    return undefined;
  }
}

/** Whether a service is started by itself; `undefined`: its directory may not be looked into. */
export function normally(directory: Buffer): ServiceView['normally'] {
  try {
    const entered = enter(directory);
    try {
      return normallyOf(entered);
    } finally {
      entered.close();
    }
  } catch {
    return undefined;
  }
}

/**
 * Writes commands to the control FIFO, in one piece, so that those of two clients do not mix.
 * @throws FifoError: nobody reads it, it may not be written, or it was full until the deadline
 */
export async function sendByFifo(
  directory: Buffer,
  { commands, deadlineMs }: { readonly commands: readonly Command[]; readonly deadlineMs: number },
): Promise<void> {
  let entered: ServiceDirectory | undefined;
  let fd: number | undefined;
  try {
    entered = enter(directory);
    fd = openSync(entered.inside('supervise/control'), constants.O_WRONLY | constants.O_NONBLOCK);
    while (!tryWrite(fd, commands.join(''))) {
      if (performance.now() >= deadlineMs) throw new FifoError('nobody reads supervise/control, and it is full');
      await sleep(RETRY_MS);
    }
  } catch (error) {
    if (error instanceof FifoError) throw error;
    const isNobody = ['ENXIO', 'ENOENT'].some((code) => hasCode(error, code));
    throw new FifoError(isNobody ? 'supervise not running' : errorText(error), { cause: error });
  } finally {
    if (fd !== undefined) closeSync(fd);
    entered?.close();
  }
}

/** False when there is no room in the FIFO. */
function tryWrite(fd: number, text: string): boolean {
  try {
    writeSync(fd, text);
    return true;
  } catch (error) {
    if (hasCode(error, 'EAGAIN')) return false;
    throw error;
  }
}

function normallyOf(entered: ServiceDirectory): ServiceView['normally'] {
  try {
    return statSync(entered.inside('down'), { throwIfNoEntry: false }) === undefined ? 'up' : 'down';
  } catch {
    return undefined;
  }
}

function statusOf(
  entered: ServiceDirectory,
): Pick<ServiceView, 'state' | 'pid' | 'paused' | 'want' | 'sinceNs' | 'reason'> {
  try {
    closeSync(openSync(entered.inside('supervise/ok'), constants.O_WRONLY | constants.O_NONBLOCK));
  } catch (error) {
    // Without a reader nobody supervises, without the FIFO nobody ever did.
    if (hasCode(error, 'ENXIO') || hasCode(error, 'ENOENT')) return { state: 'unsupervised' };
    return { state: 'unknown', reason: `unable to open supervise/ok: ${errorText(error)}` };
  }
  let fd: number | undefined;
  try {
    fd = openSync(entered.inside('supervise/status'), constants.O_RDONLY | constants.O_NONBLOCK);
    const bytes = Buffer.alloc(STATUS_SIZE);
    const status = parseStatus(bytes.subarray(0, readSync(fd, bytes)));
    if (status === undefined) return { state: 'unknown', reason: 'unable to read supervise/status: bad format' };
    const { pid, paused, want, sinceNs } = status;
    return { state: stateOf(status), pid, paused, want, sinceNs };
  } catch (error) {
    return { state: 'unknown', reason: `unable to read supervise/status: ${errorText(error)}` };
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
