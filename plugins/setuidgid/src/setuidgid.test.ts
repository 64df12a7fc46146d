/** Who services are started as. Whether a process then is that, test/e2e/confined.test.ts tells. */
import { userInfo } from 'node:os';
import type { PluginFactory, ServiceDirectory, SpawnPlan } from '@daemontap/kernel';
import { findAccount, findGroup } from '@daemontap/posix';
import { applyAlone, basePlan, spawnPluginContract } from '@daemontap/testkit';
import { describe, expect, expectTypeOf, test, vi } from 'vitest';
import { setuidgid } from './index.ts';
import type { SetuidgidOptions } from './index.ts';

const isRoot = process.geteuid?.() === 0;
const own = userInfo().username;
const nobody = findAccount(Buffer.from('nobody')) ?? expect.unreachable('there is no account nobody');
const root = { uid: 0, gid: 0, groups: [] };

/** The plan for a service, or for its log service, by the one that the configuration says more about. */
function planned(
  options: SetuidgidOptions,
  {
    role = 'service',
    ownOptions = {},
  }: { role?: ServiceDirectory['role']; ownOptions?: Partial<SetuidgidOptions> } = {},
): SpawnPlan {
  const service: ServiceDirectory = { label: 'finger', role, hasLog: role === 'service', identity: '1-2', path: '/' };
  const plugin = applyAlone(setuidgid(options), { serviceOptions: () => ({ ...ownOptions }) });
  const [answer] = plugin.call('prepareSpawn', basePlan, service) as [SpawnPlan]; // it has one tap
  return answer;
}

spawnPluginContract({
  name: 'setuidgid',
  create: () => setuidgid({ account: isRoot ? 'nobody' : own }),
  promises: () => (isRoot ? { account: { ...nobody, groups: [] } } : {}),
  wrongOptions: {
    'no account': () => setuidgid({} as SetuidgidOptions),
    'an account without a name': () => setuidgid({ account: '' }),
    'a name that no account can have': () => setuidgid({ account: 'www:x' }),
    'a group that is a number': () => setuidgid({ account: 'nobody', groups: [33 as unknown as string] }),
    'an unknown option': () => setuidgid({ account: 'nobody', group: 'mail' } as SetuidgidOptions),
  },
  refusals: {
    'an unknown account': {
      create: () => setuidgid({ account: 'no-such-account' }),
      message: /^unable to change to account no-such-account$/,
    },
    'an unknown group': {
      create: () => setuidgid({ account: own, groups: ['no-such-group'] }),
      message: /^unable to change to account /,
    },
  },
});

describe.runIf(isRoot)('as root', () => {
  test('an account has its own group, and those that are named', () => {
    const gid = findGroup(Buffer.from('daemon'));
    expect(planned({ account: 'nobody' }).account).toEqual({ ...nobody, groups: [] });
    expect(planned({ account: 'nobody', groups: ['daemon'] }).account).toEqual({ ...nobody, groups: [gid] });
    expect(planned({ account: 'root' }).account).toEqual(root);
  });

  test('what the configuration says of a service counts more', () => {
    expect(planned({ account: 'root' }, { ownOptions: { account: 'nobody' } }).account).toEqual({
      ...nobody,
      groups: [],
    });
  });

  test('a log service has the same account without the groups, or the one for logs, or one of its own', () => {
    const account = (options: Partial<SetuidgidOptions>, ownOptions: Partial<SetuidgidOptions> = {}): unknown =>
      planned({ account: 'nobody', groups: ['daemon'], ...options }, { role: 'log', ownOptions }).account;
    expect(account({})).toEqual({ ...nobody, groups: [] });
    expect(account({ logAccount: 'root' })).toEqual(root);
    expect(account({ logAccount: 'nobody' }, { account: 'root' })).toEqual(root);
    expect(account({}, { logAccount: 'root' })).toEqual(root);
    expect(account({}, { groups: ['root'] })).toEqual({ ...nobody, groups: [0] });
    expect(planned({ account: 'nobody', logAccount: 'root' }).account).toEqual({ ...nobody, groups: [] });
  });
});

test('who is not root is itself without a change, and cannot be started as anybody else', () => {
  const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
  // As seen from an account without rights: that of nobody, with the group daemon.
  vi.spyOn(process, 'geteuid').mockReturnValue(nobody.uid);
  vi.spyOn(process, 'getegid').mockReturnValue(nobody.gid);
  vi.spyOn(process, 'getgroups').mockReturnValue([findGroup(Buffer.from('daemon')) ?? 0]);
  try {
    expect(planned({ account: 'nobody' })).toBe(basePlan);
    expect(planned({ account: 'nobody', groups: ['daemon'] })).toBe(basePlan);
    for (const options of [{ account: 'root' }, { account: 'nobody', groups: ['root'] }]) {
      expect(() => planned(options)).toThrow(
        expect.objectContaining({ code: 'PLUGIN_REFUSED', cause: new Error('only root may do that') }),
      );
    }
  } finally {
    vi.restoreAllMocks();
  }
  expect([process.geteuid?.(), process.getegid?.()]).toEqual([uid, gid]);
});

test('the types of its options are names, and one is needed', () => {
  expectTypeOf(setuidgid).toEqualTypeOf<PluginFactory<SetuidgidOptions>>();
  // @ts-expect-error: an account has a name, not a number
  expect(() => setuidgid({ account: 65534 })).toThrow('unable to use the options of plugin setuidgid: account: ');
});
