/** What the launcher notes is read in a process of its own, since it is about that process. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { inheritedVariables } from './inherited.ts';

function inherited(env: Readonly<Record<string, string>>, args: readonly string[] = []): Record<string, unknown> {
  const script = `
    import { argumentBytes, readInherited } from './inherited.ts';
    const { environment, ...rest } = readInherited();
    const shown = { ...rest, environment: environment.map((each) => each.toString('latin1')), args: argumentBytes().map(String) };
    process.stdout.write(JSON.stringify(shown, (_key, value) => (typeof value === 'bigint' ? String(value) : value)));`;
  const argv = ['--input-type=module', '--eval', script, 'name', ...args];
  const { stdout, stderr } = spawnSync(process.execPath, argv, { cwd: import.meta.dirname, env, encoding: 'utf8' });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Record<string, unknown>;
}

test('without a launcher it is what Node has, and descriptors 0 to 2', () => {
  const { environment, ...rest } = inherited({ A: 'x', B: '' });
  expect(environment).toEqual(expect.arrayContaining(['A=x', 'B=']));
  expect(rest).toMatchObject({ ignoredSignals: '0', blockedSignals: '0', descriptors: [0, 1, 2] });
});

test('with one it is what was noted, byte for byte, over as many variables as it took', () => {
  const bytes = Buffer.from('A=\xff\n\0B=\0', 'latin1').toString('base64');
  const noted = inherited({
    DAEMONTAP_INHERITED: '256 0000000000000003 8000000000000000 2 10 0 1',
    DAEMONTAP_ENVIRON0: bytes.slice(0, 5),
    DAEMONTAP_ENVIRON1: bytes.slice(5),
  });
  expect(noted).toMatchObject({
    environment: ['A=\xff\n', 'B='],
    descriptorLimit: { soft: '256' },
    ignoredSignals: '3',
    blockedSignals: String(2n ** 63n),
    descriptors: [0, 1, 2, 10],
  });
});

test('no limit at all is noted as a word', () => {
  const { descriptorLimit } = inherited({ DAEMONTAP_INHERITED: 'unlimited 0 0 0', DAEMONTAP_ENVIRON0: '' });
  expect(descriptorLimit).toMatchObject({ soft: String(2n ** 64n - 1n) });
});

test('arguments are those behind the script', () => {
  expect(inherited({}, ['a b', '', 'é'])).toMatchObject({ args: ['a b', '', 'é'] });
});

test('what is to be inherited can be noted without a launcher, however much it is', () => {
  const environment = ['A=\xff\n', '', 'NODE_OPTIONS=--nonsense', `LONG=${'x'.repeat(120_000)}`, 'END='];
  const variables = inheritedVariables({
    environment: environment.map((entry) => Buffer.from(entry, 'latin1')),
    descriptorLimit: { soft: 2n ** 64n - 1n, hard: 2n ** 64n - 1n },
    ignoredSignals: 2n ** 63n,
    blockedSignals: 10n,
    descriptors: [0, 2, 10],
  }).map(String);
  expect(variables.map((each) => each.replace(/=.*/, ''))).toEqual([
    'DAEMONTAP_INHERITED',
    'DAEMONTAP_ENVIRON0',
    'DAEMONTAP_ENVIRON1',
  ]);
  const env = Object.fromEntries(variables.map((each) => [each.replace(/=.*/, ''), each.replace(/.*?=/, '')]));
  expect(inherited(env)).toMatchObject({
    environment,
    descriptorLimit: { soft: String(2n ** 64n - 1n) },
    ignoredSignals: String(2n ** 63n),
    blockedSignals: '10',
    descriptors: [0, 2, 10],
  });
});
