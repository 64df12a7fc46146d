/**
 * Starts services under an account, as daemontools' setuidgid: its user and group, and no other groups but those that
 * are named. Where that cannot be, the service must not be started, least of all as root.
 */
import * as v from 'valibot';
import { definePlugin, KernelError } from '@daemontap/kernel';
import type { PluginFactory, ProcessAccount, ServiceDirectory } from '@daemontap/kernel';
import { findAccount, findGroup, isAccountName } from '@daemontap/posix';

/** Who services are. */
export interface SetuidgidOptions {
  /** The name of the account, as in /etc/passwd. */
  readonly account: string;
  /** Names of groups that services are in besides the account's own; log services are not. Default: none. */
  readonly groups?: string[];
  /** The name of the account of log services; default: `account`. */
  readonly logAccount?: string;
}

const name = v.pipe(v.string(), v.check(isAccountName, 'it must be the name of an account or group'));
const schema = v.strictObject({
  account: name,
  groups: v.optional(v.array(name), []),
  logAccount: v.optional(name),
});

/** Starts services under an account. Names are looked up at each start, and one that is unknown then refuses it. */
export const setuidgid: PluginFactory<SetuidgidOptions> = definePlugin({
  name: 'setuidgid',
  apiVersion: 1,
  schema,
  apply({ hooks, optionsFor, serviceOptions }) {
    const wantedFor = (service: ServiceDirectory): Pick<v.InferOutput<typeof schema>, 'account' | 'groups'> => {
      const options = optionsFor(service);
      if (service.role === 'service') return options;
      // What is said of this log service alone counts most.
      const own = serviceOptions(service);
      return {
        account: Object.hasOwn(own, 'account') ? options.account : (options.logAccount ?? options.account),
        groups: Object.hasOwn(own, 'groups') ? options.groups : [],
      };
    };
    hooks.prepareSpawn.tap('setuidgid', (plan, service) => {
      const wanted = wantedFor(service);
      const account = lookUp(wanted);
      if (process.geteuid?.() === 0) return { ...plan, account };
      // Who is not root can become nobody else, but is itself all the while.
      if (isOwn(account)) return plan;
      throw refusal(wanted.account, 'only root may do that');
    });
  },
});

/** @throws `PLUGIN_REFUSED` when there is no such account or group */
function lookUp({ account, groups }: { readonly account: string; readonly groups: readonly string[] }): ProcessAccount {
  const found = findAccount(Buffer.from(account));
  if (found === undefined) throw refusal(account, 'unknown account');
  const gids = groups.map((group) => {
    const gid = findGroup(Buffer.from(group));
    if (gid === undefined) throw refusal(account, `unknown group ${group}`);
    return gid;
  });
  return { ...found, groups: gids };
}

function isOwn({ uid, gid, groups }: ProcessAccount): boolean {
  const own = process.getgroups?.() ?? [];
  return (
    uid === process.geteuid?.() &&
    gid === process.getegid?.() &&
    groups.every((each) => each === gid || own.includes(each))
  );
}

function refusal(account: string, reason: string): KernelError {
  return new KernelError('PLUGIN_REFUSED', `unable to change to account ${account}`, { cause: new Error(reason) });
}
