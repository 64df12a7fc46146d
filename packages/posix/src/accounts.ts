/** Accounts and groups by name, from wherever the system keeps them (getpwnam(3), getgrnam(3)). */
import { addressOf, declare } from './native.ts';
import type { NativeFunction } from './native.ts';
import { terminated } from './strings.ts';

const ARGUMENTS = 'void *name, void *entry, void *buffer, size_t size, void *found';
const cGetpwnam = declare(`int getpwnam_r(${ARGUMENTS})`);
const cGetgrnam = declare(`int getgrnam_r(${ARGUMENTS})`);
const ENTRY_SIZE = 128; // struct passwd has 48 bytes, struct group 32
const UID_OFFSET = 16; // behind two pointers
const GID_OFFSET = 20;
const GROUP_GID_OFFSET = 16; // behind two pointers, too
const ERANGE = 34;
const LARGEST_SIZE = 1 << 20;

/** An account's user and group. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** True for what can be the name of an account or a group, whether there is one or not. */
export function isAccountName(name: string): boolean {
  return /^[^\0\n:]+$/.test(name);
}

/** The account of that name; `undefined` when there is none, or when that cannot be told. */
export function findAccount(name: Buffer): Account | undefined {
  const entry = find(cGetpwnam, name);
  return entry && { uid: entry.readUInt32LE(UID_OFFSET), gid: entry.readUInt32LE(GID_OFFSET) };
}

/** The number of the group of that name; `undefined` when there is none, or when that cannot be told. */
export function findGroup(name: Buffer): number | undefined {
  return find(cGetgrnam, name)?.readUInt32LE(GROUP_GID_OFFSET);
}

function find(call: NativeFunction, name: Buffer): Buffer | undefined {
  const entry = Buffer.alloc(ENTRY_SIZE);
  const found = new BigUint64Array(1);
  const nameText = terminated(name);
  for (let size = 4096; size <= LARGEST_SIZE; size *= 4) {
    const failure = call(nameText, entry, Buffer.alloc(size), size, found);
    if (failure === ERANGE) continue; // an entry that does not fit
    return failure === 0 && found[0] === addressOf(entry) ? entry : undefined;
  }
  return undefined;
}
