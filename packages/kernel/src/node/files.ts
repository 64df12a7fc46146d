/**
 * Directories by Node. Everything in a service directory is reached through a held descriptor, so that renaming it
 * changes nothing. Must never follow a symlink in `supervise/`: who owns a service directory may not be trusted.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  stat,
  statfsSync,
  statSync,
} from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { systemCode } from '../errors.ts';
import type { Files, HeldDirectory, ScanEntry } from '../ports.ts';

const DOT = 0x2e;
const SLASH = 0x2f;
const O_PATH = 0o10000000;
/** Looks at once at the entries of a scan directory. Two, so that dead mounts never take all threads of the pool. */
const LOOKS_AT_ONCE = 2;
/** Entries of a service directory whose change time is looked at before the first start. */
const LOOKED_AT = 256;
const NO_THROW = { throwIfNoEntry: false } as const;
/** File systems whose server may be away: NFS, SMB 1 to 3, FUSE, 9P, AFS, Coda, Ceph, Lustre, autofs. */
const REMOTE: ReadonlySet<bigint> = new Set([
  0x6969n,
  0x517bn,
  0xff534d42n,
  0xfe534d42n,
  0x65735546n,
  0x01021997n,
  0x5346414fn,
  0x73757245n,
  0x00c36400n,
  0x0bd00bd0n,
  0x0187n,
]);

/** The files of the running system. */
export function nodeFiles({ tryLock }: { readonly tryLock: (fd: number) => void }): Files {
  return {
    hold,
    holdInside: (directory, name) => hold(inside(directory, name)),
    list,
    kindOf(directory, name) {
      const found = statSync(inside(directory, name), NO_THROW);
      if (found === undefined) return 'nothing';
      return found.isDirectory() ? 'directory' : 'other';
    },
    isRemoved: ({ fd }) => fstatSync(fd).nlink === 0,
    rootIdentity: () => identityOf(statSync('/', { bigint: true })),
    isSticky: ({ fd }) => (fstatSync(fd).mode & 0o1000) !== 0,
    lastChangeNs,
    claim(directory) {
      makeSuperviseDir(directory);
      const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK, O_NOFOLLOW } = constants;
      const flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOFOLLOW;
      const fd = openSync(`${directory.path}/supervise/lock`, flags, 0o600);
      try {
        tryLock(fd);
      } catch (error) {
        closeSync(fd);
        throw error;
      }
      return closing(fd);
    },
    makeRuntimeDir,
    closeDescriptor: closeSync,
  };
}

/** Holds what chdir(2) would enter: a directory that may be searched, readable or not. */
function hold(path: string | Buffer): HeldDirectory {
  const fd = openSync(path, O_PATH | constants.O_DIRECTORY);
  const held = { fd, path: `/proc/self/fd/${fd}`, ...closing(fd) };
  try {
    return { ...held, identity: identityOf(statSync(`${held.path}/.`, { bigint: true })) };
  } catch (error) {
    held.close();
    throw error;
  }
}

/** As the C programs, Debian's included, it does not mind failing: the lock's own error tells. */
function makeSuperviseDir(directory: HeldDirectory): void {
  const place = inside(directory, 'supervise');
  if (quietly(() => statSync(place, NO_THROW)) !== undefined) return;
  quietly(() => mkdirSync(place, 0o700));
  if (quietly(() => lstatSync(place).isSymbolicLink()) !== true) return;
  quietly(() => {
    const target = readlinkSync(place, { encoding: 'buffer' });
    mkdirSync(target[0] === SLASH ? target : inside(directory, target), 0o700);
  });
}

function closing(fd: number): { close(): void } {
  let open = true;
  return {
    close() {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

function inside({ path }: HeldDirectory, name: string | Buffer): string | Buffer {
  return typeof name === 'string' ? `${path}/${name}` : Buffer.concat([Buffer.from(`${path}/`), name]);
}

function identityOf({ dev, ino }: BigIntStats): string {
  return `${dev}-${ino}`;
}

async function list(directory: HeldDirectory, quick: ReadonlySet<string>): Promise<readonly ScanEntry[]> {
  const names = (await readdir(Buffer.from(directory.path), { encoding: 'buffer' })).filter((name) => name[0] !== DOT);
  const isLocal = !REMOTE.has(statfsSync(directory.path, { bigint: true }).type);
  const entries: ScanEntry[] = [];
  const slow: Buffer[] = [];
  for (const name of names) {
    // A thousand looks through the thread pool cost 20 ms, without it 2.
    if (isLocal && quick.has(name.toString('latin1'))) entries.push(lookNow(directory, name));
    else slow.push(name);
  }
  const waiting = slow.values();
  const look = async (): Promise<void> => {
    for (const name of waiting) entries.push(await lookLater(directory, name));
  };
  await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, look));
  return entries;
}

function lookNow(directory: HeldDirectory, name: Buffer): ScanEntry {
  try {
    return { name, found: foundOf(statSync(inside(directory, name), { bigint: true })) };
  } catch (cause) {
    return { name, found: { type: 'failed', cause } };
  }
}

function lookLater(directory: HeldDirectory, name: Buffer): Promise<ScanEntry> {
  return new Promise((resolve) => {
    stat(inside(directory, name), { bigint: true }, (cause, stats) => {
      resolve({ name, found: cause === null ? foundOf(stats) : { type: 'failed', cause } });
    });
  });
}

function foundOf(stats: BigIntStats): ScanEntry['found'] {
  if (!stats.isDirectory()) return { type: 'other' };
  return { type: 'directory', identity: identityOf(stats), changedAtNs: stats.ctimeNs };
}

function lastChangeNs(directory: HeldDirectory): bigint {
  let last = 0n;
  const look = (place: string | Buffer): BigIntStats | undefined => {
    const stats = quietly(() => lstatSync(place, { bigint: true, throwIfNoEntry: false }));
    if (stats !== undefined && stats.ctimeNs > last) last = stats.ctimeNs;
    return stats;
  };
  const lookInto = (held: Pick<HeldDirectory, 'path'>, except: readonly string[]): boolean => {
    look(`${held.path}/.`);
    const names = quietly(() => readdirSync(held.path, { encoding: 'buffer' })) ?? [];
    let hasLog = false;
    for (const name of names.slice(0, LOOKED_AT)) {
      const text = name.toString('latin1');
      if (text === 'log') hasLog = true;
      if (!except.includes(text)) look(Buffer.concat([Buffer.from(`${held.path}/`), name]));
    }
    return hasLog;
  };
  // supervise/ is our own doing.
  if (lookInto(directory, ['supervise', 'log'])) lookInto({ path: `${directory.path}/log` }, ['supervise']);
  return last;
}

function makeRuntimeDir(path: string): void {
  orElse('EEXIST', () => {
    mkdirSync(path, 0o711);
    chmodSync(path, 0o711); // whatever the umask is, a log user must get through
  });
  const stats = lstatSync(path);
  if (stats.isDirectory() && stats.uid === process.geteuid?.() && (stats.mode & 0o022) === 0) return;
  throw new Error(`${path} must be a directory of uid ${process.geteuid?.()} that nobody else may write`);
}

/** What `body` gives, or `undefined` when it fails. */
function quietly<T>(body: () => T): T | undefined {
  try {
    return body();
  } catch {
    return undefined;
  }
}

/** Carries `body` out and lets one kind of failure pass. */
function orElse(passing: string, body: () => void): void {
  try {
    body();
  } catch (error) {
    if (systemCode(error) !== passing) throw error;
  }
}
