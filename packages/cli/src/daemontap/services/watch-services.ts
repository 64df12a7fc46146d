/**
 * Sees what becomes of services: by the events of their kernels, or by looking at their files. There a change of
 * supervise/ only hurries the next look; the timed one is the truth.
 */
import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { reasonText } from '@daemontap/formats';
import { program as voiceOf } from '../../program.ts';
import { AskError } from './ask-error.ts';
import { keyOf } from './ask-kernel.ts';
import type { AskedKernel, KernelEvent } from './ask-kernel.ts';
import { viewByKernel } from './find-services.ts';
import type { FoundService } from './find-services.ts';
import type { NamedService } from './service-words.ts';
import type { ServiceView } from './service-view.ts';
import { viewByFiles } from './supervise-files.ts';

const LOOK_EVERY_MS = 100;
const SUPERVISE = Buffer.from('/supervise');

const { warning } = voiceOf('daemontap');

/** Is told what is seen. */
export interface Watcher {
  seen(service: NamedService, view: ServiceView): void;
  /** A process has ended; how. */
  ended(service: NamedService, text: string): void;
  /** A start has failed; why. */
  startFailed(service: NamedService, text: string): void;
}

/** Services that are seen until it is closed. */
export class Watch {
  readonly #watcher: Watcher;
  readonly #byFiles = new Set<NamedService>();
  readonly #files: FSWatcher[] = [];
  readonly #end = new AbortController();
  #change: PromiseWithResolvers<void> = Promise.withResolvers();

  private constructor(watcher: Watcher) {
    this.#watcher = watcher;
  }

  /** Begins, and resolves once nothing that comes later can be missed. */
  static async begin(found: readonly FoundService[], watcher: Watcher): Promise<Watch> {
    const watch = new Watch(watcher);
    const begun = [...Map.groupBy(found, ({ kernel }) => kernel)].map(async ([kernel, those]) => {
      if (kernel === undefined) for (const { service } of those) watch.#goByFiles(service);
      else await watch.#follow(kernel, those);
    });
    await Promise.all(begun);
    return watch;
  }

  /** A service is no longer of interest. */
  leave(service: NamedService): void {
    this.#byFiles.delete(service);
  }

  /** Looks at those whose files must be looked at. */
  look(): void {
    for (const service of this.#byFiles) this.#watcher.seen(service, viewByFiles(service));
  }

  /** Resolves when something may have changed, or after that time. */
  async next(timeoutMs: number): Promise<void> {
    const timeout = new AbortController();
    const ms = Math.min(timeoutMs, this.#byFiles.size > 0 ? LOOK_EVERY_MS : timeoutMs);
    await Promise.race([this.#change.promise, sleep(ms, undefined, { signal: timeout.signal }).catch(() => {})]);
    timeout.abort();
    this.#change = Promise.withResolvers();
  }

  close(): void {
    this.#end.abort();
    for (const watcher of this.#files) watcher.close();
  }

  /** Resolves when all of them were seen once. */
  #follow(kernel: AskedKernel, found: readonly FoundService[]): Promise<void> {
    const byKey = new Map(found.flatMap(({ service, told }) => (told === undefined ? [] : [[keyOf(told), service]])));
    return new Promise((resolve) => {
      const done = (): void => {
        this.#change.resolve();
        resolve();
      };
      const happened = (event: KernelEvent): void => {
        this.#happened(event, byKey);
        done();
      };
      kernel.follow(happened, this.#end.signal).catch((error: unknown) => {
        const reason = error instanceof AskError ? error.message : reasonText(error);
        warning(`unable to follow what becomes of services: ${reason}; going by the files in supervise/`);
        for (const { service } of found) this.#goByFiles(service);
        done();
      });
    });
  }

  #happened(event: KernelEvent, byKey: ReadonlyMap<string, NamedService>): void {
    if (event.type === 'are') {
      for (const told of event.services) {
        const service = byKey.get(keyOf(told));
        if (service !== undefined) this.#watcher.seen(service, viewByKernel(service, told));
      }
      return;
    }
    const service = byKey.get(event.key);
    if (service === undefined) return;
    if (event.type === 'released') this.#goByFiles(service);
    else this.#watcher[event.type](service, event.text);
  }

  #goByFiles(service: NamedService): void {
    this.#byFiles.add(service);
    try {
      const path = Buffer.concat([service.directory, SUPERVISE]);
      const watcher = watch(path, { persistent: false }, () => this.#change.resolve());
      this.#files.push(watcher.on('error', () => {}));
    } catch {
      // There are too many, or it is not there: it is looked at all the same.
    }
  }
}
