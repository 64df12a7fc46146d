/**
 * One service under supervision: feeds the machine one event at a time and carries its effects out. It owns the
 * lock, the control transports and the timer of the service, and closes them when supervision ends.
 */
import type { Core } from '../core.ts';
import { explain, KernelError, systemCode } from '../errors.ts';
import type { ControlPort, KernelHooks, LeftService, LogSink, ServiceDirectory, ServiceStatus } from '../hooks.ts';
import { closeAll } from '../close-all.ts';
import { ask } from '../plugin/ask.ts';
import type { Answer } from '../plugin/ask.ts';
import type { Closeable, HeldDirectory, ProcessEnd, SpawnPlan } from '../ports.ts';
import { commandEvent } from './commands.ts';
import type { Command } from './commands.ts';
import { transition } from './machine.ts';
import type { Effect, Event, State } from './machine.ts';
import { isQuiet, whenQuiet } from './settle.ts';

/** How to begin supervising a directory. */
export interface ServiceOptions {
  readonly core: Core;
  readonly directory: ServiceDirectory;
  /** Stays the caller's. */
  readonly held: HeldDirectory;
  /** Whether the first start waits until the directory is no longer being filled. */
  readonly settles: boolean;
  /** The sink of the service, opened when first asked for. */
  sink(): Answer<LogSink | undefined>;
  /** The directory is complete, and its transports listen: what belongs to the service can be begun before it is started. */
  onSettled?(): void;
  /** A step is done. At `gone` everything is closed. */
  onChange(state: State): void;
}

const SECOND_NS = 1_000_000_000n;

/** After a look at a new directory that failed. */
const LOOK_AGAIN_NS = 5_000_000_000n;

/** How many events are handled before others get their turn. */
const EVENTS_A_TURN = 64;

/** System errors that pass: the next attempt may work although nothing about the service has changed. */
const PASSING: ReadonlySet<string | undefined> = new Set(['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE', 'ENOBUFS', 'EINTR']);

/** One service under supervision. */
export class Service {
  readonly directory: ServiceDirectory;
  readonly #core: Core;
  readonly #held: HeldDirectory;
  readonly #options: Pick<ServiceOptions, 'sink' | 'onSettled' | 'onChange'>;
  readonly #opened: Closeable[] = [];
  readonly #inbox: Event[] = [];
  #busy = false;
  #isNews = true;
  #state: State;
  #sinceNs: bigint;
  #timer: Closeable | undefined;
  #settling: Closeable | undefined;
  #plan: { readonly plan: SpawnPlan; readonly sink: LogSink | undefined } | undefined;

  /**
   * Takes the lock and opens the control transports; then starts the service, unless a file `down` lies in its
   * directory, and publishes its first status.
   * @throws `STAT_FAILED`, `LOCK_HELD`, or what a control transport says; nothing stays open then
   */
  constructor({ core, directory, held, settles, ...options }: ServiceOptions) {
    this.#core = core;
    this.directory = directory;
    this.#held = held;
    this.#options = options;
    const { clock, files } = core.ports;
    const want = this.#wantByFile();
    // Looked at before supervise/ is made: that is a change, too.
    const isSettling = settles && want === 'up' && !isQuiet(core.ports, held);
    const nowNs = clock.monotonicNs();
    this.#sinceNs = clock.wallNs();
    this.#state = isSettling
      ? { phase: 'settling', want }
      : {
          phase: 'down',
          want,
          notBeforeNs: nowNs,
          startAtNs: want === 'up' ? nowNs : undefined,
          asked: false,
          leaving: false,
        };
    try {
      this.#opened.push(files.claim(held));
    } catch (cause) {
      throw new KernelError('LOCK_HELD', `unable to acquire ${directory.label}/supervise/lock`, { cause });
    }
    let left: LeftService | undefined;
    try {
      left = core.hooks.findRunning.call(directory);
      this.#state = (left && this.#resume(left, nowNs)) ?? this.#state;
      core.hooks.openControl.call(directory, this.#port());
      if (this.#state.phase !== 'settling') options.onSettled?.();
    } catch (error) {
      this.#close();
      throw error;
    }
    if (this.#state.phase === 'settling') this.#settling = whenQuiet(core.ports, held, () => this.#settled());
    if (this.#state.phase === 'up') {
      this.#holdSink();
      if (left?.stopDue === true) this.dispatch({ type: 'want', want: 'down', atNs: nowNs });
    }
    if (this.#state.phase === 'down' && this.#state.startAtNs !== undefined) this.#wakeAt(this.#state.startAtNs);
    this.dispatch({ type: 'due', atNs: nowNs });
  }

  get state(): State {
    return this.#state;
  }

  command(command: Command): void {
    this.dispatch(commandEvent(command, this.#core.ports.clock.monotonicNs()));
  }

  /** Stops the service for good: as `svc -dx`. */
  leave(): void {
    this.command('d');
    this.command('x');
  }

  /** Lets plugins that have come later listen, and tells them what the service is. */
  meet({ openControl, statusChanged }: KernelHooks): void {
    const { label } = this.directory;
    try {
      openControl.call(this.directory, this.#port());
    } catch (error) {
      const { message, cause } = explain(error, `unable to listen for commands to ${label}`);
      this.#core.log.warning(message, this.#about(cause));
    }
    statusChanged.call(this.directory, this.#status());
  }

  dispatch(event: Event): void {
    this.#inbox.push(event);
    if (this.#busy) return; // an effect answered at once: its event waits for this step to finish
    this.#busy = true;
    this.#turn();
  }

  #turn(): void {
    try {
      for (let handled = 0; handled < EVENTS_A_TURN; handled++) {
        const event = this.#inbox.shift();
        if (event === undefined) break;
        this.#step(event);
      }
    } catch (cause) {
      // A state that cannot happen: say so and go on with the next event.
      this.#core.log.warning(`unable to finish a step of ${this.directory.label}`, this.#about(cause));
    }
    if (this.#isNews) this.#announce();
    const { clock } = this.#core.ports;
    if (this.#inbox.length > 0) clock.wakeAt(clock.monotonicNs(), () => this.#turn());
    else this.#busy = false;
  }

  #step(event: Event): void {
    const [next, ...effects] = transition(this.#state, event);
    const before = this.#state;
    this.#state = next;
    if (pidOf(before) !== pidOf(next)) this.#sinceNs = this.#core.ports.clock.wallNs();
    if (next.phase !== 'down' || next.startAtNs === undefined) this.#timer?.close();
    // Known before it is done: a kernel that is ended between the two is not to start again what was wanted down.
    if (next.phase === 'up' && next.want === 'down' && effects.some(isTerm)) {
      this.#core.hooks.intended.call(this.directory, 'stop');
    }
    for (const effect of effects) this.#perform(effect);
    if (before.phase !== 'up' && next.phase === 'up') this.#core.hooks.serviceStarted.call(this.directory, next.pid);
    this.#options.onChange(next);
  }

  #perform(effect: Effect): void {
    const { processes } = this.#core.ports;
    switch (effect.type) {
      case 'announce':
        this.#isNews = true; // published once the turn is over: an end and the next start are one change
        break;
      case 'prepare':
        this.#prepare();
        break;
      case 'spawn':
        this.#spawn();
        break;
      case 'signal':
        try {
          processes.signal(effect.pid, effect.signal);
        } catch (cause) {
          this.#core.log.warning(`unable to send ${effect.signal} to ${this.directory.label}`, this.#about(cause));
        }
        break;
      case 'wake':
        this.#wakeAt(effect.atNs);
        break;
      case 'release':
        if (this.#isNews) this.#announce();
        this.#close();
        this.#core.hooks.serviceReleased.call(this.directory);
        break;
    }
  }

  /** Goes on where an earlier kernel was ended. `undefined`: there is nothing to go on with. */
  #resume({ process, want, startDue, leaving, sinceNs }: LeftService, nowNs: bigint): State | undefined {
    const { clock, processes } = this.#core.ports;
    const agoNs = clock.wallNs() - sinceNs;
    // A log service has met the end of its input where nobody was left to hold it: what is written next must find it.
    // For others what was known counts, as far as a clock that may be set can tell.
    const startedAtNs = this.directory.role === 'log' ? nowNs - SECOND_NS : agoNs > 0n ? nowNs - agoNs : nowNs;
    const adopted = process && processes.adopt(process, (end) => this.#ended(process.pid, end));
    if (process !== undefined && adopted !== undefined) {
      this.#opened.push(adopted);
      this.#sinceNs = sinceNs;
      const { pid } = process;
      this.#core.log.info(`${this.directory.label} runs already (pid ${pid})`, { service: this.directory });
      return { phase: 'up', want, pid, startedAtNs, paused: adopted.isPaused, leaving };
    }
    if (leaving) return undefined; // it has left, and begins anew as any directory that is found
    if (process === undefined) this.#sinceNs = sinceNs;
    const again = want === 'up' || (want === 'once' && startDue);
    const notBeforeNs = startedAtNs + SECOND_NS;
    return { phase: 'down', want, notBeforeNs, startAtNs: again ? notBeforeNs : undefined, asked: false, leaving };
  }

  /** What is written and not read yet needs somebody who has the pipe open, whichever of the two sides ends first. */
  #holdSink(): void {
    const report = (error: unknown): void => {
      const { message, cause } = explain(error, `unable to open the log sink of ${this.directory.label}`);
      this.#core.log.warning(message, this.#about(cause));
    };
    try {
      Promise.resolve(this.#options.sink()).catch(report);
    } catch (error) {
      report(error);
    }
  }

  #wakeAt(atNs: bigint): void {
    const { clock } = this.#core.ports;
    this.#timer?.close();
    this.#timer = clock.wakeAt(atNs, () => this.dispatch({ type: 'due', atNs: clock.monotonicNs() }));
  }

  /** Read once: a `down` file that comes or goes later changes nothing. */
  #wantByFile(): 'up' | 'down' {
    try {
      return this.#core.ports.files.kindOf(this.#held, 'down') === 'nothing' ? 'up' : 'down';
    } catch (cause) {
      throw new KernelError('STAT_FAILED', `unable to stat ${this.directory.label}/down`, { cause });
    }
  }

  /** Lets the first start come. What cannot be looked at is said and looked at again, as by a scan. */
  #settled(): void {
    const { clock } = this.#core.ports;
    try {
      this.#options.onSettled?.();
      this.dispatch({ type: 'settled', want: this.#wantByFile(), atNs: clock.monotonicNs() });
    } catch (error) {
      const { message, cause } = explain(error, `unable to look at ${this.directory.label}`);
      this.#core.log.warning(message, this.#about(cause));
      this.#settling = clock.wakeAt(clock.monotonicNs() + LOOK_AGAIN_NS, () => this.#settled());
    }
  }

  #announce(): void {
    this.#isNews = false;
    this.#core.hooks.statusChanged.call(this.directory, this.#status());
  }

  #status(): ServiceStatus {
    return {
      pid: pidOf(this.#state),
      paused: this.#state.phase === 'up' && this.#state.paused,
      want: this.#state.want,
      sinceNs: this.#sinceNs,
      startDue: isStartDue(this.#state),
      leaving: 'leaving' in this.#state && this.#state.leaving,
    };
  }

  #port(): ControlPort {
    return {
      command: (command) => this.command(command),
      opened: (transport) => {
        this.#opened.push(transport);
        if (this.#state.phase === 'gone') this.#close();
      },
    };
  }

  /** Asks the plugins. Where all of them answer at once, and they do in the preset, the start is not put off. */
  #prepare(): void {
    const { ports, hooks, log, basePlan } = this.#core;
    const prepared = (plan: SpawnPlan, sink: LogSink | undefined): void => {
      this.#plan = { plan, sink };
      this.dispatch({ type: 'prepared', atNs: ports.clock.monotonicNs() });
    };
    try {
      if (ports.files.isRemoved(this.#held)) {
        log.warning(`${this.directory.label} was removed: it is no longer supervised`, { service: this.directory });
        this.dispatch({ type: 'leave' });
      }
      const sink = this.#options.sink();
      const plan = ask<SpawnPlan>((done) => hooks.prepareSpawn.callAsync(basePlan, this.directory, done));
      if (!(sink instanceof Promise) && !(plan instanceof Promise)) prepared(plan, sink);
      else
        Promise.all([plan, sink]).then(
          (answers) => prepared(...answers),
          (error: unknown) => this.#state.phase !== 'gone' && this.#failed(error),
        );
    } catch (error) {
      this.#failed(error);
    }
  }

  #spawn(): void {
    const { ports } = this.#core;
    const own: number[] = [];
    try {
      if (this.#plan === undefined) throw new Error('no plan');
      const { plan, sink } = this.#plan;
      const descriptors = new Map(plan.descriptors);
      const redirect = (target: number, open: (() => number) | undefined): void => {
        if (open === undefined) return;
        const fd = open();
        own.push(fd);
        descriptors.set(target, fd);
      };
      if (this.directory.role === 'log') redirect(0, sink?.openInput?.bind(sink));
      else redirect(1, sink?.openOutput.bind(sink));
      const request = { ...plan, descriptors: [...descriptors], directoryFd: this.#held.fd };
      this.#core.hooks.intended.call(this.directory, 'start');
      const pid = ports.processes.spawn(request, (end) => this.#ended(pid, end));
      this.dispatch({ type: 'started', pid, atNs: ports.clock.monotonicNs() });
    } catch (error) {
      this.#failed(error);
    } finally {
      for (const fd of own) ports.files.closeDescriptor(fd);
    }
  }

  #failed(error: unknown): void {
    const { log, hooks, ports } = this.#core;
    const { label } = this.directory;
    if (error instanceof KernelError) {
      log.warning(`unable to start ${label}/run: ${error.message}`, this.#about(error.cause));
    } else {
      log.fatal(`unable to start ${label}/run`, this.#about(error));
    }
    hooks.startFailed.call(this.directory, error);
    const passing = PASSING.has(systemCode(error));
    this.dispatch({ type: 'startFailed', passing, atNs: ports.clock.monotonicNs() });
  }

  #ended(pid: number, end: ProcessEnd | undefined): void {
    this.#core.hooks.serviceEnded.call(this.directory, pid, end);
    this.dispatch({ type: 'ended', atNs: this.#core.ports.clock.monotonicNs() });
  }

  #close(): void {
    this.#timer?.close();
    this.#settling?.close();
    closeAll(this.#opened, (error) => {
      const { message, cause } = explain(error, 'unable to close what was opened');
      this.#core.log.warning(`${message} for ${this.directory.label}`, this.#about(cause));
    });
    this.#opened.length = 0;
  }

  #about(cause: unknown): { readonly cause: unknown; readonly service: ServiceDirectory } {
    return { cause, service: this.directory };
  }
}

function isTerm(effect: Effect): boolean {
  return effect.type === 'signal' && effect.signal === 'SIGTERM';
}

function isStartDue(state: State): boolean {
  return state.phase === 'down'
    ? state.startAtNs !== undefined
    : state.phase === 'preparing' || state.phase === 'starting';
}

function pidOf(state: State): number | undefined {
  return state.phase === 'up' ? state.pid : undefined;
}
