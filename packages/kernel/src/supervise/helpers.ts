/**
 * Processes that plugins need: each is supervised as a service is, in a directory of its plugin's own, for as long as
 * somebody has asked for it and not let go.
 */
import type { Core } from '../core.ts';
import { explain } from '../errors.ts';
import type { KernelHooks, ServiceDirectory } from '../hooks.ts';
import type { HelperOptions } from '../plugin/contract.ts';
import type { Closeable, HeldDirectory } from '../ports.ts';
import { Service } from './service.ts';

/** After an attempt that failed: the predecessor that has the lock may be about to end. */
const TRY_AGAIN_NS = 250_000_000n;

/** All helpers of one kernel. */
export class Helpers {
  readonly #core: Core;
  readonly #helpers = new Map<string, Helper>();
  readonly #done = Promise.withResolvers<void>();
  #deadline: Closeable | undefined;
  #isStopping = false;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Supervises a helper, one for each path, until all that were returned for it are closed. */
  open(plugin: string, { name, path }: HelperOptions): Closeable {
    const known = this.#helpers.get(path);
    const helper =
      known ??
      new Helper({ core: this.#core, path, plugin, label: `${plugin}/${name}`, onGone: () => this.#drop(path) });
    if (known === undefined) this.#helpers.set(path, helper);
    return helper.open();
  }

  /** Lets plugins that have come later know them. */
  meet(hooks: KernelHooks): void {
    for (const helper of this.#helpers.values()) helper.meet(hooks);
  }

  /** Resolves when all have ended: those that are still needed have the time that services have, then they must. */
  stop(): Promise<void> {
    const { ports, stopTimeoutNs } = this.#core;
    this.#isStopping = true;
    const insist = (command: 'd' | 'k'): void => {
      if (this.#helpers.size === 0 || stopTimeoutNs === undefined) return;
      this.#deadline = ports.clock.wakeAt(ports.clock.monotonicNs() + stopTimeoutNs, () => {
        for (const helper of this.#helpers.values()) helper.insist(command);
        if (command === 'd') insist('k');
      });
    };
    insist('d');
    this.#resolveWhereDone();
    return this.#done.promise;
  }

  #drop(path: string): void {
    this.#helpers.delete(path);
    this.#resolveWhereDone();
  }

  #resolveWhereDone(): void {
    if (!this.#isStopping || this.#helpers.size > 0) return;
    this.#deadline?.close();
    this.#done.resolve();
  }
}

interface HelperSetUp {
  readonly core: Core;
  readonly path: string;
  readonly plugin: string;
  readonly label: string;
  /** Nobody needs it any more, and it has ended. */
  onGone(): void;
}

/** One helper: a service while it is supervised. */
class Helper {
  readonly #setUp: HelperSetUp;
  readonly #handles = new Set<Closeable>();
  #supervised: { readonly service: Service; readonly held: HeldDirectory } | undefined;
  #timer: Closeable | undefined;
  #hasComplained = false;

  constructor(setUp: HelperSetUp) {
    this.#setUp = setUp;
    const { clock } = setUp.core.ports;
    // Not at once: who has asked for it may be in the middle of a hook.
    this.#timer = clock.wakeAt(clock.monotonicNs(), () => this.#begin());
  }

  open(): Closeable {
    const handle = {
      isHelper: true,
      close: () => {
        if (this.#handles.delete(handle)) this.#leaveWhereUnneeded();
      },
    };
    this.#handles.add(handle);
    return handle;
  }

  meet(hooks: KernelHooks): void {
    this.#supervised?.service.meet(hooks);
  }

  /** The kernel stops, and its time is over. */
  insist(command: 'd' | 'k'): void {
    const { core, label } = this.#setUp;
    core.log.warning(`${label} has not ended in time: ${command === 'k' ? 'killing it' : 'stopping it'}`);
    this.#handles.clear();
    if (command === 'd') this.#leaveWhereUnneeded();
    else this.#supervised?.service.command('k');
  }

  #leaveWhereUnneeded(): void {
    if (this.#handles.size > 0) return;
    if (this.#supervised !== undefined) this.#supervised.service.leave();
    else this.#gone();
  }

  #begin(): void {
    const { core, label, plugin } = this.#setUp;
    let held: HeldDirectory | undefined;
    try {
      held = core.ports.files.hold(this.#setUp.path);
      const { identity, path } = held;
      const directory: ServiceDirectory = { label, role: 'helper', plugin, hasLog: false, identity, path };
      const service = new Service({
        core,
        directory,
        held,
        settles: false,
        sink: () => undefined,
        onChange: ({ phase }) => phase === 'gone' && this.#ended(),
      });
      this.#supervised = { service, held };
      if (service.state.phase === 'gone') this.#ended();
      else this.#leaveWhereUnneeded();
    } catch (error) {
      held?.close();
      this.#complain(error);
      this.#beginLater();
    }
  }

  /** It has left: by itself where somebody has told it to, and is begun anew where it is needed still. */
  #ended(): void {
    if (this.#supervised === undefined) return;
    const { held } = this.#supervised;
    this.#supervised = undefined;
    held.close();
    if (this.#handles.size > 0) this.#beginLater();
    else this.#gone();
  }

  #beginLater(): void {
    const { clock } = this.#setUp.core.ports;
    this.#timer = clock.wakeAt(clock.monotonicNs() + TRY_AGAIN_NS, () => this.#begin());
  }

  #gone(): void {
    this.#timer?.close();
    this.#setUp.onGone();
  }

  #complain(error: unknown): void {
    if (this.#hasComplained) return;
    this.#hasComplained = true;
    const { core, label } = this.#setUp;
    const { message, cause } = explain(error, `unable to supervise ${label}`);
    core.log.warning(`${message}: it is tried again`, { cause });
  }
}
