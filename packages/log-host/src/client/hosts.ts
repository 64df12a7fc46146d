/**
 * The log hosts of one plugin: one for each account that writes logs. What a plugin's tap of `openLogSink` answers with
 * comes from here; the sink behind it lives in the host's process.
 */
import { existsSync, rmSync, statSync } from 'node:fs';
import { KernelError } from '@daemontap/kernel';
import type { LogSink, PluginKernel, ProcessAccount, ServiceDirectory } from '@daemontap/kernel';
import { LogHost } from './host.ts';
import { startOfHost } from './start.ts';
import { dismissStrays } from './strays.ts';
import { LogStream } from './stream.ts';

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
export function openLogHosts(
  kernel: PluginKernel,
  { plugin, program, generation: own = '', streamOf }: LogHostsOptions,
): void {
  const { hooks, stateDir } = kernel;
  const hosts = new Map<string, LogHost>();
  /** Where the directory of each host is that runs, as the kernel tells it. */
  const running = new Map<string, string>();
  const streams = new Map<string, { readonly stream: LogStream; host: LogHost }>();

  const generation = (): string => generationOf(program, own);
  const pipePathOf = ({ identity }: ServiceDirectory): string => `${stateDir()}/pipe-${identity}`;
  const hostOf = (account: ProcessAccount | undefined): LogHost => {
    const name = account === undefined ? OWN : [account.uid, account.gid, ...account.groups].join('-');
    const known = hosts.get(name);
    if (known !== undefined) return known;
    const path = `${stateDir()}/${PREFIX}${name}`;
    const onEnded = (stream: LogStream): void => {
      streams.delete(stream.id);
      stream.close();
    };
    const made = new LogHost({ kernel, name, path, generation: generation(), onEnded });
    if (hosts.size === 0) whenFirst();
    hosts.set(name, made);
    made.runs(running.get(name));
    return made;
  };
  const whenFirst = (): void => {
    kernel.opened({
      close() {
        for (const host of hosts.values()) host.disconnect();
      },
    });
    // By then all services are known, and who is left over is an earlier kernel's, which had other accounts.
    kernel.clock.wakeAt(kernel.clock.monotonicNs() + STRAYS_AFTER_NS, () => {
      dismissStrays(stateDir(), (name) => name.startsWith(PREFIX) && !hosts.has(name.slice(PREFIX.length)));
    });
  };
  const open = (service: ServiceDirectory): LogStream => {
    const { account, options } = streamOf(service);
    const id = service.identity;
    const host = hostOf(account);
    const known = streams.get(id);
    if (known === undefined) {
      const stream = openStream({ id, service, options, pipePath: pipePathOf(service) });
      streams.set(id, { stream, host });
      host.add(stream);
      return stream;
    }
    const isOther = known.stream.goOn({ service, options });
    if (known.host !== host) {
      known.host.giveUp(known.stream, () => host.add(known.stream));
      known.host = host;
    } else if (isOther) host.add(known.stream);
    return known.stream;
  };
  const end = (stream: LogStream): void => {
    stream.end();
    streams.get(stream.id)?.host.ending(stream);
  };
  const release = (stream: LogStream): void => {
    stream.release();
    end(stream);
  };

  const hostNameOf = ({ role, plugin: owner, label }: ServiceDirectory): string | undefined =>
    role === 'helper' && owner === plugin ? label.slice(plugin.length + 1) : undefined;

  hooks.openLogSink.tap(plugin, (service): LogSink => {
    const stream = open(service);
    return {
      openOutput: () => stream.openOutput(),
      end: () => end(stream),
      close: () => release(stream),
    };
  });
  // What an earlier kernel has left, or this plugin with other options: it is not to wait for the service's next start.
  hooks.openControl.tap(plugin, (service) => {
    if (service.role === 'service' && existsSync(pipePathOf(service))) open(service);
  });
  hooks.serviceReleased.tap(plugin, (service) => {
    const name = hostNameOf(service);
    if (name !== undefined && hosts.get(name)?.isNeeded !== true) {
      rmSync(`${stateDir()}/${PREFIX}${name}`, { recursive: true, force: true });
    }
    const stream = service.role === 'service' ? streams.get(service.identity)?.stream : undefined;
    if (stream?.service === service) release(stream);
  });
  hooks.prepareSpawn.tap(plugin, (plan, service) => {
    const name = hostNameOf(service);
    return name === undefined
      ? plan
      : { ...plan, ...startOfHost({ program, plan, words: [generation(), ...(name === OWN ? [] : name.split('-'))] }) };
  });
  hooks.statusChanged.tap(plugin, (service, { pid }) => {
    const name = hostNameOf(service);
    if (name === undefined) return;
    if (pid === undefined) running.delete(name);
    else running.set(name, service.path);
    hosts.get(name)?.runs(running.get(name));
  });
}

const PREFIX = 'host-';
const STRAYS_AFTER_NS = 10_000_000_000n;
/** The name of the host that is who the kernel is. */
const OWN = 'own';

/** Another one after an upgrade: the program is then another file. */
function generationOf(program: string, own: string): string {
  const { dev, ino, mtimeMs, size } = statSync(program);
  return [dev, ino, mtimeMs, size, own].join('-');
}

/** @throws `PIPE_FAILED` */
function openStream(setUp: ConstructorParameters<typeof LogStream>[0]): LogStream {
  try {
    return new LogStream(setUp);
  } catch (cause) {
    throw new KernelError('PIPE_FAILED', `unable to create pipe for ${setUp.service.label}`, { cause });
  }
}
