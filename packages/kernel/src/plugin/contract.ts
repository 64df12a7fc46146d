/** What a plugin is, and what it is given. */
import type { KernelHooks, ServiceDirectory } from '../hooks.ts';
import type { Clock, Closeable, Readiness } from '../ports.ts';
import type { PluginProfile } from './host.ts';

/**
 * The version of all that a plugin meets: hooks, ports and this contract. It goes up when a plugin that kept to it
 * would no longer work.
 */
export const API_VERSION = 1;

/** A plugin, ready to be applied: what a factory that `definePlugin` has made returns. */
export interface Plugin {
  /** Named in every message about the plugin; no two plugins of a kernel share it. */
  readonly name: string;
  /** The {@link API_VERSION} it is made for; a kernel of another one refuses it. */
  readonly apiVersion: number;
  /** The names of plugins that it is of no use without; default: none. */
  readonly requires?: readonly string[];
  /** Whether it is asked and told about all helpers, as about services; default: about its own alone. */
  readonly meetsHelpers?: boolean;
  /**
   * Where a configuration names it, for messages: `plugins[2] in daemontap.config.json`. Default: nowhere, it is one of
   * the kernel's own, and speaks in daemontools' words.
   */
  readonly origin?: string;
  /** What it was made of, for those who show plugins. Default: not known. */
  readonly source?: PluginSource;
  /** Taps hooks, and no more: it opens nothing, starts nothing and is called once. */
  apply(kernel: PluginKernel): void;
}

/** What a plugin was made of. */
export interface PluginSource {
  /** What has named it: `plugins[1] in daemontap.config.yaml`, `preset daemontools`. */
  readonly place: string;
  /** Its file, or what stands for that. */
  readonly module: string;
  /** Of its package; `undefined`: it has none. */
  readonly version: string | undefined;
  /** As its factory was given them. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** The kernel as one plugin sees it. */
export interface PluginKernel {
  readonly hooks: PluginHooks;
  /** Says something in the plugin's name. */
  readonly log: Logger;
  readonly clock: Clock;
  readonly readiness: Readiness;
  /**
   * Hands over what the plugin has opened within a hook for itself: it is closed with the kernel, and when the plugin is
   * replaced. What a hook takes is handed to the hook.
   */
  opened(thing: Closeable): void;
  /**
   * A directory of the plugin's own, for what is to outlive the kernel: sockets, pipes, records. Mode 0711, made at the
   * first call, the same for each kernel of the scan directory, gone with the next boot. To be called from within hooks.
   * @throws when it cannot be made, or belongs to somebody else
   */
  stateDir(): string;
  /**
   * Supervises a process of the plugin's own, as a service of the role `helper`: started again a second after its end,
   * and taken over by a later kernel. It is told to stop once everybody who has asked for it has closed what they were
   * given; that is theirs, and outlives the plugin where it was replaced, unless it is handed to `opened`. A stop of the
   * kernel closes what was handed there, once all services have ended, and waits for all helpers. To be called from
   * within hooks.
   */
  supervise(helper: HelperOptions): Closeable;
  /**
   * What the configuration says for this plugin and this service alone, over the plugin's own options; nothing is
   * checked yet. Usually empty. `definePlugin` makes `optionsFor` of it.
   * @throws when the service's own configuration cannot be used
   */
  serviceOptions(service: ServiceDirectory): Readonly<Record<string, unknown>>;
  /** All plugins of the kernel, and what their taps have cost until now. */
  profiles(): readonly PluginProfile[];
}

/** A process that a plugin needs. */
export interface HelperOptions {
  /** For messages, behind the plugin's name; one line. */
  readonly name: string;
  /**
   * Its service directory, within `stateDir()`: `./run` in it is started, or what the plugin's own tap of `prepareSpawn`
   * says.
   */
  readonly path: string;
}

/** The hooks, to tap and no more. Whatever name a tap is given, it is known by its plugin's. */
export type PluginHooks = { readonly [K in keyof KernelHooks]: Tappable<KernelHooks[K]> };

type Tappable<H> = H extends { tapPromise: unknown; tap: unknown }
  ? Pick<H, 'tap' | 'tapPromise'>
  : H extends { tap: unknown }
    ? Pick<H, 'tap'>
    : never;

/** Says something. What becomes of it is decided by the plugins that tap `reported`. */
export interface Logger {
  /** Something is given up: `unable to VERB OBJECT`. The supervisor goes on. */
  fatal(message: string, about?: ReportAbout): void;
  /** Something is not as it should be, and is tried again or done without. */
  warning(message: string, about?: ReportAbout): void;
  /** Something happened that is worth a line. The preset's plain messages leave it out. */
  info(message: string, about?: ReportAbout): void;
  /** For who looks for a fault. */
  debug(message: string, about?: ReportAbout): void;
}

/** What a message is about. */
export interface ReportAbout {
  /** The reason, shown behind the message. */
  readonly cause?: unknown;
  /** With a service, the message is `supervise`'s, else `svscan`'s. */
  readonly service?: { readonly label: string };
}
