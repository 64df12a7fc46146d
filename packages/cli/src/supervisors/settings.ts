/**
 * What can be set about a supervisor. svscan and supervise take no options, so it is read from the environment; a
 * service gets those variables as it gets all others of the caller.
 */

/** The settings of svscan and supervise. */
export interface Settings {
  /** `DAEMONTAP_LOG`: how messages are shown; default `plain`, daemontools' lines. */
  readonly log: 'plain' | 'json' | 'pretty';
  /** `DAEMONTAP_ON_TERM`: what TERM and INT do to svscan; default `stop`. `leave`: it ends as C's, services run on. */
  readonly onTerm: 'stop' | 'leave';
  /** `DAEMONTAP_STOP_TIMEOUT`, seconds: until a service that was told to stop is killed; default 30, `0`: never. */
  readonly stopTimeoutMs: number | undefined;
  /** `DAEMONTAP_RUNTIME_DIR`: where log pipes and records are kept; default: see docs/operations.md. */
  readonly runtimeRoot: string;
}

/** A setting that cannot be used. */
export class SettingError extends Error {
  static {
    this.prototype.name = 'SettingError';
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What a setting is called where it can be given: in a configuration, and in the environment. */
export const settingVariables = {
  log: 'DAEMONTAP_LOG',
  onTerm: 'DAEMONTAP_ON_TERM',
  stopTimeout: 'DAEMONTAP_STOP_TIMEOUT',
  runtimeDir: 'DAEMONTAP_RUNTIME_DIR',
} as const;

/** The name of a setting. */
export type SettingKey = keyof typeof settingVariables;

/** What stands for a setting, in the unit of a configuration: seconds. */
export interface SettingValues {
  readonly log: Settings['log'];
  readonly onTerm: Settings['onTerm'];
  readonly stopTimeout: number;
  readonly runtimeDir: string;
}

/** Reads each setting from text; a string that is no value says what would be right. */
export const settingTexts: {
  readonly [K in SettingKey]: (text: string) => { readonly value: SettingValues[K] } | { readonly mustBe: string };
} = {
  log: (text) => choose(text, ['plain', 'json', 'pretty']),
  onTerm: (text) => choose(text, ['stop', 'leave']),
  stopTimeout: (text) =>
    /^\d{1,6}(\.\d{1,3})?$/.test(text) ? { value: Number(text) } : { mustBe: 'a number of seconds, or 0 for never' },
  runtimeDir: (text) => ({ value: text }),
};

/** The values of settings that nobody has given. */
export function defaultSettings(environment: Environment, uid: number): SettingValues {
  return { log: 'plain', onTerm: 'stop', stopTimeout: 30, runtimeDir: defaultRuntimeRoot(environment, uid) };
}

/** Settings as a supervisor takes them. */
export function settingsOf({ log, onTerm, stopTimeout, runtimeDir }: SettingValues): Settings {
  return { log, onTerm, stopTimeoutMs: stopTimeout === 0 ? undefined : stopTimeout * 1000, runtimeRoot: runtimeDir };
}

/**
 * Reads the settings of a process with this environment and user id.
 * @throws SettingError naming the variable, its value and what would be right
 */
export function readSettings(environment: Environment, uid: number): Settings {
  const read = <K extends SettingKey>(key: K): { readonly [N in K]?: SettingValues[N] } => {
    const variable = settingVariables[key];
    const text = given(environment, variable);
    if (text === undefined) return {};
    const result = settingTexts[key](text);
    if ('value' in result) return { [key]: result.value } as { readonly [N in K]: SettingValues[N] }; // of this key
    throw new SettingError(`unable to use ${variable}=${text}: it must be ${result.mustBe}`);
  };
  return settingsOf({
    ...defaultSettings(environment, uid),
    ...read('log'),
    ...read('onTerm'),
    ...read('stopTimeout'),
    ...read('runtimeDir'),
  });
}

/** A variable that is set to nothing is not set. */
export function given(environment: Environment, name: string): string | undefined {
  return environment[name] === '' ? undefined : environment[name];
}

function choose<T extends string>(
  text: string,
  values: readonly [T, ...T[]],
): { readonly value: T } | { readonly mustBe: string } {
  const value = values.find((each) => each === text);
  return value === undefined ? { mustBe: list(values) } : { value };
}

function list(values: readonly string[]): string {
  return `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
}

/** /run is root's; a user's session has a place of its own; without either, one below /tmp that is checked for owner. */
function defaultRuntimeRoot(environment: Environment, uid: number): string {
  if (uid === 0) return '/run/daemontap';
  const session = given(environment, 'XDG_RUNTIME_DIR');
  return session === undefined ? `/tmp/daemontap-${uid}` : `${session}/daemontap`;
}
