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
  readFileSync,
  readlinkSync,
  rmdirSync,
  stat,
  statfsSync,
  statSync,
} from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { systemCode } from '@daemontap/kernel';
import { identityOf } from '@daemontap/posix';
import type { Files, HeldDirectory, ScanEntry } from '@daemontap/kernel';

const SLASH = 0x2f;
const SECOND_NS = 1_000_000_000n;
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
    isRemoved,
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
    removeRuntimeDir(path) {
      quietly(() => rmdirSync(path));
    },
    descriptorsLeft,
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

const REMOVED = Buffer.from(' (deleted)');

/** The kernel says so behind the name; the count of links does not tell on every file system. */
function isRemoved({ path, identity }: HeldDirectory): boolean {
  const name = quietly(() => readlinkSync(path, { encoding: 'buffer' }));
  if (name === undefined) return false; // too long a name, at the least: it has one
  if (!name.subarray(-REMOVED.length).equals(REMOVED)) return false;
  // It may really be called so.
  const stats = quietly(() => statSync(name, { bigint: true }));
  return stats === undefined || identityOf(stats) !== identity;
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

/** What a look at a name saw; the entry of an unchanged one is handed out again. */
interface Look {
  readonly entry: ScanEntry;
  /** `undefined`: not a directory. */
  readonly device: number | undefined;
  readonly inode: number;
  readonly changedAtMs: number;
}

interface Listing {
  readonly device: number;
  readonly isLocal: boolean;
  readonly looks: ReadonlyMap<string, Look>;
}

const listings = new WeakMap<HeldDirectory, Listing>();

async function list(directory: HeldDirectory): Promise<readonly ScanEntry[]> {
  // As latin1, one character is one byte, whatever the name is made of.
  const last = listings.get(directory) ?? firstListing(directory);
  // A thread that opens the directory while a service is being started may meet the service's descriptor limit.
  const read = last.isLocal ? readdirSync : readdir;
  const names = (await read(directory.path, { encoding: 'latin1' })).filter((name) => !name.startsWith('.'));
  const looks = new Map<string, Look>();
  const slow: string[] = [];
  for (const name of names) {
    const before = last.looks.get(name);
    // A thousand looks through the thread pool cost 20 ms, without it 2: for directories that were here before.
    if (last.isLocal && before?.device === last.device) note(looks, name, lookNow(directory, name, before));
    else slow.push(name);
  }
  const waiting = slow.values();
  const look = async (): Promise<void> => {
    for (const name of waiting) note(looks, name, await lookLater(directory, name));
  };
  await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, look));
  listings.set(directory, { ...last, looks });
  return Array.from(looks.values(), ({ entry }) => entry);
}

function firstListing({ fd, path }: HeldDirectory): Listing {
  return { device: fstatSync(fd).dev, isLocal: !REMOTE.has(statfsSync(path, { bigint: true }).type), looks: new Map() };
}

function lookNow(directory: HeldDirectory, name: string, before: Look): Look | undefined {
  const bytes = Buffer.from(name, 'latin1');
  const place = inside(directory, bytes);
  try {
    const { dev, ino, ctimeMs } = statSync(place);
    if (dev === before.device && ino === before.inode && ctimeMs === before.changedAtMs) return before;
    // Again, in numbers of 64 bits: a JavaScript number may not hold an inode's.
    return lookOf(bytes, statSync(place, { bigint: true }));
  } catch (cause) {
    return failedLook(directory, bytes, cause);
  }
}

function lookLater(directory: HeldDirectory, name: string): Promise<Look | undefined> {
  const bytes = Buffer.from(name, 'latin1');
  return new Promise((resolve) => {
    stat(inside(directory, bytes), { bigint: true }, (cause, stats) => {
      resolve(cause === null ? lookOf(bytes, stats) : failedLook(directory, bytes, cause));
    });
  });
}

function lookOf(name: Buffer, stats: BigIntStats): Look {
  const isDirectory = stats.isDirectory();
  return {
    entry: {
      name,
      found: isDirectory
        ? { type: 'directory', identity: identityOf(stats), changedAtNs: stats.ctimeNs }
        : { type: 'other' },
    },
    // Only directories are looked at without a thread the next time.
    device: isDirectory ? Number(stats.dev) : undefined,
    inode: Number(stats.ino),
    // As Node computes it for the numbers of the next look.
    changedAtMs: Number(stats.ctimeNs / SECOND_NS) * 1000 + Number(stats.ctimeNs % SECOND_NS) / 1e6,
  };
}

/** What was removed since its name was read is not there. */
function note(looks: Map<string, Look>, name: string, look: Look | undefined): void {
  if (look !== undefined) looks.set(name, look);
}

function failedLook(directory: HeldDirectory, name: Buffer, cause: unknown): Look | undefined {
  const isGone = quietly(() => lstatSync(inside(directory, name), NO_THROW) === undefined);
  if (isGone === true) return undefined;
  return { entry: { name, found: { type: 'failed', cause } }, device: undefined, inode: 0, changedAtMs: 0 };
}

function lastChangeNs(directory: HeldDirectory, { longAgoNs }: { readonly longAgoNs: bigint }): bigint {
  let last = 0n;
  const look = (place: string | Buffer): boolean => {
    const stats = quietly(() => lstatSync(place, { bigint: true, throwIfNoEntry: false }));
    if (stats !== undefined && stats.ctimeNs > last) last = stats.ctimeNs;
    return stats !== undefined;
  };
  const lookInto = (place: string): void => {
    const names = quietly(() => readdirSync(place, { encoding: 'buffer' })) ?? [];
    for (const name of names.slice(0, LOOKED_AT)) {
      // supervise/ is our own doing.
      if (name.toString() !== 'supervise') look(Buffer.concat([Buffer.from(`${place}/`), name]));
    }
  };
  const logPath = `${directory.path}/log`;
  look(`${directory.path}/.`);
  const hasLog = look(`${logPath}/.`);
  if (last < longAgoNs) return last; // nothing has been added for long
  lookInto(directory.path);
  if (hasLog) lookInto(logPath);
  return last;
}

function descriptorsLeft(): number {
  const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
  return limit === undefined ? Infinity : Number(limit) - readdirSync('/proc/self/fd').length;
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
