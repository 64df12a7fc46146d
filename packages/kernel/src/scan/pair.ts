/**
 * One service of a scan directory with its log service, if it has one, and the sink between them. Both are supervised
 * and end on their own; the sink lives as long as the pair, so neither side's restart loses a line.
 */
import type { Core } from '../core.ts';
import { explain, KernelError } from '../errors.ts';
import type { KernelHooks, ServiceDirectory } from '../hooks.ts';
import type { HeldDirectory } from '../ports.ts';
import { Service } from '../supervise/service.ts';
import { ServiceSink } from '../supervise/sink.ts';
import { labelOf } from './label.ts';
import { OrderlyStop } from './stop.ts';
import type { StoppingPair } from './stop.ts';

const SECOND_NS = 1_000_000_000n;

/** One of the two, while it is supervised. */
interface Side {
  readonly service: Service;
  readonly held: HeldDirectory;
}

/** What a pair is made of. */
export interface ServicePairOptions {
  readonly core: Core;
  /** The service's directory; the pair closes it. */
  readonly held: HeldDirectory;
  readonly name: Buffer;
  /** The lock of one of the two is held. True: it is visited again soon, and nothing is to be said yet. */
  waitsForLock(): boolean;
  /** Supervision of one of the two has ended. */
  onEnd(): void;
}

/** What a scan has seen of a pair's directory. */
export interface Visit {
  readonly name: Buffer;
  /** Wall clock. */
  readonly changedAtNs: bigint;
  /** When the scan began; monotonic clock. */
  readonly lookedAtNs: bigint;
}

/** A service and its log service. */
export class ServicePair {
  readonly held: HeldDirectory;
  readonly #core: Core;
  readonly #waitsForLock: () => boolean;
  readonly #onEnd: () => void;
  #name: Buffer;
  #label: string;
  #hasLog = false;
  #hasTriedLog = false;
  #logLookedAtNs: bigint | undefined;
  #complainedOfLog = false;
  #main: Side | undefined;
  #log: Side | undefined;
  readonly #sink: ServiceSink;
  #endedAtNs: bigint;
  #stop: OrderlyStop | undefined;

  constructor({ core, held, name, waitsForLock, onEnd }: ServicePairOptions) {
    this.#core = core;
    this.held = held;
    this.#name = name;
    this.#label = labelOf(name);
    this.#waitsForLock = waitsForLock;
    this.#onEnd = onEnd;
    this.#sink = new ServiceSink(core);
    this.#endedAtNs = core.ports.clock.monotonicNs();
  }

  get name(): Buffer {
    return this.#name;
  }

  get label(): string {
    return this.#label;
  }

  /** True while one of the two is supervised. */
  get isLive(): boolean {
    return this.#main !== undefined || this.#log !== undefined;
  }

  /** True once it was told to stop. */
  get isStopping(): boolean {
    return this.#stop !== undefined;
  }

  /** The main service's process. */
  get pid(): number | undefined {
    const state = this.#main?.service.state;
    return state?.phase === 'up' ? state.pid : undefined;
  }

  /** Called by each scan that finds the directory: begins what of it is not supervised. */
  visit({ name, changedAtNs, lookedAtNs }: Visit): void {
    if (!name.equals(this.#name)) this.#label = labelOf(name);
    this.#name = name;
    // Found by a look that is older than the end of one of the two: it may have been renamed and retired since.
    if (this.#stop !== undefined || lookedAtNs < this.#endedAtNs) return;
    this.#lookForLog(changedAtNs);
    this.#hasTriedLog = false;
    this.#main ??= this.#begin('service', this.held); // begins its log, too, before its first start
    if (!this.#hasLog) return;
    if (this.#log === undefined) {
      if (!this.#hasTriedLog) this.#beginLog();
    } else if (this.#core.ports.files.isRemoved(this.#log.held)) this.#log.service.leave(); // begun anew once it has left
  }

  /** Lets plugins that have come later know both. The output goes where the plugins say now from the next start on. */
  meet(hooks: KernelHooks): void {
    this.#sink.renew();
    this.#main?.service.meet(hooks);
    this.#log?.service.meet(hooks);
  }

  /**
   * Ends both, the service first, its log service at the end of its input.
   * @param kills whether deadlines apply
   */
  stop({ kills }: { readonly kills: boolean }): void {
    if (this.#stop !== undefined) {
      if (kills) this.#stop.insist(this.#services);
      return;
    }
    this.#stop = new OrderlyStop({ core: this.#core, sink: this.#sink, kills });
    this.#stop.proceed(this.#services);
  }

  /** Lets go of the directory and the sink. Both services must have ended. */
  close(): void {
    this.#stop?.close();
    this.#sink.close();
    this.held.close();
  }

  get #services(): StoppingPair {
    return { main: this.#main?.service, log: this.#log?.service };
  }

  /** daemontools' rule, that a service with a log/ is logged, applied at every change and not at first sight alone. */
  #lookForLog(changedAtNs: bigint | undefined): void {
    if (this.#hasLog || (changedAtNs !== undefined && changedAtNs === this.#logLookedAtNs)) return;
    const { files, clock } = this.#core.ports;
    let kind: ReturnType<typeof files.kindOf>;
    try {
      kind = files.kindOf(this.held, 'log');
    } catch (cause) {
      throw new KernelError('STAT_FAILED', `unable to stat ${this.label}/log`, { cause });
    }
    // Two changes within one tick of the file system's clock look like one: soon after a change, look again.
    const isOld = changedAtNs !== undefined && clock.wallNs() - changedAtNs > SECOND_NS;
    this.#logLookedAtNs = isOld ? changedAtNs : undefined;
    if (kind === 'other' && !this.#complainedOfLog) {
      this.#complainedOfLog = true;
      this.#core.log.warning(`${this.label}/log is not a directory: ${this.label} is not logged`);
    }
    if (kind !== 'directory') return;
    this.#hasLog = true;
    this.#sink.renew();
    if (this.#main === undefined || this.#main.service.state.phase === 'settling') return;
    this.#core.log.warning(`${this.label}/log was added: output of ${this.label} goes there from its next start`);
  }

  /**
   * The log is started first, so that there is never a service that writes while nobody but the kernel has its pipe open.
   * One that came while the service's directory was being filled gets its output from the first line.
   */
  #completeLog(role: 'service' | 'log'): void {
    if (role === 'log' || this.#stop !== undefined) return;
    this.#lookForLog(undefined);
    if (this.#hasLog && this.#log === undefined) this.#beginLog();
  }

  #beginLog(): void {
    this.#hasTriedLog = true;
    const { files } = this.#core.ports;
    let held: HeldDirectory;
    try {
      held = files.holdInside(this.held, 'log');
    } catch (cause) {
      this.#core.log.fatal(`unable to chdir to ${this.label}/log`, {
        cause,
        service: this.#directory('log', this.held),
      });
      return;
    }
    this.#log = this.#begin('log', held);
    if (this.#log === undefined) held.close();
  }

  #begin(role: 'service' | 'log', held: HeldDirectory): Side | undefined {
    const directory = this.#directory(role, held);
    try {
      const service = new Service({
        core: this.#core,
        directory,
        held,
        settles: true,
        sink: () => this.#sink.of(this.#directory('service', this.held)),
        onSettled: () => this.#completeLog(role),
        onChange: (state) => {
          if (state.phase === 'gone') this.#ended(role);
          else this.#stop?.proceed(this.#services);
        },
      });
      // A command may have come while it began.
      return service.state.phase === 'gone' ? undefined : { service, held };
    } catch (error) {
      if (error instanceof KernelError && error.code === 'LOCK_HELD' && this.#waitsForLock()) return undefined;
      const { message, cause } = explain(error, `unable to supervise ${directory.label}`);
      this.#core.log.fatal(message, { cause, service: directory });
      return undefined;
    }
  }

  #directory(role: 'service' | 'log', held: HeldDirectory): ServiceDirectory {
    const pair = this;
    return {
      get label() {
        return role === 'log' ? `${pair.label}/log` : pair.label;
      },
      role,
      get hasLog() {
        return role === 'service' && pair.#hasLog;
      },
      identity: this.held.identity,
      path: held.path,
    };
  }

  #ended(role: 'service' | 'log'): void {
    this.#endedAtNs = this.#core.ports.clock.monotonicNs();
    if (role === 'service') this.#main = undefined;
    else {
      this.#log?.held.close();
      this.#log = undefined;
    }
    this.#stop?.proceed(this.#services);
    this.#onEnd();
  }
}
