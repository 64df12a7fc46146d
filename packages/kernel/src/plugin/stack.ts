/** What a stack of plugins is written in: types for presets and configurations. Who reads them is not the kernel. */

/** One plugin of a stack: its name, or its name and its options. */
export type PluginEntry = string | readonly [name: string, options?: Readonly<Record<string, unknown>>];

/** A stack of plugins that has a name: what a preset's package exports. */
export interface Preset {
  /** What messages about its plugins call it. */
  readonly name: string;
  /** The plugins in the order in which they are applied, asked and told. */
  readonly plugins: readonly PluginEntry[];
}

/**
 * Types a preset.
 * @example
 * export const quiet = definePreset({ name: 'quiet', plugins: ['control-fifo', 'status-file'] });
 */
export function definePreset(preset: Preset): Preset {
  return Object.freeze(preset);
}

/** A configuration: what `daemontap.config.*` in a scan directory says. docs/configuration.md shows all of it. */
export interface Config {
  /** Presets whose plugins come first, by name; default `daemontools`. An empty list: none. */
  readonly preset?: string | readonly string[];
  /** Plugins of the presets that are left out, by name; default: none. */
  readonly without?: readonly string[];
  /** Further plugins, in the order in which they are applied, asked and told; default: none. */
  readonly plugins?: readonly PluginEntry[];
  /** Options for single services, by the service's and the plugin's name; default: none. */
  readonly services?: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>;
  /** What a service directory's own `daemontap.config.*` may set, each as `PLUGIN.OPTION`; default: nothing. */
  readonly allow?: readonly string[];
  /** How the preset shows messages; default `plain`, daemontools' lines. */
  readonly log?: 'plain' | 'json' | 'pretty';
  /** What TERM and INT do: stop all services in order, or leave them running; default `stop`. */
  readonly onTerm?: 'stop' | 'leave';
  /** Until a service that was told to stop is killed, in seconds; default 30, 0: never. */
  readonly stopTimeout?: number;
  /** Where pipes, records and the plugins' state are kept; default: docs/operations.md, "Settings". */
  readonly runtimeDir?: string;
}

/**
 * Types a configuration that is written as code. It must be data: it is evaluated in a process of its own.
 * @example
 * export default defineConfig({ plugins: [['greeter', { greeting: 'good morning' }]] });
 */
export function defineConfig(config: Config): Config {
  return config;
}
