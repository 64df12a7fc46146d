/** multilog's engine for a log host: one of many streams in a process, none of which keeps another waiting. */
import type { ProcessEnd } from '@daemontap/posix';
import { Driver } from './driver.ts';
import { FilePool } from './file-pool.ts';
import { Multilog } from './multilog.ts';
import type { Steps } from './need.ts';
import type { ProcessorPlan } from './processor.ts';
import type { Script } from './script.ts';

/** An open script, of one stream. Its operations are done in the order in which they are called. */
export interface HostedSink {
  /**
   * Takes whole lines, or a piece of a longer one: at most `BLOCK_MAX` bytes, whose memory is the caller's again at once.
   * `undefined` when all is written by then, else a promise of that, which rejects for a bug alone. It should be waited
   * for before more is read, as each block takes memory until it is written; one block ahead keeps both the disk and the
   * processor busy.
   */
  take(block: Buffer): Promise<void> | undefined;
  /** Begins a new file in every directory where something was written to the one at hand, as multilog does at ALRM. */
  rotate(): Promise<void>;
  /** Takes an unfinished line for a whole one, finishes and closes everything, as multilog at the end of its input. */
  end(): Promise<void>;
  /**
   * Closes everything as it is, once the call or the processor at hand has come back, and waits for no better times: what
   * was not written is lost. The next run finds what a crash would have left.
   */
  abandon(): Promise<void>;
}

/** What a script is opened with. */
export interface HostedSinkOptions {
  readonly script: Script;
  /** Where relative paths begin: an open directory, which stays the caller's and is needed until the sink is there. */
  readonly directoryFd: number;
  /** Shows a line for the action `e`, its newline included. It must not wait. */
  show(line: Buffer): void;
  /**
   * Tells of trouble, once when it begins: multilog's words, as `unable to write to ./main/current, pausing`, with what
   * the system has reported, if anything. It is tried again every 5 seconds.
   */
  trouble(text: string, cause: unknown): void;
  /** Tells that what was in trouble is done, once. */
  recovered(): void;
  /**
   * Runs a processor, which {@link processorRequest} tells how to start, and resolves with how it has ended; rejects with
   * what kept it from running.
   */
  spawnProcessor(plan: ProcessorPlan): Promise<ProcessEnd>;
}

let sharedPool: FilePool | undefined;

/**
 * Opens all that a script names. Calls of the file system are done on libuv's pool, one at a time for each stream, and
 * for each device as many as a quarter of the pool's threads, at most four. So the host sets `UV_THREADPOOL_SIZE` to 16,
 * in its environment or as the first thing that it does: three dead devices then leave four threads to the others.
 * @throws SetUpError (rejects with it) when something cannot be opened
 */
export function openHosted(options: HostedSinkOptions): Promise<HostedSink> {
  sharedPool ??= new FilePool();
  return openHostedOn(sharedPool, options);
}

/** As {@link openHosted}, with calls done elsewhere. */
export async function openHostedOn(
  files: FilePool,
  { script, directoryFd, show, ...options }: HostedSinkOptions,
): Promise<HostedSink> {
  const driver = new Driver(options, files);
  const log = await driver.run(() => Multilog.open(script, { directoryFd, show, triesAgain: true }));
  const finish = async (operation: () => Steps<void>): Promise<void> => driver.run(operation);
  return {
    take(block) {
      const steps = log.takeAtOnce(block);
      const done = driver.run(() => steps);
      return done instanceof Promise ? done : undefined;
    },
    rotate: () => finish(() => log.rotate()),
    end: () => finish(() => log.end()),
    abandon() {
      driver.giveUp();
      return finish(() => log.abandon());
    },
  };
}
