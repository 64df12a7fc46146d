/** Plans that the system cannot carry out by itself, without a process: what is started in their place. */
import type { SpawnPlan } from '@daemontap/kernel';
import { parsePreparation } from '@daemontap/posix';
import { expect, test } from 'vitest';
import { prepared } from './prepared.ts';
import type { PreparingProgram } from './prepared.ts';

const program: PreparingProgram = {
  file: process.execPath,
  options: ['--lite-mode'],
  script: import.meta.filename,
  environment: ['DAEMONTAP_NAME=prepared'],
};
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const plan: SpawnPlan & { readonly directoryFd: number } = {
  file: bytes('./run'),
  argv: [bytes('run'), bytes('\xff')],
  environment: [bytes('LD_PRELOAD=/evil.so'), bytes('NODE_OPTIONS=--inspect')],
  descriptors: [
    [0, 17],
    [1, 18],
  ],
  ignoredSignals: 1n,
  blockedSignals: 2n,
  descriptorLimit: { soft: 100n, hard: 4096n },
  directoryFd: 16,
};
const account = { uid: 65534, gid: 65533, groups: [5] };
const text = (list: readonly Buffer[]): readonly string[] => list.map((each) => each.toString('latin1'));

test('a plan that needs no program is itself', () => {
  expect(prepared(plan, program)).toBe(plan);
  expect(prepared(plan, undefined)).toBe(plan);
  const nothing = { ...plan, account: undefined, softLimits: {} };
  expect(prepared(nothing, undefined)).toBe(nothing);
});

test('an account or limits begin with the program, which is told of them, and of nothing else by its environment', () => {
  const { file, argv, environment, ...rest } = prepared({ ...plan, account, softLimits: { core: 0n } }, program);
  expect(file.toString()).toBe(program.file);
  expect(text(argv.slice(0, 3))).toEqual([program.file, '--lite-mode', program.script]);
  expect(parsePreparation(argv.slice(3))).toEqual({
    account,
    softLimits: { core: 0n },
    file: plan.file,
    argv: plan.argv,
  });
  const own = Buffer.from('LD_PRELOAD=/evil.so\0NODE_OPTIONS=--inspect\0').toString('base64');
  expect(text(environment)).toEqual([
    'DAEMONTAP_NAME=prepared',
    'DAEMONTAP_INHERITED=100 1 2 0 1',
    `DAEMONTAP_ENVIRON0=${own}`,
  ]);
  expect(rest).toMatchObject({
    descriptors: plan.descriptors,
    descriptorLimit: { soft: 4096n, hard: 4096n },
    directoryFd: 16,
  });
});

test.each<[string, PreparingProgram | undefined, Partial<SpawnPlan>, string, string]>([
  ['there is none', undefined, {}, 'unable to change account or limits', 'there is no program for it'],
  ['there is no Node', { ...program, file: '/nonexist/node' }, {}, 'unable to run /nonexist/node', 'ENOENT'],
  ['there is no script', { ...program, script: '/nonexist.cjs' }, {}, 'unable to run /nonexist.cjs', 'ENOENT'],
  [
    'Node could not start',
    program,
    { descriptorLimit: { soft: 8n, hard: 8n } },
    'unable to change account or limits',
    'Node needs 24 descriptors, and would have 8',
  ],
])('where %s, such a plan is refused', (_what, given, more, message, reason) => {
  for (const change of [{ account }, { softLimits: { cpu: 1n } }]) {
    expect(() => prepared({ ...plan, ...change, ...more }, given)).toThrow(
      expect.objectContaining({
        code: 'START_FAILED',
        message,
        cause: expect.objectContaining({ message: expect.stringContaining(reason) as string }) as Error,
      }),
    );
  }
});
