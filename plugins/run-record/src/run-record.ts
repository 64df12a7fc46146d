/**
 * A record of every process that runs under supervision, in the runtime directory: what a later kernel needs to find
 * it again and to know that it is the same one. It is replaced by a rename, so a reader sees a whole record or none.
 */
import { readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { Plugin, PluginKernel, ServiceDirectory, ServiceStatus } from '@daemontap/kernel';

/** What a record holds, as JSON. */
export interface RunRecord {
  readonly version: 1;
  /** For people; the file's name is what counts. */
  readonly label: string;
  readonly pid: number | undefined;
  /** Field 22 of /proc/PID/stat, clock ticks after boot: with the boot's id and the namespace it makes a pid unique. */
  readonly startTicks: string | undefined;
  readonly bootId: string;
  readonly pidNamespace: string;
  readonly want: ServiceStatus['want'];
  readonly paused: boolean;
  /** Unix nanoseconds. */
  readonly sinceNs: string;
}

/** Keeps a record of each service. A failure is said once: services are worth more than their records. */
export function runRecord(): Plugin {
  return {
    name: 'run-record',
    apply(kernel) {
      let isComplaining = false;
      const attempt = (body: () => void): void => {
        try {
          body();
          isComplaining = false;
        } catch (cause) {
          if (!isComplaining) kernel.log.warning('unable to record what is running', { cause });
          isComplaining = true;
        }
      };
      let system: Pick<RunRecord, 'bootId' | 'pidNamespace'> | undefined;
      kernel.hooks.statusChanged.tap('run-record', (service, status) => {
        attempt(() => {
          system ??= readSystem();
          write(pathOf(kernel, service), { ...recordOf(service, status), ...system });
        });
      });
      kernel.hooks.serviceReleased.tap('run-record', (service) => {
        attempt(() => rmSync(pathOf(kernel, service), { force: true }));
      });
    },
  };
}

function pathOf(kernel: PluginKernel, { identity, role }: ServiceDirectory): string {
  return `${kernel.runtimeDir()}/run-${identity}${role === 'log' ? '-log' : ''}`;
}

function recordOf(
  { label }: ServiceDirectory,
  { pid, paused, want, sinceNs }: ServiceStatus,
): Omit<RunRecord, 'bootId' | 'pidNamespace'> {
  const startTicks = pid === undefined ? undefined : readStartTicks(pid);
  return { version: 1, label, pid, startTicks, want, paused, sinceNs: String(sinceNs) };
}

/** The command name in front may hold anything, so the fields are counted from its closing parenthesis. */
function readStartTicks(pid: number): string | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

function readSystem(): Pick<RunRecord, 'bootId' | 'pidNamespace'> {
  return {
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim(),
    pidNamespace: readlinkSync('/proc/self/ns/pid'),
  };
}

function write(path: string, record: RunRecord): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
