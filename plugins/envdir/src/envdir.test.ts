/** What a directory's files make of a plan's environment, on real directories; and what must not be read. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PluginFactory, ServiceDirectory, SpawnPlan } from '@daemontap/kernel';
import { mkfifo } from '@daemontap/posix';
import { applyAlone, basePlan, spawnPluginContract } from '@daemontap/testkit';
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from 'vitest';
import { envdir } from './index.ts';
import type { EnvdirOptions } from './index.ts';

const isRoot = process.geteuid?.() === 0;
const NOBODY = 65534;
let here: string;
beforeEach(() => {
  here = mkdtempSync(join(tmpdir(), 'daemontap-envdir-'));
  mkdirSync(join(here, 'env'));
});
afterEach(() => rmSync(here, { recursive: true }));

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const put = (name: string, content = 'x\n'): void => writeFileSync(join(here, name), content, 'latin1');

/** The environment, one character for each byte, of a service that has A=1 and B=2 without the plugin. */
function environment(
  options: EnvdirOptions = { dir: 'env' },
  { role = 'service', ownOptions = {} }: { role?: ServiceDirectory['role']; ownOptions?: EnvdirOptions } = {},
): readonly string[] {
  const service: ServiceDirectory = { label: 'finger', role, hasLog: false, identity: '1-2', path: here };
  const plan: SpawnPlan = { ...basePlan, environment: [bytes('A=1'), bytes('B=2')] };
  const plugin = applyAlone(envdir(options), { serviceOptions: () => ({ ...ownOptions }) });
  const [answer] = plugin.call('prepareSpawn', plan, service) as [SpawnPlan]; // it has one tap
  return answer.environment.map((entry) => entry.toString('latin1'));
}

function refusal(options: EnvdirOptions = { dir: 'env' }): string {
  const before = readdirSync('/proc/self/fd').length;
  try {
    environment(options);
  } catch (error) {
    expect(error).toMatchObject({ code: 'PLUGIN_REFUSED' });
    expect(readdirSync('/proc/self/fd').length).toBe(before);
    const { message, cause } = error as Error & { readonly cause: Error };
    return `${message}: ${'code' in cause ? String(cause.code) : cause.message}`;
  }
  return 'none';
}

spawnPluginContract({
  name: 'envdir',
  create: ({ dir }) => {
    writeFileSync(join(dir, 'NAME'), 'value \n');
    writeFileSync(join(dir, 'PATH'), '');
    return envdir({ sharedDir: dir });
  },
  promises: (plan, { directory }) => {
    if (directory.role === 'log') return {};
    const rest = plan.environment.filter((entry, index, all) => {
      const isOf = (name: string, each: Buffer): boolean => each.toString('latin1').startsWith(`${name}=`);
      if (isOf('PATH', entry)) return false;
      return !isOf('NAME', entry) || all.findIndex((each) => isOf('NAME', each)) !== index; // the first goes
    });
    return { environment: [...rest, bytes('NAME=value')] };
  },
  wrongOptions: {
    'a way out': () => envdir({ dir: '../env' }),
    'a way out further on': () => envdir({ dir: 'env/../../env' }),
    'an absolute dir': () => envdir({ dir: '/etc/env' }),
    'no name': () => envdir({ dir: '' }),
    'a relative sharedDir': () => envdir({ sharedDir: 'env' }),
    'an unknown option': () => envdir({ directory: 'env' } as EnvdirOptions),
  },
  refusals: {
    'no such directory': {
      create: () => envdir({ dir: 'nonexist' }),
      message: /^unable to switch to directory nonexist$/,
    },
  },
});

test('each file sets the variable of its name to its first line, and removes it when it is empty', () => {
  put('env/A', '');
  put('env/C', 'one \t\ntwo\n');
  put('env/.hidden');
  put('env/D', '\xff\0');
  expect(environment().toSorted()).toEqual(['B=2', 'C=one', 'D=\xff\n']);
});

test('the files are read anew at each start', () => {
  put('env/A', '5');
  expect(environment()).toEqual(['B=2', 'A=5']);
  rmSync(join(here, 'env/A'));
  expect(environment()).toEqual(['A=1', 'B=2']);
});

test('names are bytes', () => {
  writeFileSync(Buffer.concat([Buffer.from(join(here, 'env/')), bytes('\xff')]), 'x');
  expect(environment()).toEqual(['A=1', 'B=2', '\xff=x']);
});

test('what a service has of its own comes after what many share', () => {
  mkdirSync(join(here, 'shared'));
  put('shared/A', 'shared');
  put('shared/C', 'shared');
  put('env/C', 'own');
  expect(environment({ sharedDir: join(here, 'shared'), dir: 'env' })).toEqual(['B=2', 'A=shared', 'C=own']);
});

test('a directory may lie deeper', () => {
  mkdirSync(join(here, 'env/x/y'), { recursive: true });
  put('env/x/y/A', '7');
  expect(environment({ dir: 'env/x/y' })).toEqual(['B=2', 'A=7']);
});

test('without a directory nothing changes; one that is not there refuses the start unless it is optional', () => {
  expect(environment({})).toEqual(['A=1', 'B=2']);
  expect(refusal({ dir: 'env/none' })).toBe('unable to switch to directory env/none: ENOENT');
  expect(refusal({ sharedDir: '/nonexist' })).toBe('unable to switch to directory /nonexist: ENOENT');
  expect(environment({ dir: 'env/none', optional: true })).toEqual(['A=1', 'B=2']);
  put('env/file');
  expect(refusal({ dir: 'env/file', optional: true })).toBe('unable to switch to directory env/file: ENOTDIR');
});

test('a log service has what is said of it by name alone', () => {
  put('env/A', '3');
  expect(environment({ dir: 'env', sharedDir: '/nonexist' }, { role: 'log' })).toEqual(['A=1', 'B=2']);
  expect(environment({ sharedDir: '/nonexist' }, { role: 'log', ownOptions: { dir: 'env' } })).toEqual(['B=2', 'A=3']);
});

test('a link leads to no other directory', () => {
  symlinkSync(here, join(here, 'link'));
  expect(refusal({ dir: 'link' })).toBe('unable to switch to directory link: ENOTDIR');
  expect(refusal({ dir: 'link/env' })).toBe('unable to switch to directory link/env: ENOTDIR');
  expect(environment({ sharedDir: join(here, 'link/env') })).toEqual(['A=1', 'B=2']);
});

test('what cannot be read refuses the start', () => {
  mkdirSync(join(here, 'env/directory'));
  expect(refusal()).toBe('unable to read env/directory: EISDIR');
});

test('a link to nothing and a pipe are as empty files', () => {
  symlinkSync('/nonexist/file', join(here, 'env/A'));
  mkfifo(join(here, 'env/B'), 0o600);
  expect(environment()).toEqual([]);
});

test('no file and no directory is too large for the kernel', () => {
  put('env/A', 'short\n');
  truncateSync(join(here, 'env/A'), 1e12);
  expect(environment()).toEqual(['B=2', 'A=short']);
  put('env/A', 'x'.repeat(140_000));
  expect(refusal()).toBe('unable to read env/A: its first line is longer than 131072 bytes');
  rmSync(join(here, 'env/A'));
  const { status } = spawnSync('/bin/sh', ['-c', 'for i in $(seq 4097); do : >"V$i"; done'], {
    cwd: join(here, 'env'),
  });
  expect(status).toBe(0);
  expect(refusal()).toBe('unable to read directory env: it holds more than 4096 files');
});

describe.runIf(isRoot)('of a directory that belongs to an account', () => {
  beforeEach(() => {
    put('secret', 'of root\n');
    chmodSync(join(here, 'secret'), 0o600);
    chownSync(join(here, 'env'), NOBODY, NOBODY);
  });

  test('files are read, whoever made them', () => {
    put('env/A', 'by root');
    put('env/B', 'by nobody');
    chownSync(join(here, 'env/B'), NOBODY, NOBODY);
    expect(environment().toSorted()).toEqual(['A=by root', 'B=by nobody']);
  });

  test('links to its own files are followed', () => {
    put('own', 'mine');
    chownSync(join(here, 'own'), NOBODY, NOBODY);
    symlinkSync('../own', join(here, 'env/A'));
    linkSync(join(here, 'own'), join(here, 'env/B'));
    expect(environment().toSorted()).toEqual(['A=mine', 'B=mine']);
  });

  test.each([
    ['symbolic', symlinkSync],
    ['hard', linkSync],
  ])('a %s link to a file of somebody else refuses the start', (_kind, link) => {
    link(join(here, 'secret'), join(here, 'env/A'));
    expect(refusal()).toBe('unable to read env/A: it is a link to a file of somebody else');
  });

  test('so does a link in a directory that others can write to, whoever it belongs to', () => {
    symlinkSync(join(here, 'secret'), join(here, 'env/A'));
    for (const [uid, mode] of [
      [0, 0o1777],
      [0, 0o775],
    ] as const) {
      chownSync(join(here, 'env'), uid, 0);
      chmodSync(join(here, 'env'), mode);
      expect(refusal()).toBe('unable to read env/A: it is a link, in a directory that others can write to');
    }
    chmodSync(join(here, 'env'), 0o755);
    expect(environment()).toEqual(['B=2', 'A=of root']);
  });
});

test('the types of its options are paths', () => {
  expectTypeOf(envdir).toEqualTypeOf<PluginFactory<EnvdirOptions>>();
  // @ts-expect-error: a path is text
  expect(() => envdir({ dir: 5 })).toThrow('unable to use the options of plugin envdir: dir: ');
});
