/** daemontools' control transport: `supervise/control`, one command a byte, and `supervise/ok`, which only exists. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import { parseCommand } from '@daemontap/formats';
import { definePlugin, KernelError, systemCode } from '@daemontap/kernel';
import type { Closeable, ControlPort, PluginFactory, ServiceDirectory } from '@daemontap/kernel';
import { ensureFifo } from '@daemontap/posix';

const { O_RDONLY, O_RDWR, O_NONBLOCK, O_NOFOLLOW } = constants;

const NOT_A_FIFO = new Error('it is not a FIFO');

/** Commands read at once; more wait for their turn. */
const READ_BYTES = 64;

/** Listens on the control FIFO of every service, so that `svc`, `svok` and `svstat` find it. */
export const controlFifo: PluginFactory = definePlugin({
  name: 'control-fifo',
  apiVersion: 1,
  meetsHelpers: true,
  apply({ hooks, readiness }) {
    const buffer = Buffer.alloc(READ_BYTES);
    const unannounced = new WeakMap<ServiceDirectory, ControlPort>();
    hooks.openControl.tap('control-fifo', (service, control) => {
      const fd = openFifo(service, 'control', O_RDWR); // its own writer: it never meets end of file
      const watch = readiness.watchReadable(fd, () => carryOut(read(fd, buffer), control));
      control.opened(closing(fd, watch));
      refuseOther(service, 'ok'); // it is opened when nobody can be refused any more
      unannounced.set(service, control);
    });
    // After all others: once `ok` can be opened, the first status and all the rest is there.
    hooks.statusChanged.tap({ name: 'control-fifo', stage: Infinity }, (service) => {
      const control = unannounced.get(service);
      if (!unannounced.delete(service)) return;
      control?.opened(closing(openFifo(service, 'ok', O_RDONLY)));
    });
  },
});

/**
 * Opens a FIFO of the service, made where it is missing.
 * @throws `CONTROL_FAILED` with daemontools' words
 */
function openFifo(service: ServiceDirectory, name: string, access: number): number {
  const place = placeOf(service, name);
  ensureFifo(place, 0o600);
  let fd: number;
  try {
    fd = openSync(place, access | O_NONBLOCK | O_NOFOLLOW);
  } catch (cause) {
    throw failure(systemCode(cause) === 'EISDIR' ? 'write' : 'read', { service, name, cause });
  }
  if (fstatSync(fd).isFIFO()) return fd;
  closeSync(fd);
  throw failure('read', { service, name, cause: NOT_A_FIFO });
}

/** Refuses what could not be opened later. @throws `CONTROL_FAILED` */
function refuseOther(service: ServiceDirectory, name: string): void {
  const stats = lstatSync(placeOf(service, name), { throwIfNoEntry: false });
  if (stats !== undefined && !stats.isFIFO()) throw failure('read', { service, name, cause: NOT_A_FIFO });
}

function placeOf({ path }: ServiceDirectory, name: string): string {
  return `${path}/supervise/${name}`;
}

interface Failure {
  readonly service: ServiceDirectory;
  readonly name: string;
  readonly cause: unknown;
}

function failure(verb: string, { service, name, cause }: Failure): KernelError {
  return new KernelError('CONTROL_FAILED', `unable to ${verb} ${service.label}/supervise/${name}`, { cause });
}

function closing(fd: number, watch?: Closeable): Closeable {
  let open = true;
  return {
    close() {
      if (!open) return;
      open = false;
      watch?.close();
      closeSync(fd);
    },
  };
}

function read(fd: number, buffer: Buffer): Buffer {
  try {
    return buffer.subarray(0, readSync(fd, buffer));
  } catch (error) {
    if (systemCode(error) === 'EAGAIN') return buffer.subarray(0, 0);
    throw error;
  }
}

function carryOut(bytes: Buffer, control: ControlPort): void {
  for (const byte of bytes) {
    const command = parseCommand(byte);
    if (command !== undefined) control.command(command); // daemontools, too, ignores all others
  }
}
