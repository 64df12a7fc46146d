/** The two signals of multilog: TERM ends it at the end of a line, ALRM rotates. They are looked at between reads. */

/** What has been asked for by signals. */
export class Signals {
  #isTold = false;
  #isAlarmed = false;
  #wake: (() => void) | undefined;

  constructor() {
    process.on('SIGTERM', () => {
      this.#isTold = true;
      this.#wake?.();
    });
    process.on('SIGALRM', () => {
      this.#isAlarmed = true;
      this.#wake?.();
    });
  }

  /** True once TERM has come. */
  get isToldToEnd(): boolean {
    return this.#isTold;
  }

  /** True once for all ALRMs that have come. */
  takeAlarm(): boolean {
    const isAlarmed = this.#isAlarmed;
    this.#isAlarmed = false;
    return isAlarmed;
  }

  /** Resolves when what `begin` has begun calls back, or at a signal. `begin` returns how to give it up. */
  async until(begin: (done: () => void) => () => void): Promise<void> {
    let giveUp = (): void => {};
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      giveUp = begin(resolve);
    });
    this.#wake = undefined;
    giveUp();
  }
}
