/**
 * The scan loop: looks at the scan directory every five seconds, and sooner when asked, and keeps one pair of
 * services for each directory in it. Looking may take long; nothing but the next look waits for it.
 */
import { closeAll } from '../close-all.ts';
import type { Core } from '../core.ts';
import { explain, systemCode } from '../errors.ts';
import type { KernelHooks } from '../hooks.ts';
import type { Closeable, HeldDirectory, ScanEntry } from '../ports.ts';
import { compareScan } from './compare.ts';
import type { ScanStep } from './compare.ts';
import { labelOf } from './label.ts';
import { ServicePair } from './pair.ts';
import { DescriptorRoom } from './room.ts';

const SCAN_EVERY_NS = 5_000_000_000n;
/** Between two hurried looks: a thousand directories made one by one are not to be a thousand looks. */
const LOOK_PAUSE_NS = 20_000_000n;
/**
 * A new kernel whose locks are held looks again so often, for so long, before it says so: the last child of one that was
 * killed has all of its locks until it executes something.
 */
const LOCKED_PAUSE_NS = 50_000_000n;
const LOCKED_FOR_NS = 2_000_000_000n;
/** What a service with a log service takes, at most. */
const DESCRIPTORS = 9;
/** New services begun before others get their turn. */
const BEGIN_AT_ONCE = 32;

/** Supervises what lies in a scan directory. */
export class ScanLoop {
  readonly #core: Core;
  readonly #held: HeldDirectory;
  readonly #pairs = new Map<string, { readonly pair: ServicePair; present: boolean }>();
  readonly #watchers: Closeable[] = [];
  readonly #done = Promise.withResolvers<void>();
  readonly #room: DescriptorRoom;
  readonly #begunAtNs: bigint;
  #timer: Closeable | undefined;
  /** When each was said last; monotonic clock. */
  readonly #complaints = new Map<string, bigint>();
  #isLooking = false;
  #isAskedAgain = false;
  #isLocked = false;
  #isHurried = false;
  #isStopping = false;

  constructor(core: Core, held: HeldDirectory) {
    this.#core = core;
    this.#held = held;
    this.#room = new DescriptorRoom(core.ports.files);
    this.#begunAtNs = core.ports.clock.monotonicNs();
  }

  /** Resolves after {@link ScanLoop.stop}, when no service is supervised any more. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** Begins to scan. */
  start(): void {
    this.#watch(this.#core.hooks);
    this.#look().catch((cause: unknown) => this.#complain('unable to scan', cause));
  }

  /** Lets plugins that have come later know all that is supervised. */
  meet(hooks: KernelHooks): void {
    if (!this.#isStopping) this.#watch(hooks);
    for (const { pair } of this.#pairs.values()) pair.meet(hooks);
  }

  /** Scans as soon as it can be done. */
  requestScan(): void {
    if (this.#isStopping) return;
    if (this.#isLooking) this.#isAskedAgain = true;
    else if (!this.#isHurried) this.#lookIn(LOOK_PAUSE_NS);
  }

  /** Stops scanning and ends every service in order. */
  stop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#timer?.close();
    this.#stopWatching();
    for (const { pair } of this.#pairs.values()) pair.stop({ kills: true });
    this.#finish();
  }

  #watch({ watchScanDirectory }: KernelHooks): void {
    watchScanDirectory.call({
      path: this.#held.path,
      requestScan: () => this.requestScan(),
      opened: (watcher) => {
        this.#watchers.push(watcher);
        if (this.#isStopping) this.#stopWatching();
      },
    });
  }

  #stopWatching(): void {
    closeAll(this.#watchers.splice(0), (error) => {
      const { message, cause } = explain(error, 'unable to stop watching the scan directory');
      this.#complain(message, cause);
    });
  }

  #lookIn(pauseNs: bigint): void {
    const { clock } = this.#core.ports;
    this.#timer?.close();
    this.#isHurried = pauseNs < SCAN_EVERY_NS;
    this.#timer = clock.wakeAt(clock.monotonicNs() + pauseNs, () => {
      this.#look().catch((cause: unknown) => this.#complain('unable to scan', cause));
    });
  }

  async #look(): Promise<void> {
    const { clock, files } = this.#core.ports;
    this.#isLooking = true;
    this.#isAskedAgain = false;
    this.#isLocked = false;
    this.#isHurried = false;
    this.#timer?.close();
    try {
      const lookedAtNs = clock.monotonicNs();
      const entries = await files.list(this.#held);
      await this.#apply(entries, lookedAtNs);
    } catch (cause) {
      this.#complain('unable to read directory', cause);
    } finally {
      this.#isLooking = false;
      if (!this.#isStopping) this.#lookIn(this.#pauseNs);
    }
  }

  get #pauseNs(): bigint {
    if (this.#isAskedAgain) return LOOK_PAUSE_NS;
    return this.#isLocked ? LOCKED_PAUSE_NS : SCAN_EVERY_NS;
  }

  /** True when it is too early to say that a lock is held. */
  #waitsForLock(): boolean {
    if (this.#core.ports.clock.monotonicNs() - this.#begunAtNs >= LOCKED_FOR_NS) return false;
    this.#isLocked = true;
    return true;
  }

  async #apply(entries: readonly ScanEntry[], lookedAtNs: bigint): Promise<void> {
    const known = [...this.#pairs].map(([identity, { pair, present }]) => ({ identity, name: pair.name, present }));
    let begun = 0;
    for (const step of compareScan(entries, known)) {
      if (this.#isStopping) return;
      try {
        this.#carryOut(step, lookedAtNs);
      } catch (error) {
        if (step.type === 'begin' && systemCode(error) === 'ENOENT') continue; // removed since the look
        const label = 'name' in step ? labelOf(step.name) : 'a service';
        const { message, cause } = explain(error, `unable to supervise ${label}`);
        this.#complain(message, cause);
      }
      // A first scan of thousands must not keep commands waiting.
      if (step.type === 'begin' && ++begun % BEGIN_AT_ONCE === 0) await this.#pause();
    }
  }

  #carryOut(step: ScanStep, lookedAtNs: bigint): void {
    switch (step.type) {
      case 'begin':
        this.#begin(step);
        break;
      case 'revisit': {
        const known = this.#pairs.get(step.identity);
        if (known === undefined) break; // it ended and was dropped since the look
        known.present = true;
        known.pair.visit({ ...step, lookedAtNs });
        break;
      }
      case 'vanish': {
        const known = this.#pairs.get(step.identity);
        if (known !== undefined) known.present = false;
        this.#drop(step.identity);
        break;
      }
      case 'complain':
        this.#complain(`unable to stat ${labelOf(step.name)}`, step.cause);
        break;
    }
  }

  #begin({ identity, name, instead }: Extract<ScanStep, { type: 'begin' }>): void {
    const { files, clock } = this.#core.ports;
    for (const old of instead) if (this.#makesWay(old)) return;
    if (!this.#room.take(DESCRIPTORS)) {
      this.#complain(`unable to supervise ${labelOf(name)}: too few descriptors are left`, undefined);
      return;
    }
    const held = files.holdInside(this.#held, name);
    if (held.identity !== identity) {
      held.close(); // replaced since the look: the next one will see
      this.#isAskedAgain = true;
      return;
    }
    const pair = new ServicePair({
      core: this.#core,
      held,
      name,
      waitsForLock: () => this.#waitsForLock(),
      onEnd: () => this.#onEnd(identity),
    });
    this.#pairs.set(identity, { pair, present: true });
    try {
      pair.visit({ name, changedAtNs: clock.wallNs(), lookedAtNs: clock.monotonicNs() });
    } catch (error) {
      this.#pairs.delete(identity);
      pair.close();
      throw error;
    }
  }

  /** Ends the service of a directory that was removed, for the new one of its name. True while it has not ended. */
  #makesWay(identity: string): boolean {
    const old = this.#pairs.get(identity);
    if (old === undefined || !this.#core.ports.files.isRemoved(old.pair.held)) return false;
    if (!old.pair.isLive) return false;
    if (old.pair.isStopping) return true;
    const { pid, label } = old.pair;
    const process = pid === undefined ? '' : ` (pid ${pid})`;
    this.#core.log.warning(`${label} was removed and made anew: the old service${process} is ended first`);
    old.pair.stop({ kills: false });
    return old.pair.isLive;
  }

  #onEnd(identity: string): void {
    const known = this.#pairs.get(identity);
    if (known === undefined) return;
    if (this.#isStopping || !known.present) this.#drop(identity);
    if (this.#isStopping) this.#finish();
    else if (!known.present) this.requestScan(); // a new directory may be waiting for the name
  }

  #drop(identity: string): void {
    const known = this.#pairs.get(identity);
    if (known === undefined || known.pair.isLive) return;
    this.#pairs.delete(identity);
    known.pair.close();
  }

  #finish(): void {
    for (const identity of [...this.#pairs.keys()]) this.#drop(identity);
    if (this.#pairs.size > 0) return;
    this.#done.resolve();
  }

  #pause(): Promise<void> {
    const { clock } = this.#core.ports;
    return new Promise((resolve) => clock.wakeAt(clock.monotonicNs(), resolve));
  }

  /** Says it, once in five seconds: what hurries the others may be the line itself, in a file that is here. */
  #complain(message: string, cause: unknown): void {
    const key = `${message}: ${String(cause)}`;
    const nowNs = this.#core.ports.clock.monotonicNs();
    const saidAtNs = this.#complaints.get(key);
    if (saidAtNs !== undefined && nowNs - saidAtNs < SCAN_EVERY_NS) return;
    for (const [old, atNs] of this.#complaints) if (nowNs - atNs >= SCAN_EVERY_NS) this.#complaints.delete(old);
    this.#complaints.set(key, nowNs);
    this.#core.log.warning(message, { cause });
  }
}
