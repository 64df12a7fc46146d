/**
 * All log hosts and streams of one plugin in one kernel. They outlive the plugin: the one of its name that comes with
 * other options goes on with them, and where none comes they end with the services' next starts.
 */
import { existsSync, statSync } from 'node:fs';
import { KernelError } from '@daemontap/kernel';
import type { PluginKernel, ProcessAccount, ServiceDirectory } from '@daemontap/kernel';
import { LogHost } from './host.ts';
import type { LogHostsOptions } from './hosts.ts';
import { dismissStrays } from './strays.ts';
import { LogStream } from './stream.ts';

/** The name of the host that is who the kernel is. */
export const OWN = 'own';

const PREFIX = 'host-';
const STRAYS_AFTER_NS = 2_000_000_000n;
/** A plugin that takes the place of another one has met all services by then. */
const LEFT_AFTER_NS = 20_000_000n;

/** By the plugins' state directories. */
const known = new Map<string, LogHosts>();

/** Those that a plugin has, or had before its options were changed. To be called from within a hook. */
export function takeLogHosts(kernel: PluginKernel, options: LogHostsOptions): LogHosts {
  const dir = kernel.stateDir();
  const before = known.get(dir);
  if (before !== undefined) {
    before.take(kernel, options);
    return before;
  }
  const hosts = new LogHosts({ dir, kernel, options });
  known.set(dir, hosts);
  return hosts;
}

/** What they are made of. */
interface LogHostsSetUp {
  readonly dir: string;
  readonly kernel: PluginKernel;
  readonly options: LogHostsOptions;
}

/** A stream, and who writes it. */
interface Entry {
  readonly stream: LogStream;
  host: LogHost;
}

/** All log hosts and streams. */
export class LogHosts {
  #setUp: LogHostsSetUp;
  readonly #hosts = new Map<string, LogHost>();
  /** Where the directory of each host is that runs, as the kernel tells it. */
  readonly #running = new Map<string, string>();
  readonly #streams = new Map<string, Entry>();
  /** The plugin was closed, and none has taken its place. */
  #isLeft = false;
  #keepsStrays = false;

  constructor(setUp: LogHostsSetUp) {
    this.#setUp = setUp;
    this.#own();
    // By then all services are known, and who is left over is an earlier kernel's, which had other accounts.
    const { clock } = setUp.kernel;
    clock.wakeAt(clock.monotonicNs() + STRAYS_AFTER_NS, () => {
      if (this.#keepsStrays) return;
      dismissStrays(setUp.dir, (name) => name.startsWith(PREFIX) && !this.#hosts.has(name.slice(PREFIX.length)));
    });
  }

  /** Goes on for a plugin that takes the place of the one before. */
  take(kernel: PluginKernel, options: LogHostsOptions): void {
    this.#setUp = { ...this.#setUp, kernel, options };
    this.#isLeft = false;
    this.#own();
    for (const host of this.#hosts.values()) host.reconnect();
  }

  /** What a host is told at its start, for a later kernel: another one after an upgrade, as the program is another file. */
  get generation(): string {
    const { program, generation = '' } = this.#setUp.options;
    const { dev, ino, mtimeMs, size } = statSync(program);
    return [dev, ino, mtimeMs, size, generation].join('-');
  }

  /** The directory of the host called so. */
  pathOf(name: string): string {
    return `${this.#setUp.dir}/${PREFIX}${name}`;
  }

  isNeeded(name: string): boolean {
    return this.#hosts.get(name)?.isNeeded === true;
  }

  /** True where somebody may write to a pipe, or has written. */
  hasPipeOf(service: ServiceDirectory): boolean {
    return existsSync(this.#pipePathOf(service));
  }

  /** Is told where the process of a host runs, and whether it is to run. */
  runs(name: string, runsIn: string | undefined, isWanted: boolean): void {
    if (runsIn === undefined) this.#running.delete(name);
    else this.#running.set(name, runsIn);
    this.#hosts.get(name)?.runs(runsIn, isWanted);
  }

  /** A pipe is left that cannot be read now: whoever reads it from before is to go on. */
  keepStrays(): void {
    this.#keepsStrays = true;
  }

  /** The stream of a service, as its options are now. @throws `PIPE_FAILED`, and what `streamOf` throws */
  open(service: ServiceDirectory): LogStream {
    const { account, options } = this.#setUp.options.streamOf(service);
    const id = service.identity;
    const host = this.#hostOf(account);
    const entry = this.#streams.get(id);
    if (entry === undefined) {
      const stream = openStream({ id, service, options, pipePath: this.#pipePathOf(service) });
      this.#streams.set(id, { stream, host });
      host.add(stream);
      return stream;
    }
    const { stream } = entry;
    const isOther = stream.goOn({ service, options });
    if (entry.host !== host) {
      const before = entry.host;
      entry.host = host;
      before.giveUp(stream, () => {
        if (this.#streams.get(id) === entry && entry.host === host) host.add(stream);
      });
    } else if (isOther) host.add(stream);
    return stream;
  }

  /** No output of a stream will follow. */
  end(stream: LogStream): void {
    stream.end();
    this.#streams.get(stream.id)?.host.ending(stream);
  }

  /** Nobody waits for anything but the end of a stream's output. */
  release(stream: LogStream): void {
    stream.release();
    this.end(stream);
  }

  /** A service is no longer supervised: what was opened for it alone is released. */
  released(service: ServiceDirectory): void {
    const stream = this.#streams.get(service.identity)?.stream;
    if (stream?.service === service) this.release(stream);
  }

  #pipePathOf({ identity }: ServiceDirectory): string {
    return `${this.#setUp.dir}/pipe-${identity}`;
  }

  #hostOf(account: ProcessAccount | undefined): LogHost {
    const name = account === undefined ? OWN : [account.uid, account.gid, ...account.groups].join('-');
    const present = this.#hosts.get(name);
    if (present !== undefined) return present;
    const host = new LogHost({
      name,
      path: this.pathOf(name),
      kernel: () => this.#setUp.kernel,
      generation: () => this.generation,
      onEnded: (stream) => {
        this.#streams.delete(stream.id);
        stream.close();
      },
    });
    this.#hosts.set(name, host);
    host.runs(this.#running.get(name), true);
    return host;
  }

  #own(): void {
    const { kernel } = this.#setUp;
    kernel.opened({
      close: () => {
        if (this.#setUp.kernel === kernel) this.#letGo();
      },
    });
  }

  #letGo(): void {
    const { clock } = this.#setUp.kernel;
    this.#isLeft = true;
    for (const host of this.#hosts.values()) host.letGo();
    if (this.#streams.size === 0) known.delete(this.#setUp.dir);
    else clock.wakeAt(clock.monotonicNs() + LEFT_AFTER_NS, () => this.#goOnAlone());
  }

  /** Services write to their pipes until their next start. */
  #goOnAlone(): void {
    if (!this.#isLeft) return;
    for (const { stream } of this.#streams.values()) stream.leave();
    for (const host of this.#hosts.values()) host.reconnect();
  }
}

/** @throws `PIPE_FAILED` */
function openStream(setUp: ConstructorParameters<typeof LogStream>[0]): LogStream {
  try {
    return new LogStream(setUp);
  } catch (cause) {
    throw new KernelError('PIPE_FAILED', `unable to create pipe for ${setUp.service.label}`, { cause });
  }
}
