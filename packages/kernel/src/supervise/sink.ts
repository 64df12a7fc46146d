/** The log sink of one service: asked for at the first start, kept for all others, closed with the service. */
import { attempt, closeAll } from '../close-all.ts';
import type { Core } from '../core.ts';
import type { KernelHooks, LogSink, ServiceDirectory } from '../hooks.ts';
import { ask } from '../plugin/ask.ts';
import type { Answer } from '../plugin/ask.ts';

/** Asks for a sink once, and again where that failed. */
export class ServiceSink {
  readonly #hooks: KernelHooks;
  readonly #complain: (cause: unknown) => void;
  readonly #opened: LogSink[] = [];
  #answer: { readonly given: Answer<LogSink | undefined> } | undefined;
  #isEnded = false;
  #isClosed = false;

  constructor({ hooks, log }: Pick<Core, 'hooks' | 'log'>) {
    this.#hooks = hooks;
    this.#complain = (cause) => log.warning('unable to close a log sink', { cause });
  }

  /** The sink of a service. A failure is not kept: the next start asks again. */
  of(service: ServiceDirectory): Answer<LogSink | undefined> {
    if (this.#answer !== undefined) return this.#answer.given;
    const given = ask<LogSink | undefined>((done) => this.#hooks.openLogSink.callAsync(service, done));
    if (!(given instanceof Promise)) {
      this.#answer = { given: this.#keep(given) };
      return this.#answer.given;
    }
    const kept = given.then((sink) => this.#keep(sink));
    const answer = { given: kept };
    kept.catch(() => {
      if (this.#answer === answer) this.#answer = undefined;
    });
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
