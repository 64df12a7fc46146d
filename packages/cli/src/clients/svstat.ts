/** svstat: one line about the service in each directory, troubles included, all of it on standard output. */
import { closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { errorText, parseStatus, STATUS_SIZE, taiSeconds } from '@daemontap/formats';
import type { ParsedStatus } from '@daemontap/formats';
import { hasCode } from '@daemontap/posix';
import { endAsByPipeSignal, program, writeAll } from '../program.ts';
import { checkCurrentDirectory, enter } from './service-directory.ts';
import type { ServiceDirectory } from './service-directory.ts';

const { fatal } = program('svstat');

/** Exit code 0 whatever the services do. */
export function svstat(directories: readonly Buffer[]): number {
  try {
    checkCurrentDirectory();
  } catch (error) {
    return fatal('unable to open current directory: ', errorText(error));
  }
  const lines = directories.flatMap((directory) => [directory, `: ${describe(directory)}\n`]);
  try {
    writeAll(1, ...lines);
  } catch (error) {
    if (hasCode(error, 'EPIPE')) endAsByPipeSignal();
    // Anything else (a full disk) leaves the exit code as it is, as in daemontools.
  }
  return 0;
}

function describe(directory: Buffer): string {
  let service: ServiceDirectory;
  try {
    service = enter(directory);
  } catch (error) {
    return `unable to chdir: ${errorText(error)}`;
  }
  try {
    return describeService(service);
  } finally {
    service.close();
  }
}

function describeService(service: ServiceDirectory): string {
  let normallyUp = false;
  try {
    statSync(service.inside('down'));
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) return `unable to stat down: ${errorText(error)}`;
    normallyUp = true;
  }
  try {
    closeSync(openSync(service.inside('supervise/ok'), constants.O_WRONLY | constants.O_NONBLOCK));
  } catch (error) {
    return hasCode(error, 'ENXIO') ? 'supervise not running' : `unable to open supervise/ok: ${errorText(error)}`;
  }
  let fd: number;
  try {
    fd = openSync(service.inside('supervise/status'), constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    return `unable to open supervise/status: ${errorText(error)}`;
  }
  try {
    const bytes = Buffer.alloc(STATUS_SIZE);
    const status = parseStatus(bytes.subarray(0, readSync(fd, bytes)));
    if (status === undefined) return 'unable to read supervise/status: bad format';
    return describeStatus(status, normallyUp);
  } catch (error) {
    return `unable to read supervise/status: ${errorText(error)}`;
  } finally {
    closeSync(fd);
  }
}

function describeStatus({ pid, paused, want, sinceTaiSeconds }: ParsedStatus, normallyUp: boolean): string {
  const nowTaiSeconds = taiSeconds(BigInt(Date.now()) * 1_000_000n);
  // Through a double, as daemontools counts: it shows in the 19 digits of a record without a time.
  const seconds = sinceTaiSeconds > nowTaiSeconds ? 0n : BigInt(Number(nowTaiSeconds - sinceTaiSeconds));
  if (pid === undefined) {
    return `down ${seconds} seconds${normallyUp ? ', normally up' : ''}${want === 'up' ? ', want up' : ''}`;
  }
  const notes = `${normallyUp ? '' : ', normally down'}${paused ? ', paused' : ''}${want === 'down' ? ', want down' : ''}`;
  return `up (pid ${pid}) ${seconds} seconds${notes}`;
}
