/** What can be set about a supervisor: docs/operations.md, "Settings". */
import { describe, expect, test } from 'vitest';
import { readSettings, SettingError } from './settings.ts';

const ROOT = 0;
const USER = 1000;

test('without any variable there are defaults', () => {
  expect(readSettings({}, ROOT)).toEqual({
    log: 'plain',
    onTerm: 'stop',
    stopTimeoutMs: 30_000,
    runtimeRoot: '/run/daemontap',
  });
});

test('variables that are set to nothing are as good as unset', () => {
  const names = [
    'DAEMONTAP_LOG',
    'DAEMONTAP_ON_TERM',
    'DAEMONTAP_STOP_TIMEOUT',
    'DAEMONTAP_RUNTIME_DIR',
    'XDG_RUNTIME_DIR',
  ];
  const empty = Object.fromEntries(names.map((name) => [name, '']));
  for (const uid of [ROOT, USER]) expect(readSettings(empty, uid)).toEqual(readSettings({}, uid));
});

test.each(['plain', 'json', 'pretty'])('DAEMONTAP_LOG=%s is taken', (value) => {
  expect(readSettings({ DAEMONTAP_LOG: value }, ROOT)).toMatchObject({ log: value });
});

test.each(['stop', 'leave'])('DAEMONTAP_ON_TERM=%s is taken', (value) => {
  expect(readSettings({ DAEMONTAP_ON_TERM: value }, ROOT)).toMatchObject({ onTerm: value });
});

test.each([
  ['1', 1000],
  ['0.25', 250],
  ['007.5', 7500],
  ['999999.999', 999_999_999],
  ['0', undefined],
  ['0.000', undefined],
])('DAEMONTAP_STOP_TIMEOUT=%s is %s milliseconds', (value, stopTimeoutMs) => {
  expect(readSettings({ DAEMONTAP_STOP_TIMEOUT: value }, ROOT).stopTimeoutMs).toBe(stopTimeoutMs);
});

describe('a wrong value is refused, with what would be right', () => {
  const refusal = (name: string, value: string): unknown => {
    try {
      return readSettings({ [name]: value }, ROOT);
    } catch (error) {
      return error;
    }
  };

  test.each(['loud', 'PLAIN', ' json', 'json\n', '0'])('DAEMONTAP_LOG=%j', (value) => {
    expect(refusal('DAEMONTAP_LOG', value)).toEqual(
      new SettingError(`unable to use DAEMONTAP_LOG=${value}: it must be plain, json or pretty`),
    );
  });

  test.each(['yes', 'kill', 'Leave'])('DAEMONTAP_ON_TERM=%j', (value) => {
    expect(refusal('DAEMONTAP_ON_TERM', value)).toEqual(
      new SettingError(`unable to use DAEMONTAP_ON_TERM=${value}: it must be stop or leave`),
    );
  });

  test.each(['soon', '-1', '+1', '1e3', '.5', '5.', '30s', ' 30', '1234567', '1.2345', 'Infinity', '0x10'])(
    'DAEMONTAP_STOP_TIMEOUT=%j',
    (value) => {
      expect(refusal('DAEMONTAP_STOP_TIMEOUT', value)).toEqual(
        new SettingError(
          `unable to use DAEMONTAP_STOP_TIMEOUT=${value}: it must be a number of seconds, or 0 for never`,
        ),
      );
    },
  );

  test('as an error of its own kind', () => {
    expect(refusal('DAEMONTAP_LOG', 'loud')).toBeInstanceOf(SettingError);
    expect(refusal('DAEMONTAP_LOG', 'loud')).toMatchObject({ name: 'SettingError' });
  });
});

describe('the runtime directory', () => {
  const rootFor = (environment: Readonly<Record<string, string>>, uid: number): string =>
    readSettings(environment, uid).runtimeRoot;

  test("is root's in /run, whatever session there is", () => {
    expect(rootFor({ XDG_RUNTIME_DIR: '/run/user/0' }, ROOT)).toBe('/run/daemontap');
  });
  test("is a user's in the session's directory", () => {
    expect(rootFor({ XDG_RUNTIME_DIR: '/run/user/1000' }, USER)).toBe('/run/user/1000/daemontap');
  });
  test('is below /tmp, by user, without a session', () => {
    expect(rootFor({}, USER)).toBe('/tmp/daemontap-1000');
  });
  test('is what was named, for everybody', () => {
    const environment = { DAEMONTAP_RUNTIME_DIR: '/somewhere else', XDG_RUNTIME_DIR: '/run/user/1000' };
    for (const uid of [ROOT, USER]) expect(rootFor(environment, uid)).toBe('/somewhere else');
  });
});
