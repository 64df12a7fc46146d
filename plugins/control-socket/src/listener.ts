/**
 * The socket's place in the file system. Of two kernels that want the same place it belongs to the one that listens:
 * it is never taken away from anybody, and a dead one's is taken over. Where it cannot be had, services go on without.
 */
import { chmodSync, chownSync, closeSync, lstatSync, renameSync, rmSync } from 'node:fs';
import type { Clock, Closeable, Readiness } from '@daemontap/kernel';
import { fileIdentity, hasCode, isListening, listenAt } from '@daemontap/posix';

/** A socket, and who may connect to it. */
export interface SocketPlace {
  readonly path: string;
  readonly mode: number;
  /** The group of the file; `undefined`: the kernel's. */
  readonly gid: number | undefined;
}

/** What a listener is given. */
export interface ListenerOptions {
  readonly clock: Clock;
  readonly readiness: Readiness;
  /** Where to listen. It is asked before each attempt. @throws Error when that cannot be told */
  place(): SocketPlace;
  /** Whether this kernel has anything to tell: if not, it leaves the place to others once it has lost it. */
  isOfUse(): boolean;
  /** Somebody has connected. Takes the socket over, and returns what closes it. */
  serve(fd: number): Closeable;
  /** Is told why it does not listen, once until it does. */
  warn(message: string, cause: unknown): void;
}

const LOOK_EVERY_NS = 5_000_000_000n;
/** A thousand services that begin together are one reason to try. */
const TRY_EVERY_NS = 250_000_000n;

interface Listening {
  readonly path: string;
  readonly identity: string;
  /** What waits for the first connection, or serves it and all others. */
  stop(): void;
}

/** Listens for as long as anybody holds it. */
export class Listener {
  readonly #options: ListenerOptions;
  #holders = 0;
  #listening: Listening | undefined;
  #timer: Closeable | undefined;
  #triedAtNs: bigint | undefined;
  #isComplaining = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** Whether anybody holds it. */
  get isHeld(): boolean {
    return this.#holders > 0;
  }

  /** Somebody holds it from now on: it tries to listen where it does not. */
  hold(): void {
    this.#holders++;
    const nowNs = this.#options.clock.monotonicNs();
    const isEarly = this.#triedAtNs !== undefined && nowNs - this.#triedAtNs < TRY_EVERY_NS;
    if (this.#listening === undefined && !isEarly) this.#look({ isNew: true });
  }

  /** Somebody who has held it does so no longer. */
  release(): void {
    this.#holders--;
    if (!this.isHeld) this.#stop();
  }

  /** Sees to it that the place is this kernel's, if it may be. */
  #look({ isNew }: { readonly isNew: boolean }): void {
    const { clock } = this.#options;
    this.#timer?.close();
    this.#triedAtNs = clock.monotonicNs();
    this.#timer = clock.wakeAt(this.#triedAtNs + LOOK_EVERY_NS, () => this.#look({ isNew: false }));
    try {
      if (this.#listening !== undefined && identityOf(this.#listening.path) === this.#listening.identity) return;
      if (isNew || this.#listening !== undefined || this.#options.isOfUse()) this.#listen();
      this.#isComplaining = false;
    } catch (cause) {
      if (!this.#isComplaining) this.#options.warn('unable to listen for requests, it is tried again', cause);
      this.#isComplaining = true;
    }
  }

  /** @throws Error when it cannot */
  #listen(): void {
    const { path, mode, gid } = this.#options.place();
    if (isTaken(path)) return;
    // Made under another name: it is complete when it gets its own, and whatever has that is replaced at once.
    const freshPath = `${path}.new-${process.pid}`;
    rmSync(freshPath, { force: true });
    const fd = listenAt(freshPath, 0o600);
    let identity: string;
    try {
      if (gid !== undefined) chownSync(freshPath, process.geteuid?.() ?? 0, gid);
      chmodSync(freshPath, mode);
      identity = fileIdentity(freshPath);
      renameSync(freshPath, path);
    } catch (error) {
      closeSync(fd);
      rmSync(freshPath, { force: true });
      throw error;
    }
    this.#stopListening(); // the one that nobody finds any more
    this.#listening = { path, identity, stop: this.#await(fd) };
  }

  /** Until somebody connects, a descriptor is all that this takes. */
  #await(fd: number): () => void {
    let serving: Closeable | undefined;
    let isOpen = true;
    const watch = this.#options.readiness.watchReadable(fd, () => {
      watch.close();
      if (isOpen) serving = this.#options.serve(fd);
    });
    return () => {
      if (!isOpen) return;
      isOpen = false;
      if (serving !== undefined) {
        serving.close();
        return;
      }
      watch.close();
      closeSync(fd);
    };
  }

  #stop(): void {
    this.#timer?.close();
    this.#timer = undefined;
    this.#triedAtNs = undefined;
    this.#stopListening();
  }

  #stopListening(): void {
    const listening = this.#listening;
    this.#listening = undefined;
    if (listening === undefined) return;
    const { path, identity, stop } = listening;
    stop();
    // Somebody else may have the place by now.
    if (identityOf(path) === identity) rmSync(path, { force: true });
  }
}

/** Whether somebody listens there. @throws Error for what is no socket, and must not be replaced */
function isTaken(path: string): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return false;
  if (!stats.isSocket()) throw new Error(`${path} is there and is no socket`);
  return isListening(path);
}

function identityOf(path: string): string | undefined {
  try {
    return fileIdentity(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined;
    throw error;
  }
}
