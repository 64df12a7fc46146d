/** Ends a service and then its log service, in this order, so that the log reads all that the service has written. */
import type { Core } from '../core.ts';
import type { Closeable } from '../ports.ts';
import type { Service } from '../supervise/service.ts';
import type { ServiceSink } from '../supervise/sink.ts';

/** What is left of a pair. */
export interface StoppingPair {
  readonly main: Service | undefined;
  readonly log: Service | undefined;
}

/** The orderly stop of one pair. */
export class OrderlyStop {
  readonly #core: Core;
  readonly #sink: ServiceSink;
  #kills: boolean;
  #deadline: Closeable | undefined;
  #waitingFor: 'main' | 'log' | undefined;
  /** The process that had its deadline. What a service goes on as after it has none of its own. */
  #killedPid: number | undefined;

  constructor(options: { readonly core: Core; readonly sink: ServiceSink; readonly kills: boolean }) {
    this.#core = options.core;
    this.#sink = options.sink;
    this.#kills = options.kills;
  }

  /** Takes the next step; to be called whenever something about the pair has changed. */
  proceed({ main, log }: StoppingPair): void {
    if (main !== undefined) {
      if (this.#waitingFor === 'main') {
        if (this.#killedPid === undefined || main.state.phase !== 'up' || main.state.pid === this.#killedPid) return;
        this.#killedPid = main.state.pid;
        return main.command('k');
      }
      this.#waitingFor = 'main';
      this.#setDeadline(main, ['k']);
      main.leave();
      return;
    }
    if (this.#waitingFor !== 'log') {
      this.#waitingFor = 'log';
      this.#deadline?.close();
      if (log !== undefined) this.#setDeadline(log, ['d', 'k']);
    }
    if (log !== undefined) this.#drain(log);
    else this.close();
  }

  /** Applies the deadlines, which may have been left out until now. */
  insist({ main, log }: StoppingPair): void {
    if (this.#kills) return;
    this.#kills = true;
    if (main !== undefined) this.#setDeadline(main, ['k']);
    else if (log !== undefined) this.#setDeadline(log, ['d', 'k']);
  }

  close(): void {
    this.#deadline?.close();
  }

  /** Lets a log service read its input to the end and go: one that is about to be started is, once. */
  #drain(log: Service): void {
    const { state } = log;
    const isAtRest = state.phase === 'down' && state.startAtNs === undefined;
    if (state.phase === 'up' || isAtRest) {
      this.#sink.end(); // not before: what is in the pipe needs a reader
      if (state.phase === 'up' && state.paused) log.command('c');
      if (isAtRest || !state.leaving) log.command('x');
    } else if (state.want !== 'once') log.command('o');
  }

  #setDeadline(service: Service, [next, ...later]: readonly ('d' | 'k')[]): void {
    const { ports, log, stopTimeoutNs } = this.#core;
    if (!this.#kills || stopTimeoutNs === undefined || next === undefined) return;
    this.#deadline = ports.clock.wakeAt(ports.clock.monotonicNs() + stopTimeoutNs, () => {
      // Without a process it waits for a plugin's answer, which has a deadline of its own.
      if (service.state.phase === 'up') {
        const what = next === 'k' ? 'killing it' : 'stopping it';
        log.warning(`${service.directory.label} has not ended for ${Number(stopTimeoutNs) / 1e9} seconds: ${what}`);
        if (next === 'k') this.#killedPid = service.state.pid;
        service.command(next);
      }
      this.#setDeadline(service, later.length > 0 ? later : [next]);
    });
  }
}
