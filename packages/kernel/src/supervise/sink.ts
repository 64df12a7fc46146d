/** The log sink of one service: asked for at the first start, kept for all others, closed with the service. */
import { attempt, closeAll } from '../close-all.ts';
import type { Core } from '../core.ts';
import { warn } from '../errors.ts';
import type { LogSink, ServiceDirectory } from '../hooks.ts';
import { ask } from '../plugin/ask.ts';
import type { Answer } from '../plugin/ask.ts';

/** Asks for a sink once, and again where that failed. */
export class ServiceSink {
  readonly #core: Pick<Core, 'hooks' | 'log'>;
  readonly #complain: (cause: unknown) => void;
  readonly #opened: LogSink[] = [];
  #answer: { readonly given: Answer<LogSink | undefined> } | undefined;
  #isEnded = false;
  #isClosed = false;

  constructor(core: Pick<Core, 'hooks' | 'log'>) {
    this.#core = core;
    this.#complain = (error) => warn(core.log, error, 'unable to close a log sink');
  }

  /** The sink of a service. A failure, and that there is none, is not kept: the next start asks again. */
  of(service: ServiceDirectory): Answer<LogSink | undefined> {
    if (this.#answer !== undefined) return this.#answer.given;
    const given = ask<LogSink | undefined>((done) => this.#core.hooks.openLogSink.callAsync(service, done));
    if (!(given instanceof Promise)) {
      const sink = this.#keep(given);
      this.#answer = sink === undefined ? undefined : { given: sink };
      return sink;
    }
    const kept = given.then((sink) => this.#keep(sink));
    const answer = { given: kept };
    const forget = (): void => {
      if (this.#answer === answer) this.#answer = undefined;
    };
    kept.then((sink) => sink ?? forget(), forget);
    this.#answer = answer;
    return kept;
  }

  /** Asks anew from the next start on. What was opened before stays open for who has it. */
  renew(): void {
    this.#answer = undefined;
  }

  /** No output will follow. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    for (const sink of this.#opened) attempt(() => sink.end(), this.#complain);
  }

  close(): void {
    this.#isClosed = true;
    closeAll(this.#opened, this.#complain);
  }

  #keep(sink: LogSink | undefined): LogSink | undefined {
    if (sink === undefined) return undefined;
    if (this.#isClosed) closeAll([sink], this.#complain);
    else this.#opened.push(sink);
    return sink;
  }
}
