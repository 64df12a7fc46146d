/**
 * One service under supervision: feeds the machine one event at a time and carries its effects out. It owns the
 * lock, the control transports and the timer of the service, and closes them when supervision ends.
 */
import type { Core } from '../core.ts';
import { explain, KernelError, systemCode, warn } from '../errors.ts';
import type { ControlPort, KernelHooks, LeftService, LogSink, ServiceDirectory, ServiceStatus } from '../hooks.ts';
import { closeAll } from '../close-all.ts';
import { ask } from '../plugin/ask.ts';
import type { Answer } from '../plugin/ask.ts';
import type { Closeable, HeldDirectory, ProcessEnd, ProcessIdentity, SpawnPlan } from '../ports.ts';
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

/** A process that was taken over. */
type Taken = Omit<Extract<Event, { type: 'moved' }>, 'type'>;

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
  /** The process, where it was not started here. */
  #adopted: Closeable | undefined;
  /** Set while it goes on as a process that nobody knows yet: its pid is that of one that has ended. */
  #asking: Closeable | undefined;
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
      this.#state = this.#resume(left, nowNs) ?? this.#state;
      core.hooks.openControl.call(directory, this.#port());
      if (this.#state.phase !== 'settling') options.onSettled?.();
    } catch (error) {
      this.#close();
      throw error;
    }
    if (this.#state.phase === 'settling') this.#settling = whenQuiet(core.ports, held, () => this.#settled());
    if (this.#state.phase === 'up') {
      this.#holdSink();
      // Who goes on for one that was told to stop has not been told.
      const stopDue = left?.stopDue === true || (this.#state.want === 'down' && this.#state.pid !== left?.process?.pid);
      if (stopDue) this.dispatch({ type: 'want', want: 'down', atNs: nowNs });
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
      this.#warn(error, `unable to listen for commands to ${label}`);
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
      this.#warn(cause, `unable to finish a step of ${this.directory.label}`);
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
        this.#signal(effect);
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

  #signal({ pid, signal }: Extract<Effect, { type: 'signal' }>): void {
    if (this.#asking !== undefined) {
      // The pid may be somebody else's by now. A stop must end nevertheless.
      if (signal !== 'SIGKILL' || this.#state.want !== 'down') return;
      const message = `unable to kill ${this.directory.label}: nobody knows its process`;
      this.#core.log.warning(message, { service: this.directory });
      this.#asking.close();
      this.#asking = undefined;
      this.#over(pid, undefined);
      return;
    }
    try {
      this.#core.ports.processes.signal(pid, signal);
    } catch (cause) {
      this.#warn(cause, `unable to send ${signal} to ${this.directory.label}`);
    }
  }

  /** Goes on where an earlier kernel was ended. `undefined`: there is nothing to go on with. */
  #resume(left: LeftService | undefined, nowNs: bigint): State | undefined {
    const { clock } = this.#core.ports;
    const { process, want = this.#state.want, leaving = false, sinceNs = clock.wallNs() } = left ?? {};
    const agoNs = clock.wallNs() - sinceNs;
    // A log service has met the end of its input where nobody was left to hold it: what is written next must find it.
    // For others what was known counts, as far as a clock that may be set can tell.
    const startedAtNs = this.directory.role === 'log' ? nowNs - SECOND_NS : agoNs > 0n ? nowNs - agoNs : nowNs;
    const found = (process && this.#take(process)) ?? this.#successor(process?.pid);
    if (found === 'later') {
      if (process === undefined) throw new KernelError('PROCESS_UNKNOWN', `unable to find ${this.directory.label}`);
      this.#askAgain(process.pid, undefined);
      return { phase: 'up', want, pid: process.pid, startedAtNs, paused: false, leaving };
    }
    if (found !== undefined) {
      if (found.pid === process?.pid) this.#sinceNs = sinceNs;
      this.#core.log.info(`${this.directory.label} runs already (pid ${found.pid})`, { service: this.directory });
      return { phase: 'up', want, ...found, startedAtNs, leaving };
    }
    if (left === undefined || leaving) return undefined; // it has left, and begins anew as any directory that is found
    if (process === undefined) this.#sinceNs = sinceNs;
    const again = want === 'up' || (want === 'once' && left.startDue);
    const notBeforeNs = startedAtNs + SECOND_NS;
    return { phase: 'down', want, notBeforeNs, startAtNs: again ? notBeforeNs : undefined, asked: false, leaving };
  }

  /** What is written and not read yet needs somebody who has the pipe open, whichever of the two sides ends first. */
  #holdSink(): void {
    const held = new Promise((resolve) => resolve(this.#options.sink())); // what it throws, the promise rejects with
    held.catch((error: unknown) => this.#warn(error, `unable to open the log sink of ${this.directory.label}`));
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
      this.#warn(error, `unable to look at ${this.directory.label}`);
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

  #take({ pid, startTicks }: ProcessIdentity): Taken | undefined {
    const adopted = this.#core.ports.processes.adopt({ pid, startTicks }, (end) => this.#ended(pid, end));
    if (adopted === undefined) return undefined;
    this.#adopted?.close();
    this.#adopted = adopted;
    return { pid, paused: adopted.isPaused };
  }

  /** What it goes on as. One that was found may have ended since, and gone on as yet another one: a few times, at once. */
  #successor(pid: number | undefined): Taken | 'later' | undefined {
    for (let finds = 0; finds < 5; finds++) {
      const found = this.#core.hooks.findSuccessor.call(this.directory, pid);
      if (found === undefined || found === 'later') return found;
      const taken = this.#take(found);
      if (taken !== undefined) return taken;
    }
    return 'later';
  }

  #ended(pid: number, end: ProcessEnd | undefined): void {
    let next: Taken | 'later' | undefined = 'later';
    try {
      next = this.#successor(pid);
    } catch (error) {
      if (this.#asking === undefined) this.#warn(error, `unable to find what ${this.directory.label} goes on as`);
    }
    if (next === 'later') return this.#askAgain(pid, end);
    this.#asking = undefined;
    if (next === undefined) this.#over(pid, end);
    else this.dispatch({ type: 'moved', ...next });
  }

  #askAgain(pid: number, end: ProcessEnd | undefined): void {
    const { clock } = this.#core.ports;
    this.#asking = clock.wakeAt(clock.monotonicNs() + SECOND_NS, () => this.#ended(pid, end));
  }

  #over(pid: number, end: ProcessEnd | undefined): void {
    this.#core.hooks.serviceEnded.call(this.directory, pid, end);
    this.dispatch({ type: 'ended', atNs: this.#core.ports.clock.monotonicNs() });
  }

  #close(): void {
    for (const each of [this.#timer, this.#settling, this.#adopted, this.#asking]) each?.close();
    closeAll(this.#opened, (error) => {
      const { message, cause } = explain(error, 'unable to close what was opened');
      this.#core.log.warning(`${message} for ${this.directory.label}`, this.#about(cause));
    });
    this.#opened.length = 0;
  }

  #warn(error: unknown, otherwise: string): void {
    warn(this.#core.log, error, otherwise, this.directory);
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
