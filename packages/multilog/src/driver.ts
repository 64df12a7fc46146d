/** Drives the operations of one stream among many, one after the other: nothing that one needs keeps another waiting. */
import type { ProcessEnd } from '@daemontap/posix';
import type { FilePool } from './file-pool.ts';
import type { HostedSinkOptions } from './hosted.ts';
import { textOf } from './need.ts';
import type { Need, Steps, Text } from './need.ts';
import type { ProcessorPlan } from './processor.ts';

const PAUSE_MS = 5000;

/** What a stream's driver asks for, and whom it tells. */
export type DriverOptions = Pick<HostedSinkOptions, 'trouble' | 'recovered' | 'spawnProcessor'>;

type GoOn<T> = (next: () => IteratorResult<Need, T>) => void;

/** A driver. */
export class Driver {
  readonly #options: DriverOptions;
  readonly #files: FilePool;
  readonly #waiting: (() => void)[] = [];
  #isBusy = false;
  #isInTrouble = false;
  #isGivenUp = false;
  #endPause: (() => void) | undefined;

  constructor(options: DriverOptions, files: FilePool) {
    this.#options = options;
    this.#files = files;
  }

  /** Runs an operation, after those that were begun before it. What has needed nothing is done at once. */
  run<T>(operation: () => Steps<T>): Promise<T> | T {
    if (this.#isBusy) {
      return new Promise((resolve) => this.#waiting.push(() => resolve(this.#begin(operation))));
    }
    return this.#begin(operation);
  }

  /** From now on no operation waits for better times: it ends where it would, as good as done. */
  giveUp(): void {
    this.#isGivenUp = true;
    this.#endPause?.();
  }

  #begin<T>(operation: () => Steps<T>): Promise<T> | T {
    this.#isBusy = true;
    const steps = operation();
    let step: IteratorResult<Need, T>;
    try {
      step = steps.next();
    } catch (error) {
      this.#goOnWithNext();
      return Promise.reject(error as Error); // whatever it is
    }
    if (step.done === true) {
      this.#isOver();
      return step.value;
    }
    return new Promise((resolve, reject) => {
      const goOn: GoOn<T> = (next) => {
        try {
          const { done, value } = next();
          if (done !== true) {
            this.#give(value, steps, goOn);
            return;
          }
          resolve(value);
        } catch (error) {
          this.#goOnWithNext();
          reject(error);
          return;
        }
        this.#isOver();
      };
      goOn(() => step);
    });
  }

  #isOver(): void {
    if (this.#isInTrouble && !this.#isGivenUp) {
      this.#isInTrouble = false;
      this.#options.recovered();
    }
    this.#goOnWithNext();
  }

  #goOnWithNext(): void {
    this.#isBusy = false;
    this.#waiting.shift()?.();
  }

  #give<T>(need: Need, steps: Steps<T>, goOn: GoOn<T>): void {
    switch (need.kind) {
      case 'call':
        this.#files.do(need, (error, answer) => {
          goOn(() => (error === null || error === undefined ? steps.next(answer) : steps.throw(error)));
        });
        break;
      case 'process':
        this.#run(need.plan).then(
          (end) => goOn(() => steps.next(end)),
          (error: unknown) => goOn(() => steps.throw(error)),
        );
        break;
      case 'tell':
        this.#tell(need.text, need.cause);
        goOn(() => steps.next());
        break;
      case 'pause':
        this.#tell([...need.text, ', pausing'], need.cause);
        // An operation that is given up has no value, and nobody who asks for it.
        this.#pause(() => goOn(() => (this.#isGivenUp ? steps.return(undefined as T) : steps.next())));
    }
  }

  /** Whatever is thrown is an answer. */
  async #run(plan: ProcessorPlan): Promise<ProcessEnd> {
    return this.#options.spawnProcessor(plan);
  }

  #tell(text: Text, cause: unknown): void {
    if (this.#isInTrouble) return;
    this.#isInTrouble = true;
    this.#options.trouble(textOf(text), cause);
  }

  #pause(done: () => void): void {
    const end = (): void => {
      clearTimeout(timer);
      this.#endPause = undefined;
      done();
    };
    const timer = setTimeout(end, PAUSE_MS);
    this.#endPause = end;
    if (this.#isGivenUp) end();
  }
}
