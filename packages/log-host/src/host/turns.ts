/** Whose turn it is: every stream that may have something to read gets one block at a time, in a ring. */

/** The largest block, in bytes: so much of each stream may be written twice when a host is killed. */
export const BLOCK_SIZE = 262_144;
/** Streams that write at once. One that hangs is not counted for long. */
const AT_ONCE = 8;
const HANGS_AFTER_MS = 125;
/** Then signals and packets are looked at. */
const TURN_MS = 5;

/** Something that takes turns. */
export interface Turning {
  /** Does what there is to do with one block, for which there is room; `undefined`: it is done, or there is nothing. */
  step(buffer: Buffer): Promise<void> | undefined;
}

/** The ring. */
export class Turns {
  readonly #waiting = new Set<Turning>();
  /** Of whoever's turn it is, until it gives it on. */
  readonly #buffer = Buffer.allocUnsafeSlow(BLOCK_SIZE);
  #writing = 0;
  #isRunning = false;

  /** Puts a stream into the ring; once, however often it is called. */
  add(stream: Turning): void {
    this.#waiting.add(stream);
    if (this.#isRunning) return;
    this.#isRunning = true;
    setImmediate(() => this.#run());
  }

  #run(): void {
    this.#isRunning = false;
    const until = performance.now() + TURN_MS;
    for (const stream of this.#waiting) {
      if (this.#writing >= AT_ONCE) return; // who ends makes room
      if (performance.now() >= until) break;
      this.#waiting.delete(stream);
      this.#step(stream);
    }
    if (this.#waiting.size === 0 || this.#isRunning) return;
    this.#isRunning = true;
    setImmediate(() => this.#run());
  }

  #step(stream: Turning): void {
    const work = stream.step(this.#buffer);
    if (work === undefined) return;
    this.#writing++;
    let isCounted = true;
    const uncount = (): void => {
      if (!isCounted) return;
      isCounted = false;
      this.#writing--;
      if (this.#waiting.size > 0 && !this.#isRunning) {
        this.#isRunning = true;
        setImmediate(() => this.#run());
      }
    };
    const hangs = setTimeout(uncount, HANGS_AFTER_MS);
    void work.then(() => {
      clearTimeout(hangs);
      uncount();
    });
  }
}
