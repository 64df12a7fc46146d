/** Accounts by name, from wherever the system keeps them (getpwnam(3)). */
import { addressOf, declare } from './native.ts';
import { terminated } from './strings.ts';

const cGetpwnam = declare('int getpwnam_r(void *name, void *entry, void *buffer, size_t size, void *found)');
const ENTRY_SIZE = 128; // struct passwd has 48 bytes
const UID_OFFSET = 16; // behind two pointers
const GID_OFFSET = 20;
const ERANGE = 34;
const LARGEST_SIZE = 1 << 20;

/** An account's user and group. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** The account of that name; `undefined` when there is none, or when that cannot be told. */
export function findAccount(name: Buffer): Account | undefined {
  const entry = Buffer.alloc(ENTRY_SIZE);
  const found = new BigUint64Array(1);
  const nameText = terminated(name);
  for (let size = 4096; size <= LARGEST_SIZE; size *= 4) {
    const failure = cGetpwnam(nameText, entry, Buffer.alloc(size), size, found);
    if (failure === ERANGE) continue; // an entry that does not fit
    if (failure !== 0 || found[0] !== addressOf(entry)) return undefined;
    return { uid: entry.readUInt32LE(UID_OFFSET), gid: entry.readUInt32LE(GID_OFFSET) };
  }
  return undefined;
}
