/** The settings of a supervisor with their authority: command line, environment, configuration, default. */
import { dirname, resolve } from 'node:path';
import type { Config } from '@daemontap/kernel';
import { defaultSettings, given, settingsOf, settingTexts, settingVariables } from '../supervisors/settings.ts';
import type { SettingKey, Settings, SettingValues } from '../supervisors/settings.ts';
import type { Problem } from './problem.ts';

/** Settings as they are typed. */
export type SettingTexts = { readonly [K in SettingKey]?: string | undefined };

/** A value that is in force, and where it comes from. */
export interface OriginatedValue {
  readonly key: string;
  readonly value: unknown;
  /** `command line`, `environment DAEMONTAP_LOG`, `daemontap.config.json: log` or `default`. */
  readonly origin: string;
}

/** Where settings may be given. */
export interface SettingSources {
  readonly commandLine: SettingTexts;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly config: Config;
  /** Of the configuration; `undefined` without one. */
  readonly file: { readonly path: string; readonly label: string } | undefined;
  readonly uid: number;
}

/** The settings in force, and all that is wrong with any that is given. */
export interface ResolvedSettings {
  readonly settings: Settings;
  readonly values: readonly OriginatedValue[];
  readonly problems: readonly Problem[];
}

/** Decides what is in force. */
export function resolveSettings({ commandLine, environment, config, file, uid }: SettingSources): ResolvedSettings {
  const defaults = defaultSettings(environment, uid);
  const problems: Problem[] = [];
  const parse = (key: SettingKey, text: string | undefined, place: string): unknown => {
    if (text === undefined) return undefined;
    const result = settingTexts[key](text);
    if ('value' in result) return result.value;
    problems.push({ place, message: `it must be ${result.mustBe}, and is ${JSON.stringify(text)}` });
    return undefined;
  };
  const values = (Object.keys(settingVariables) as SettingKey[]).map((key): OriginatedValue => {
    const variable = settingVariables[key];
    const configured = key === 'runtimeDir' ? directory(config.runtimeDir, file?.path) : config[key];
    const candidates = [
      { value: parse(key, commandLine[key], `command line: ${key}`), origin: 'command line' },
      { value: parse(key, given(environment, variable), `environment ${variable}`), origin: `environment ${variable}` },
      { value: configured, origin: `${file?.label}: ${key}` },
      { value: defaults[key], origin: 'default' },
    ];
    const { value, origin } = candidates.find((each) => each.value !== undefined) ?? { value: undefined, origin: '' };
    return { key, value, origin };
  });
  // Each value has come from a parser or a schema of its key.
  const inForce = Object.fromEntries(values.map(({ key, value }) => [key, value])) as unknown as SettingValues;
  return { settings: Object.freeze(settingsOf(inForce)), values, problems };
}

/** A path in a configuration begins where the configuration lies. */
function directory(path: string | undefined, file: string | undefined): string | undefined {
  return path === undefined || file === undefined ? path : resolve(dirname(file), path);
}
