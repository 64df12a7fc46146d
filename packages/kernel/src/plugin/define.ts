/** What a plugin is made with: its definition becomes a factory that checks the options before there is a plugin. */
import { KernelError } from '../errors.ts';
import type { ServiceDirectory } from '../hooks.ts';
import type { Plugin, PluginKernel } from './contract.ts';

/** Anything that checks a value as the Standard Schema specification says (https://standardschema.dev), at once. */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** What the specification puts under this name. `types` exists for the compiler alone. */
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** What a schema answers: the checked value, or what is wrong with it. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** One thing that is wrong with a value. */
export interface SchemaIssue {
  /** What is wrong, without where. */
  readonly message: string;
  /** From the value to the wrong part of it; default: the value itself. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

type Schema = StandardSchema<object, object>;
type InputOf<S> = S extends Schema ? NonNullable<S['~standard']['types']>['input'] : undefined;
type OutputOf<S> = S extends Schema ? NonNullable<S['~standard']['types']>['output'] : Record<never, never>;

/** What a plugin is made of. `S` is the schema of its options. */
export interface PluginDefinition<S extends Schema | undefined = undefined> {
  /** Names the plugin in configurations and messages: lower case, with hyphens. */
  readonly name: string;
  /** The kernel's `API_VERSION` that the plugin is written for: a number, not the constant, which is the kernel's own. */
  readonly apiVersion: number;
  /** Checks the options and fills in the defaults. Default: the plugin takes none. */
  readonly schema?: S;
  /** The names of plugins that it is of no use without; default: none. */
  readonly requires?: readonly string[];
  /** Whether it is asked and told about all helpers, as about services; default: about its own alone. */
  readonly meetsHelpers?: boolean;
  /** Taps hooks, and no more: it opens nothing, starts nothing and is called once. */
  apply(kernel: DefinedPluginKernel<OutputOf<S>>, options: OutputOf<S>): void;
}

/** The kernel as a defined plugin sees it. */
export interface DefinedPluginKernel<Options> extends PluginKernel {
  /**
   * The plugin's options for one service: its own, and over them what the configuration says for this service.
   * @throws `PLUGIN_OPTIONS`, and what `serviceOptions` throws; in a hook that asks this refuses what was asked for
   */
  optionsFor(service: ServiceDirectory): Options;
}

/** Makes a plugin of its options; `undefined`: it takes none. It throws `PLUGIN_OPTIONS` when they are wrong. */
export type PluginFactory<Options extends object | undefined = undefined> = (Options extends object
  ? Record<never, never> extends Options
    ? (options?: Options) => Plugin
    : (options: Options) => Plugin
  : () => Plugin) & {
  /** What was given to `definePlugin`: how a configuration knows a factory among a package's exports. */
  readonly definition: {
    readonly name: string;
    readonly apiVersion: number;
    readonly schema: StandardSchema<object, object> | undefined;
    readonly requires: readonly string[];
  };
};

/**
 * Makes the factory of a plugin: what a plugin's package exports.
 * @throws `PLUGIN_OPTIONS` (the factory) with all that is wrong with the options
 * @example
 * export const greeter = definePlugin({
 *   name: 'greeter',
 *   apiVersion: 1,
 *   schema: v.strictObject({ greeting: v.optional(v.string(), 'hello') }), // valibot's, or any Standard Schema
 *   apply({ hooks, log }, { greeting }) {
 *     hooks.serviceStarted.tap('greeter', (service, pid) => log.info(`${greeting} ${pid}`, { service }));
 *   },
 * });
 * const plugin = greeter({ greeting: 'good morning' });
 */
export function definePlugin<const S extends Schema | undefined = undefined>(
  definition: PluginDefinition<S>,
): PluginFactory<InputOf<S>> {
  const { name, apiVersion, schema, requires = [], meetsHelpers = false } = definition;
  const factory = (given: object = {}): Plugin => {
    const options = parseOptions(definition, given);
    return {
      name,
      apiVersion,
      requires,
      meetsHelpers,
      apply(kernel) {
        const optionsFor = (service: ServiceDirectory): OutputOf<S> => {
          const own = kernel.serviceOptions(service);
          return Object.keys(own).length === 0 ? options : parseOptions(definition, { ...given, ...own }, service);
        };
        definition.apply({ ...kernel, optionsFor }, options);
      },
    };
  };
  // What depends on S the type says, and the checks at run time are the same for all.
  return Object.freeze(Object.assign(factory, { definition: { name, apiVersion, schema, requires } })) as never;
}

/** @throws `PLUGIN_OPTIONS` */
function parseOptions<S extends Schema | undefined>(
  { name, schema }: PluginDefinition<S>,
  given: object,
  service?: ServiceDirectory,
): OutputOf<S> {
  const refuse = (reason: string): never => {
    const about = service === undefined ? '' : ` for ${service.label}`;
    throw new KernelError('PLUGIN_OPTIONS', `unable to use the options of plugin ${name}${about}: ${reason}`);
  };
  if (schema === undefined) {
    if (Object.keys(given).length > 0) refuse(`it takes none, and was given ${Object.keys(given).join(', ')}`);
    return {} as OutputOf<S>; // the type of no options
  }
  const result = schema['~standard'].validate(given);
  if (result instanceof Promise) return refuse('its schema does not answer at once');
  if (result.issues === undefined) return Object.freeze(result.value) as OutputOf<S>; // as the schema says
  return refuse(result.issues.map(issueText).join('; '));
}

/** `interval: Expected number`: where in the options, and what. */
function issueText({ path = [], message }: SchemaIssue): string {
  const keys = path.map((part) => String(typeof part === 'object' ? part.key : part));
  return keys.length === 0 ? message : `${keys.join('.')}: ${message}`;
}
