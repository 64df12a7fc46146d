/**
 * The log hosts of one plugin: one for each account that writes logs. What a plugin's tap of `openLogSink` answers with
 * comes from here; the sink behind it lives in the host's process.
 */
import { rmSync } from 'node:fs';
import type { LogSink, PluginKernel, ProcessAccount, ServiceDirectory } from '@daemontap/kernel';
import { OWN, takeLogHosts } from './all-hosts.ts';
import type { LogHosts } from './all-hosts.ts';
import { startOfHost } from './start.ts';

/** What log hosts are made of. */
export interface LogHostsOptions {
  /** The plugin's name. */
  readonly plugin: string;
  /** The module that calls `runLogHost`: a path for Node. */
  readonly program: string;
  /** What else makes a host that an earlier kernel has left another one, which is replaced; default: its program alone. */
  readonly generation?: string;
  /** What becomes of a service's output. @throws what `openLogSink` is to be refused with */
  streamOf(service: ServiceDirectory): StreamOptions;
}

/** What becomes of one service's output. */
export interface StreamOptions {
  /** Who writes it; `undefined`: who the kernel is. */
  readonly account: ProcessAccount | undefined;
  /** What the program's `open` is given: anything that JSON can hold. */
  readonly options: unknown;
}

/**
 * Makes a plugin's sinks live in log hosts; to be called in its `apply`. A host is started for the first stream, and
 * serves all streams of its account. Where there can be no pipe, `openLogSink` is refused with `PIPE_FAILED`.
 * @example
 * apply(kernel, options) {
 *   openLogHosts(kernel, { plugin: 'log-example', program: hostFile, streamOf: () => ({ account: undefined, options }) });
 * }
 */
export function openLogHosts(kernel: PluginKernel, options: LogHostsOptions): void {
  const { hooks, log } = kernel;
  const { plugin, program } = options;
  let taken: LogHosts | undefined;
  const hosts = (): LogHosts => (taken ??= takeLogHosts(kernel, options));
  const hostNameOf = ({ role, plugin: owner, label }: ServiceDirectory): string | undefined =>
    role === 'helper' && owner === plugin ? label.slice(plugin.length + 1) : undefined;

  hooks.openLogSink.tap(plugin, (service): LogSink => {
    const all = hosts();
    const stream = all.open(service);
    return {
      openOutput: () => stream.openOutput(),
      end: () => all.end(stream),
      close: () => all.release(stream),
    };
  });
  // What an earlier kernel has left, or this plugin with other options: it is not to wait for the service's next start.
  hooks.openControl.tap(plugin, (service) => {
    if (service.role !== 'service' || !hosts().hasPipeOf(service)) return;
    try {
      hosts().open(service);
    } catch (cause) {
      // It is no reason not to supervise the service: its next start will be refused.
      hosts().keepStrays();
      log.warning(`unable to go on with the log of ${service.label}`, { service, cause });
    }
  });
  hooks.serviceReleased.tap(plugin, (service) => {
    const name = hostNameOf(service);
    if (name !== undefined && !hosts().isNeeded(name)) rmSync(hosts().pathOf(name), { recursive: true, force: true });
    if (service.role === 'service') hosts().released(service);
  });
  hooks.prepareSpawn.tap(plugin, (plan, service) => {
    const name = hostNameOf(service);
    if (name === undefined) return plan;
    const words = [hosts().generation, ...(name === OWN ? [] : name.split('-'))];
    return { ...plan, ...startOfHost({ program, plan, words }) };
  });
  hooks.statusChanged.tap(plugin, (service, { pid, want }) => {
    const name = hostNameOf(service);
    if (name !== undefined) hosts().runs(name, pid === undefined ? undefined : service.path, want !== 'down');
  });
}
