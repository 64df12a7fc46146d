/** multilog: the engine of @daemontap/multilog on standard input, with its waiting, its signals and its voice. */
import { readSync } from 'node:fs';
import { errorText } from '@daemontap/formats';
import { LINE_MAX, Multilog, parseScript, SetUpError, syncCalls } from '@daemontap/multilog';
import type { Need, ProcessorPlan, Steps, Text } from '@daemontap/multilog';
import { hasCode, isReady, openReadiness, readInherited, setProcessName } from '@daemontap/posix';
import type { Inherited, ProcessEnd, Readiness } from '@daemontap/posix';
import { checkCurrentDirectory } from '../clients/service-directory.ts';
import { program } from '../program.ts';
import { receiveSignals } from '../signals.ts';
import { runProcessor } from './processor.ts';
import { Signals } from './signals.ts';

const { fatal, warning } = program('multilog');
const STDIN = 0;
/** With what there may be of an unfinished line, a block is all that KILL can lose: 64 KiB. */
const READ_SIZE = 65_536 - LINE_MAX;
const PAUSE_NS = 5_000_000_000n;
/** So many blocks in a row, then signals are looked at. */
const BLOCKS_PER_TURN = 16;

type Pause = Need & { readonly kind: 'pause' };

/** TERM, while there is nothing to do but to pause. */
class Ended extends Error {
  readonly pause: Pause;
  constructor(pause: Pause) {
    super('ended');
    this.pause = pause;
  }
}

/** Runs until the end of the input, or TERM. Resolves with the exit code. */
export async function multilog(words: readonly Buffer[]): Promise<number> {
  setProcessName({ name: 'multilog', words });
  process.umask(0o022);
  const inherited = readInherited();
  receiveSignals(inherited);
  try {
    checkCurrentDirectory();
  } catch (error) {
    return fatal('unable to switch to current directory: ', errorText(error));
  }
  const runner = new Runner(inherited);
  try {
    await runner.follow(await runner.run(Multilog.open(parseScript(words), { calls: syncCalls })));
    return 0;
  } catch (error) {
    if (error instanceof SetUpError) return fatal(...error.text, ': ', errorText(error.cause));
    if (error instanceof Ended) return fatal(...error.pause.text, ', ending', ...reason(error.pause.cause));
    return fatal(error instanceof Error ? error.message : String(error));
  }
}

/** Gives the engine what it needs: input, time, processes. */
class Runner {
  readonly #inherited: Inherited;
  readonly #signals = new Signals();
  #readiness: Readiness | undefined;

  constructor(inherited: Inherited) {
    this.#inherited = inherited;
  }

  /** Reads to the end, or to the end of a line after TERM. */
  async follow(log: Multilog): Promise<void> {
    const signals = this.#signals;
    const buffer = Buffer.allocUnsafeSlow(READ_SIZE);
    for (let blocks = 1; ; blocks++) {
      if (blocks % BLOCKS_PER_TURN === 0) await new Promise(setImmediate); // signals get their turn
      if (signals.takeAlarm()) await this.run(log.rotate());
      if (signals.isToldToEnd && !log.isWithinLine) break;
      if (!isReady('readable', STDIN)) {
        await this.#untilReadable();
        continue;
      }
      // What is behind the line at hand stays in the pipe, for the next multilog.
      const block = readSome(signals.isToldToEnd ? buffer.subarray(0, 1) : buffer);
      if (block.length === 0) break;
      await this.run(log.take(block));
    }
    await this.run(log.end());
  }

  /** Runs an operation of the engine. @throws Ended */
  async run<T>(steps: Steps<T>): Promise<T> {
    let step = steps.next();
    while (step.done !== true) {
      const need = step.value;
      switch (need.kind) {
        case 'pause':
          await this.#pause(need);
          step = steps.next();
          break;
        case 'tell':
          fatal(...need.text, ...reason(need.cause));
          step = steps.next();
          break;
        case 'process':
          step = this.#runProcessor(steps, need.plan);
          break;
        case 'call': // all are done at once
          throw new Error(`unable to wait for ${need.name}`);
      }
    }
    return step.value;
  }

  #runProcessor<T>(steps: Steps<T>, plan: ProcessorPlan): IteratorResult<Need, T> {
    let end: ProcessEnd;
    try {
      end = runProcessor(plan, this.#inherited);
    } catch (error) {
      return steps.throw(error);
    }
    return steps.next(end);
  }

  async #pause(pause: Pause): Promise<void> {
    if (this.#signals.isToldToEnd) throw new Ended(pause);
    warning(...pause.text, ', pausing', ...reason(pause.cause));
    const untilNs = process.hrtime.bigint() + PAUSE_NS;
    // An alarm does not shorten it.
    for (let leftNs = PAUSE_NS; leftNs > 0n; leftNs = untilNs - process.hrtime.bigint()) {
      await this.#signals.until((done) => {
        const timer = setTimeout(done, Number(leftNs / 1_000_000n) + 1);
        return () => clearTimeout(timer);
      });
      if (this.#signals.isToldToEnd) throw new Ended(pause);
    }
  }

  async #untilReadable(): Promise<void> {
    await this.#signals.until((done) => {
      this.#readiness ??= openReadiness(() => {});
      const watch = this.#readiness.watchReadable(STDIN, done);
      return () => watch.close();
    });
  }
}

/** What there is to read; nothing at the end, and where reading is impossible, as in daemontools. */
function readSome(buffer: Buffer): Buffer {
  for (;;) {
    try {
      return buffer.subarray(0, readSync(STDIN, buffer));
    } catch (error) {
      if (!hasCode(error, 'EINTR') && !hasCode(error, 'EAGAIN')) return buffer.subarray(0, 0);
    }
  }
}

function reason(cause: unknown): Text {
  return cause === undefined ? [] : [': ', errorText(cause)];
}
