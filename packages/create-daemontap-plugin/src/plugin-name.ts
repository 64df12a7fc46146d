/** What a plugin is called: by npm, in a configuration, in messages and in code. */
import { CreateError } from './create-error.ts';

/** The names that follow from the one that was given. */
export interface PluginNames {
  /** npm's: `daemontap-plugin-rotate`, `@scope/daemontap-plugin-rotate`. */
  readonly packageName: string;
  /** In a configuration: `rotate`, `@scope/rotate`. */
  readonly shortName: string;
  /** What the kernel knows it by: `rotate`. */
  readonly pluginName: string;
  /** The factory that the package exports: `rotate`, `logToDisk`. */
  readonly factoryName: string;
  /** Where it is written when nobody says otherwise. */
  readonly directory: string;
}

/** npm's own limit for a name with its scope. */
const MAX_LENGTH = 214;
const PREFIX = 'daemontap-plugin-';

/** What no constant of a module can be called. */
const RESERVED = new Set(
  (
    'arguments await break case catch class const continue debugger default delete do else enum eval export extends ' +
    'false finally for function if implements import in instanceof interface let new null package private protected ' +
    'public return static super switch this throw true try typeof undefined var void while with yield'
  ).split(' '),
);

/**
 * Makes the names of what a user gave: `rotate`, `daemontap-plugin-rotate`, or either with a scope.
 * @throws CreateError when npm or the kernel would refuse the name
 */
export function parsePluginName(given: string): PluginNames {
  const [, scope = '', name = ''] = /^(@[a-z0-9][a-z0-9._-]*\/)?(?:daemontap-plugin-)?(.*)$/s.exec(given) ?? [];
  const packageName = `${scope}${PREFIX}${name}`;
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) {
    const rule =
      'lower-case letters and digits in words joined by hyphens, a letter first, like rotate or @scope/rotate';
    throw new CreateError(`unable to call a plugin ${JSON.stringify(given)}: a name has ${rule}`);
  }
  if (packageName.length > MAX_LENGTH) {
    throw new CreateError(`unable to call a plugin ${given}: ${packageName.length} characters are more than npm takes`);
  }
  const camelCase = name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  return {
    packageName,
    shortName: `${scope}${name}`,
    pluginName: name,
    factoryName: RESERVED.has(camelCase) ? `${camelCase}Plugin` : camelCase,
    directory: `${PREFIX}${name}`,
  };
}
