/** Who may use the socket. What the file's mode lets through is asked here once more, by the system's word on who it is. */
import { findAccount, findGroup, peerGroups, peerOf } from '@daemontap/posix';

/** Who may, besides root and the kernel's own account. */
export interface AdmissionOptions {
  /** Names of accounts. */
  readonly users: readonly string[];
  /** The name of a group. */
  readonly group: string | undefined;
}

/** Who may, in the numbers of the system. */
export interface Admission {
  readonly uids: ReadonlySet<number>;
  readonly gid: number | undefined;
}

/** Looks up names, which may take time where they come from a network. @throws Error for an unknown one */
export function lookUpAdmission({ users, group }: AdmissionOptions): Admission {
  const uids = users.map((name) => {
    const account = findAccount(Buffer.from(name));
    if (account === undefined) throw new Error(`unknown account ${name}`);
    return account.uid;
  });
  const gid = group === undefined ? undefined : findGroup(Buffer.from(group));
  if (group !== undefined && gid === undefined) throw new Error(`unknown group ${group}`);
  return { uids: new Set([0, process.geteuid?.() ?? 0, ...uids]), gid };
}

/** Why who has connected may not use the socket; `undefined`: they may. */
export function refusalOf(fd: number | undefined, { uids, gid }: Admission): string | undefined {
  if (fd === undefined) return 'who you are cannot be told';
  const peer = peerOf(fd);
  if (uids.has(peer.uid)) return undefined;
  if (gid !== undefined && (peer.gid === gid || peerGroups(fd).includes(gid))) return undefined;
  return `user id ${peer.uid} may not use this socket`;
}
