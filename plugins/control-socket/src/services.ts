/**
 * The services of a kernel as the hooks tell of them, with who waits for a change. It never commands anything by itself,
 * and holds no more of a service than it would lose by a new start of the kernel.
 */
import { reasonText } from '@daemontap/formats';
import type { Clock, Closeable, ControlPort, ProcessEnd, ServiceDirectory, ServiceStatus } from '@daemontap/kernel';
import type { ExitHistory, KnownExit } from './exit-history.ts';

/** A service that can be commanded. Its members change with it. */
export interface Supervised {
  readonly directory: ServiceDirectory;
  readonly control: ControlPort;
  readonly status: ServiceStatus;
  /** How many of its processes this plugin was told of. */
  readonly starts: number;
  /** Why its last start has failed; `undefined`: it has not. */
  readonly failure: string | undefined;
  /** True once it is no longer supervised; then nothing of it changes any more. */
  readonly isReleased: boolean;
}

/** Is told what happens. */
export interface ServiceListener {
  changed(service: Supervised): void;
  started(service: Supervised, pid: number): void;
  ended(service: Supervised, exit: KnownExit): void;
  startFailed(service: Supervised, reason: string): void;
  released(service: Supervised): void;
}

interface Entry extends Supervised {
  status: ServiceStatus;
  starts: number;
  failure: string | undefined;
  isReleased: boolean;
  isAnnounced: boolean;
  /** The process that was told of last, and when it began on the monotonic clock. */
  pid: number | undefined;
  beganNs: bigint;
  /** Who waits, where anybody does. */
  watchers: Set<() => void> | undefined;
}

const UNTOLD: ServiceStatus = {
  pid: undefined,
  paused: false,
  want: 'down',
  sinceNs: 0n,
  startDue: false,
  leaving: false,
};

/** All services of a kernel. */
export class Services {
  readonly #clock: Clock;
  readonly #history: ExitHistory;
  readonly #listener: ServiceListener;
  /** The oldest first. */
  readonly #entries = new Map<ServiceDirectory, Entry>();
  #hasAbandoned = false;

  constructor({
    clock,
    history,
    listener,
  }: {
    readonly clock: Clock;
    readonly history: ExitHistory;
    readonly listener: ServiceListener;
  }) {
    this.#clock = clock;
    this.#history = history;
    this.#listener = listener;
  }

  /** Whether all that were supervised were released; if not, another one will be told of them. */
  get isOver(): boolean {
    return !this.#hasAbandoned && [...this.#entries.values()].every(({ isAnnounced }) => !isAnnounced);
  }

  /** All that have a status, by name. */
  get all(): readonly Supervised[] {
    return [...this.#entries.values()]
      .filter(({ isAnnounced }) => isAnnounced)
      .map((entry) => ({ entry, name: entry.directory.label }))
      .toSorted((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)))
      .map(({ entry }) => entry);
  }

  /** The service of that name at this moment; of two, which a rename may bring about, the younger. */
  find(name: string): Supervised | undefined {
    return [...this.#entries.values()].findLast(
      ({ directory, isAnnounced }) => isAnnounced && directory.label === name,
    );
  }

  /** Takes up a service. */
  open(directory: ServiceDirectory, control: ControlPort): void {
    this.#entries.delete(directory); // it is the youngest from now on
    this.#entries.set(directory, {
      directory,
      control,
      status: UNTOLD,
      starts: 0,
      failure: undefined,
      isReleased: false,
      isAnnounced: false,
      pid: undefined,
      beganNs: 0n,
      watchers: undefined,
    });
  }

  /** It cannot be commanded any more. */
  closed(directory: ServiceDirectory): void {
    const entry = this.#entries.get(directory);
    // It is told right now that it was released. If not, supervision has not begun, or this plugin is let go of.
    queueMicrotask(() => {
      if (entry !== undefined && this.#forget(entry) && entry.isAnnounced) this.#hasAbandoned = true;
    });
  }

  /** Calls back after each change of a service, and when it is released, until it is closed. */
  watch(service: Supervised, changed: () => void): Closeable {
    const entry = this.#entries.get(service.directory);
    if (entry === undefined) return { close() {} };
    entry.watchers ??= new Set();
    entry.watchers.add(changed);
    return {
      close() {
        entry.watchers?.delete(changed);
        if (entry.watchers?.size === 0) entry.watchers = undefined;
      },
    };
  }

  statusChanged(directory: ServiceDirectory, status: ServiceStatus): void {
    const entry = this.#entries.get(directory);
    if (entry === undefined) return;
    entry.status = status;
    entry.isAnnounced = true;
    const { pid, sinceNs } = status;
    if (pid !== undefined && entry.pid !== pid) {
      // Of one that was known nothing has told that it has ended: the service goes on as another one, without a start.
      if (entry.pid === undefined) entry.starts++;
      // An earlier kernel has started it, or an earlier object of this plugin has seen it: the wall clock tells.
      const agoNs = this.#clock.wallNs() - sinceNs;
      entry.pid = pid;
      entry.beganNs = this.#clock.monotonicNs() - (agoNs > 0n ? agoNs : 0n);
    }
    this.#listener.changed(entry);
    this.#callWatchers(entry);
  }

  serviceStarted(directory: ServiceDirectory, pid: number): void {
    const entry = this.#entries.get(directory);
    if (entry === undefined) return;
    entry.pid = pid;
    entry.beganNs = this.#clock.monotonicNs();
    entry.starts++;
    entry.failure = undefined;
    this.#listener.started(entry, pid);
  }

  startFailed(directory: ServiceDirectory, error: unknown): void {
    const entry = this.#entries.get(directory);
    if (entry === undefined) return;
    entry.failure = reasonText(error);
    this.#listener.startFailed(entry, entry.failure);
  }

  serviceEnded(directory: ServiceDirectory, pid: number, end: ProcessEnd | undefined): void {
    const entry = this.#entries.get(directory);
    if (entry === undefined) return;
    const ranForMs = entry.pid === pid ? Number((this.#clock.monotonicNs() - entry.beganNs) / 1_000_000n) : undefined;
    const exit = { pid, end, atNs: this.#clock.wallNs(), ranForMs };
    entry.pid = undefined;
    this.#history.add(directory, exit);
    this.#listener.ended(entry, exit);
  }

  serviceReleased(directory: ServiceDirectory): void {
    const entry = this.#entries.get(directory);
    if (entry === undefined) return;
    entry.isReleased = true;
    this.#forget(entry);
    this.#history.forget(directory);
    this.#listener.released(entry);
    this.#callWatchers(entry);
  }

  #forget(entry: Entry): boolean {
    return this.#entries.get(entry.directory) === entry && this.#entries.delete(entry.directory);
  }

  #callWatchers({ watchers }: Entry): void {
    for (const changed of [...(watchers ?? [])]) changed();
  }
}
