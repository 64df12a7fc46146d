/**
 * One service of a scan directory with its log service, if it has one, and the sink between them. Both are supervised
 * and end on their own; the sink lives as long as the pair, so neither side's restart loses a line.
 */
import type { Core } from '../core.ts';
import { KernelError } from '../errors.ts';
import type { LogSink, ServiceDirectory } from '../hooks.ts';
import { ask } from '../plugin/ask.ts';
import type { Answer } from '../plugin/ask.ts';
import type { Closeable, HeldDirectory } from '../ports.ts';
import { Service } from '../supervise/service.ts';
import { labelOf } from './label.ts';

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
  readonly #onEnd: () => void;
  #name: Buffer;
  #hasLog = false;
  #logLookedAtNs: bigint | undefined;
  #complainedOfLog = false;
  #main: Side | undefined;
  #log: Side | undefined;
  #sink: { readonly answer: Answer<LogSink | undefined> } | undefined;
  readonly #openSinks: LogSink[] = [];
  #endedAtNs: bigint;
  #stop:
    | { readonly kills: boolean; deadline: Closeable | undefined; waitingFor: 'service' | 'log' | undefined }
    | undefined;

  constructor({ core, held, name, onEnd }: ServicePairOptions) {
    this.#core = core;
    this.held = held;
    this.#name = name;
    this.#onEnd = onEnd;
    this.#endedAtNs = core.ports.clock.monotonicNs();
  }

  get name(): Buffer {
    return this.#name;
  }

  get label(): string {
    return labelOf(this.#name);
  }

  /** True while one of the two is supervised. */
  get isLive(): boolean {
    return this.#main !== undefined || this.#log !== undefined;
  }

  /** The main service's process. */
  get pid(): number | undefined {
    const state = this.#main?.service.state;
    return state?.phase === 'up' ? state.pid : undefined;
  }

  /** Called by each scan that finds the directory: begins what of it is not supervised. */
  visit({ name, changedAtNs, lookedAtNs }: Visit): void {
    this.#name = name;
    // Found by a look that is older than the end of one of the two: it may have been renamed and retired since.
    if (this.#stop !== undefined || lookedAtNs < this.#endedAtNs) return;
    this.#lookForLog(changedAtNs);
    this.#main ??= this.#begin('service', this.held);
    if (!this.#hasLog) return;
    if (this.#log === undefined) this.#beginLog();
    else if (this.#core.ports.files.isRemoved(this.#log.held)) this.#log.service.leave(); // begun anew once it has left
  }

  /**
   * Ends both, the service first, its log service at the end of its input.
   * @param kills whether deadlines apply
   */
  stop({ kills }: { readonly kills: boolean }): void {
    if (this.#stop !== undefined) return;
    this.#stop = { kills, deadline: undefined, waitingFor: undefined };
    this.#proceed();
  }

  /** Lets go of the directory and the sink. Both services must have ended. */
  close(): void {
    this.#stop?.deadline?.close();
    for (const sink of this.#openSinks) sink.close();
    this.held.close();
  }

  /** daemontools' rule, that a service with a log/ is logged, applied at every change and not at first sight alone. */
  #lookForLog(changedAtNs: bigint): void {
    if (this.#hasLog || changedAtNs === this.#logLookedAtNs) return;
    const { files, clock } = this.#core.ports;
    let kind: ReturnType<typeof files.kindOf>;
    try {
      kind = files.kindOf(this.held, 'log');
    } catch (cause) {
      throw new KernelError('STAT_FAILED', `unable to stat ${this.label}/log`, { cause });
    }
    // Two changes within one tick of the file system's clock look like one: soon after a change, look again.
    this.#logLookedAtNs = clock.wallNs() - changedAtNs > SECOND_NS ? changedAtNs : undefined;
    if (kind === 'other' && !this.#complainedOfLog) {
      this.#complainedOfLog = true;
      this.#core.log.warning(`${this.label}/log is not a directory: ${this.label} is not logged`);
    }
    if (kind !== 'directory') return;
    this.#hasLog = true;
    this.#sink = undefined;
    if (this.#main === undefined || this.#main.service.state.phase === 'settling') return;
    this.#core.log.warning(`${this.label}/log was added: output of ${this.label} goes there from its next start`);
  }

  #beginLog(): void {
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
        sink: () => this.#theSink(),
        onChange: (state) => {
          if (state.phase === 'gone') this.#ended(role);
          else if (this.#stop?.waitingFor === role) this.#proceed();
        },
      });
      return { service, held };
    } catch (error) {
      const known = error instanceof KernelError ? error : undefined;
      const message = known?.message ?? `unable to supervise ${directory.label}`;
      this.#core.log.fatal(message, { cause: known === undefined ? error : known.cause, service: directory });
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

  /** Opened once for all starts; a failure is not kept, so the next start asks again. */
  #theSink(): Answer<LogSink | undefined> {
    if (this.#sink !== undefined) return this.#sink.answer;
    const { hooks } = this.#core;
    const keep = (sink: LogSink | undefined): LogSink | undefined => {
      if (sink !== undefined) this.#openSinks.push(sink);
      return sink;
    };
    const directory = this.#directory('service', this.held);
    const answer = ask<LogSink | undefined>((done) => hooks.openLogSink.callAsync(directory, done));
    const kept = answer instanceof Promise ? answer.then(keep) : keep(answer);
    if (kept instanceof Promise) kept.catch(() => (this.#sink = undefined));
    this.#sink = { answer: kept };
    return kept;
  }

  #ended(role: 'service' | 'log'): void {
    this.#endedAtNs = this.#core.ports.clock.monotonicNs();
    if (role === 'service') this.#main = undefined;
    else {
      this.#log?.held.close();
      this.#log = undefined;
    }
    if (this.#stop !== undefined) this.#proceed();
    this.#onEnd();
  }

  /** Takes the next step of an orderly stop, whenever something has changed. */
  #proceed(): void {
    const stop = this.#stop;
    if (stop === undefined) return;
    if (this.#main !== undefined) {
      if (stop.waitingFor === 'service') return;
      stop.waitingFor = 'service';
      this.#setDeadline(this.#main.service, ['k']);
      this.#main.service.leave();
      return;
    }
    if (stop.waitingFor !== 'log') {
      stop.waitingFor = 'log';
      stop.deadline?.close();
      for (const sink of this.#openSinks) sink.end();
      if (this.#log !== undefined) this.#setDeadline(this.#log.service, ['d', 'k']);
    }
    if (this.#log !== undefined) drain(this.#log.service);
    else stop.deadline?.close();
  }

  #setDeadline(service: Service, [next, ...later]: readonly ('d' | 'k')[]): void {
    const { ports, log, stopTimeoutNs } = this.#core;
    if (this.#stop === undefined || !this.#stop.kills || stopTimeoutNs === undefined || next === undefined) return;
    this.#stop.deadline = ports.clock.wakeAt(ports.clock.monotonicNs() + stopTimeoutNs, () => {
      const seconds = Number(stopTimeoutNs) / 1e9;
      const what = next === 'k' ? 'killing it' : 'stopping it';
      log.warning(`${service.directory.label} has not ended for ${seconds} seconds: ${what}`, {});
      service.command(next);
      this.#setDeadline(service, later);
    });
  }
}

/** Lets a log service read its input to the end and go: one that is about to be started is, once. */
function drain(log: Service): void {
  const { state } = log;
  if (state.phase === 'up' && state.leaving) return;
  if (state.phase === 'up') log.command('x');
  else if (state.phase === 'down' && state.startAtNs === undefined) log.command('x');
  else if (state.want !== 'once') log.command('o');
}
