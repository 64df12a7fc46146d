/**
 * Has the plugins: gives each its view of the kernel, makes the hooks of what they have tapped, and lets go of all that
 * a plugin has open when it is replaced. What a tap does wrong, the guard sees to.
 */
import { closeAll } from '../close-all.ts';
import { KernelError, warn } from '../errors.ts';
import { createHooks } from '../hooks.ts';
import type { ControlPort, KernelHooks, Report, ReportLevel, ScanWatch, ServiceDirectory } from '../hooks.ts';
import type { Clock, Closeable, Readiness } from '../ports.ts';
import { API_VERSION } from './contract.ts';
import type {
  HelperOptions,
  Logger,
  Plugin,
  PluginHooks,
  PluginKernel,
  PluginSource,
  ReportAbout,
} from './contract.ts';
import { guard, nameFailure, titleOf, WAITING } from './guard.ts';
import type { HookProfile, Tap } from './guard.ts';

/** What the plugins of a kernel are given of it. */
export interface PluginHostOptions {
  readonly program: Report['program'];
  readonly clock: Clock;
  readonly readiness: Readiness;
  /** Makes the state directory of the plugin called so. */
  stateDir(plugin: string): string;
  serviceOptions(plugin: string, service: ServiceDirectory): Readonly<Record<string, unknown>>;
  /** Supervises a helper of the plugin called so. */
  supervise(plugin: string, helper: HelperOptions): Closeable;
}

/** What has become of a plugin's calls. */
export interface PluginProfile {
  /** As the plugin calls itself. */
  readonly name: string;
  /** Where a configuration names it; `undefined`: it is one of the kernel's own. */
  readonly origin: string | undefined;
  /** What it was made of; `undefined`: not known. */
  readonly source: PluginSource | undefined;
  /** One for each hook that it has tapped, in the order of the taps. */
  readonly hooks: readonly Readonly<HookProfile>[];
}

/** What a change of plugins has changed, by their names. */
export interface PluginChanges {
  /** Applied anew, those among them that replace one of their name; in the order of the stack. */
  readonly added: readonly string[];
  /** Let go of, those among them that were replaced. */
  readonly removed: readonly string[];
}

/** The options of a tap; its name is the plugin's, whatever it says. */
type TapOptions = string | { readonly stage?: number; readonly before?: string | string[] };

interface RecordedTap {
  readonly hook: keyof KernelHooks;
  readonly options: TapOptions;
  readonly call: Tap;
}

interface Applied {
  readonly plugin: Plugin;
  readonly taps: RecordedTap[];
  readonly profiles: Map<string, HookProfile>;
  readonly opened: Set<Closeable & { readonly isHelper: boolean }>;
}

/** The plugins of one kernel. */
export class PluginHost {
  readonly #options: PluginHostOptions;
  readonly log: Logger;
  #applied: readonly Applied[] = [];
  /** What was said while plugins are applied: it is shown by those that are applied then. */
  #unsaid: Report[] | undefined;
  #hooks: KernelHooks = createHooks();

  constructor(options: PluginHostOptions) {
    this.#options = options;
    this.log = this.#loggerOf(undefined);
  }

  /** The hooks with what all plugins have tapped. Another object after {@link PluginHost.replace}. */
  get hooks(): KernelHooks {
    return this.#hooks;
  }

  get profiles(): readonly PluginProfile[] {
    return this.#applied.map(({ plugin: { name, origin, source }, profiles }) => ({
      name,
      origin,
      source,
      hooks: [...profiles.values()].map((each) => ({ ...each })),
    }));
  }

  /**
   * Takes these plugins instead of those before. Who is the very same object as before stays as it is; of who is gone
   * all is closed; the others are applied, and none is taken when one of them cannot be.
   * @returns what changed, and the hooks with what the new ones alone have tapped: they have missed what others know
   * @throws `PLUGIN_NAME_TAKEN`, `PLUGIN_API`, `PLUGIN_MISSING`, `PLUGIN_FAILED`
   */
  replace(plugins: readonly Plugin[]): PluginChanges & { readonly addedHooks: KernelHooks } {
    checkAll(plugins);
    const kept = new Map(this.#applied.map((each) => [each.plugin, each]));
    const added: Applied[] = [];
    const next = plugins.map((plugin) => {
      const known = kept.get(plugin);
      if (known !== undefined) return known;
      const applied: Applied = { plugin, taps: [], profiles: new Map(), opened: new Set() };
      added.push(applied);
      return applied;
    });
    const unsaid: Report[] = [];
    this.#unsaid = unsaid;
    try {
      for (const each of added) this.#apply(each);
    } catch (error) {
      for (const each of added) this.#close(each);
      throw error;
    } finally {
      this.#unsaid = undefined;
    }
    const removed = this.#applied.filter((each) => !next.includes(each));
    this.#applied = next;
    this.#hooks = hooksOf(next);
    for (const each of removed.toReversed()) this.#close(each);
    for (const report of unsaid) this.#hooks.reported.call(report);
    return {
      added: added.map(({ plugin }) => plugin.name),
      removed: removed.map(({ plugin }) => plugin.name),
      addedHooks: hooksOf(added),
    };
  }

  /** Lets go of all that plugins have open, or of what is meant of it. */
  close(isMeant?: (opened: { readonly isHelper: boolean }) => boolean): void {
    for (const each of this.#applied.toReversed()) this.#close(each, isMeant);
  }

  #apply(applied: Applied): void {
    const { plugin, opened } = applied;
    const { clock, readiness, stateDir, serviceOptions, supervise } = this.#options;
    const kernel: PluginKernel = {
      hooks: this.#viewFor(applied),
      log: this.#loggerOf(plugin),
      clock: {
        monotonicNs: () => clock.monotonicNs(),
        wallNs: () => clock.wallNs(),
        wakeAt: (atNs, callback) => {
          const call = this.#guardedCallback(plugin, 'wakeAt', callback);
          const wake = (): void => {
            opened.delete(timer);
            call();
          };
          const timer = this.#owned(applied, clock.wakeAt(atNs, wake));
          return timer;
        },
      },
      readiness: {
        watchReadable: (fd, callback) =>
          this.#owned(applied, readiness.watchReadable(fd, this.#guardedCallback(plugin, 'watchReadable', callback))),
      },
      stateDir: () => stateDir(plugin.name),
      serviceOptions: (service) => serviceOptions(plugin.name, service),
      profiles: () => this.profiles,
      supervise: (helper) => supervise(plugin.name, helper),
      opened: (thing) => void this.#owned(applied, thing),
    };
    try {
      plugin.apply(kernel);
    } catch (cause) {
      throw new KernelError('PLUGIN_FAILED', `unable to apply plugin ${titleOf(plugin)}`, { cause });
    }
  }

  /** A view without `call` and `promise`: only the kernel calls. */
  #viewFor(applied: Applied): PluginHooks {
    const tapWith = (hook: keyof KernelHooks) => (options: TapOptions, tap: Tap) => {
      const recorded = { hook, options, call: this.#guarded(applied, hook, tap) };
      applied.taps.push(recorded);
      if (this.#applied.includes(applied)) addTap(this.#hooks, applied.plugin.name, recorded); // later than in apply
    };
    const entries = Object.keys(this.#hooks).map((name) => {
      const key = name as keyof KernelHooks; // of createHooks
      const tap = tapWith(key);
      return [key, WAITING.has(key) ? { tap, tapPromise: tap } : { tap }];
    });
    // The entries are those of the hooks, one by one.
    return Object.freeze(Object.fromEntries(entries)) as PluginHooks;
  }

  #guarded(applied: Applied, hook: keyof KernelHooks, tap: Tap): Tap {
    const { plugin, profiles } = applied;
    let profile = profiles.get(hook);
    if (profile === undefined) {
      profile = { hook, calls: 0, failures: 0, spentNs: 0n, longestNs: 0n, waitedNs: 0n };
      profiles.set(hook, profile);
    }
    const guarded = guard({ tap, plugin, profile, clock: this.#options.clock, log: this.log });
    if (hook !== 'openControl' && hook !== 'watchScanDirectory') return guarded;
    // What a plugin hands over within these is closed with the plugin, too.
    const scoped = <P extends ControlPort | ScanWatch>(port: P): P => ({
      ...port,
      opened: (thing: Closeable) => port.opened(this.#owned(applied, thing)),
    });
    return (...args) => guarded(...args.slice(0, -1), scoped(args.at(-1) as ControlPort | ScanWatch));
  }

  #close({ opened }: Applied, isMeant: (each: { readonly isHelper: boolean }) => boolean = () => true): void {
    closeAll([...opened].filter(isMeant), (error) => warn(this.log, error, 'unable to close a plugin'));
  }

  /** The same thing, which is forgotten once it is closed, and whose failure bears the plugin's name. */
  #owned({ plugin, opened }: Applied, thing: Closeable): Closeable & { readonly isHelper: boolean } {
    const own = {
      isHelper: 'isHelper' in thing,
      close() {
        if (!opened.delete(own)) return;
        try {
          thing.close();
        } catch (error) {
          throw nameFailure({ plugin, what: 'close', error });
        }
      },
    };
    opened.add(own);
    return own;
  }

  /** Called by the system, where nobody but this could say whose it is. */
  #guardedCallback(plugin: Plugin, what: string, callback: () => void): () => void {
    return () => {
      try {
        callback();
      } catch (error) {
        const { message, cause } = nameFailure({ plugin, what: `the callback of ${what}`, error });
        this.log.warning(message, { cause });
      }
    };
  }

  #loggerOf(plugin: Plugin | undefined): Logger {
    const by = plugin?.origin === undefined ? undefined : plugin.name;
    const say =
      (level: ReportLevel) =>
      (message: string, { cause, service }: ReportAbout = {}): void => {
        const program = service === undefined ? this.#options.program : 'supervise';
        const report = { level, program, plugin: by, message, cause, service: service?.label };
        if (this.#unsaid === undefined) this.#hooks.reported.call(report);
        else this.#unsaid.push(report);
      };
    return { fatal: say('fatal'), warning: say('warning'), info: say('info'), debug: say('debug') };
  }
}

/** @throws `PLUGIN_NAME_TAKEN`, `PLUGIN_API`, `PLUGIN_MISSING` */
function checkAll(plugins: readonly Plugin[]): void {
  const known = new Map<string, Plugin>();
  for (const plugin of plugins) {
    const { name, apiVersion } = plugin;
    const other = known.get(name);
    if (other !== undefined) {
      const places = [other, plugin].map(({ origin }) => origin).filter((origin) => origin !== undefined);
      const where = places.length === 0 ? '' : ` (${places.join(', ')})`;
      throw new KernelError('PLUGIN_NAME_TAKEN', `two plugins are called ${name}${where}`);
    }
    if (apiVersion !== API_VERSION) {
      const message = `plugin ${titleOf(plugin)} is made for version ${apiVersion} of the plugin API: this kernel has ${API_VERSION}`;
      throw new KernelError('PLUGIN_API', message);
    }
    known.set(name, plugin);
  }
  for (const plugin of plugins) {
    const missing = (plugin.requires ?? []).find((name) => !known.has(name));
    if (missing === undefined) continue;
    const message = `plugin ${titleOf(plugin)} needs plugin ${missing}, which is not there`;
    throw new KernelError('PLUGIN_MISSING', message);
  }
}

function hooksOf(plugins: readonly Applied[]): KernelHooks {
  const hooks = createHooks();
  for (const { plugin, taps } of plugins) for (const tap of taps) addTap(hooks, plugin.name, tap);
  return hooks;
}

function addTap(hooks: KernelHooks, name: string, { hook, options, call }: RecordedTap): void {
  // Each hook's own types are checked where a plugin taps it.
  const target = hooks[hook] as unknown as Record<'tap' | 'tapAsync', (options: object, tap: Tap) => void>;
  const named = typeof options === 'string' ? { name } : { ...options, name };
  if (WAITING.has(hook)) target.tapAsync(named, answering(call));
  else target.tap(named, call);
}

/** The tap for a hook that waits: an answer that is there at once is given at once, and a promised one when it comes. */
function answering(call: Tap): Tap {
  return (...args) => {
    const done = args.pop() as (error: unknown, answer?: unknown) => void; // tapable's
    let given: unknown;
    try {
      given = call(...args);
    } catch (error) {
      done(error);
      return;
    }
    if (given instanceof Promise) given.then((answer: unknown) => done(undefined, answer), done);
    else done(undefined, given);
  };
}
