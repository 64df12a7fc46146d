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

/**
 * Reads the settings of a process with this environment and user id.
 * @throws SettingError naming the variable, its value and what would be right
 */
export function readSettings(environment: Environment, uid: number): Settings {
  return {
    log: choose(environment, 'DAEMONTAP_LOG', ['plain', 'json', 'pretty']),
    onTerm: choose(environment, 'DAEMONTAP_ON_TERM', ['stop', 'leave']),
    stopTimeoutMs: stopTimeout(given(environment, 'DAEMONTAP_STOP_TIMEOUT')),
    runtimeRoot: given(environment, 'DAEMONTAP_RUNTIME_DIR') ?? defaultRuntimeRoot(environment, uid),
  };
}

/** A variable that is set to nothing is not set. */
function given(environment: Environment, name: string): string | undefined {
  return environment[name] === '' ? undefined : environment[name];
}

function choose<T extends string>(environment: Environment, name: string, values: readonly [T, ...T[]]): T {
  const text = given(environment, name);
  if (text === undefined) return values[0];
  const value = values.find((each) => each === text);
  if (value === undefined) throw new SettingError(`unable to use ${name}=${text}: it must be ${list(values)}`);
  return value;
}

function list(values: readonly string[]): string {
  return `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
}

function stopTimeout(text: string | undefined): number | undefined {
  if (text === undefined) return 30_000;
  if (!/^\d{1,6}(\.\d{1,3})?$/.test(text)) {
    throw new SettingError(
      `unable to use DAEMONTAP_STOP_TIMEOUT=${text}: it must be a number of seconds, or 0 for never`,
    );
  }
  const seconds = Number(text);
  return seconds === 0 ? undefined : seconds * 1000;
}

/** /run is root's; a user's session has a place of its own; without either, one below /tmp that is checked for owner. */
function defaultRuntimeRoot(environment: Environment, uid: number): string {
  if (uid === 0) return '/run/daemontap';
  const session = given(environment, 'XDG_RUNTIME_DIR');
  return session === undefined ? `/tmp/daemontap-${uid}` : `${session}/daemontap`;
}
