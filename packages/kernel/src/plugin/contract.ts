/** What a plugin is, and what it is given. */
import type { KernelHooks } from '../hooks.ts';
import type { Clock, Readiness } from '../ports.ts';

/** A plugin. `apply` only taps hooks: it opens nothing, starts nothing and is called once. */
export interface Plugin {
  /** Named in every message about the plugin; no two plugins of a kernel share it. */
  readonly name: string;
  apply(kernel: PluginKernel): void;
}

/** The kernel as a plugin sees it. */
export interface PluginKernel {
  readonly hooks: PluginHooks;
  readonly log: Logger;
  readonly clock: Clock;
  readonly readiness: Readiness;
  /**
   * The kernel's own directory, for what daemontools does not know: mode 0711, made at the first call. To be called
   * from within hooks.
   * @throws when it cannot be made, or belongs to somebody else
   */
  runtimeDir(): string;
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
  fatal(message: string, about?: ReportAbout): void;
  warning(message: string, about?: ReportAbout): void;
  info(message: string, about?: ReportAbout): void;
  debug(message: string, about?: ReportAbout): void;
}

/** What a message is about. */
export interface ReportAbout {
  /** The reason, shown behind the message. */
  readonly cause?: unknown;
  /** With a service, the message is `supervise`'s, else `svscan`'s. */
  readonly service?: { readonly label: string };
}
