/**
 * A file system in memory, as much of one as the kernel sees: directories with an identity, locks, and names that
 * lead to them. Every change is stamped with the simulated wall clock.
 */
import type { Clock, Closeable, Files, HeldDirectory, ScanEntry } from '@daemontap/kernel';
import { systemError } from './system-error.ts';
import type { SystemErrorCode } from './system-error.ts';

interface Node {
  readonly inode: number;
  /** `undefined`: not a directory. */
  readonly children: Map<string, Node> | undefined;
  changedAtNs: bigint;
  sticky: boolean;
  removed: boolean;
  locked: boolean;
  /** What looking at it fails with. */
  failure: SystemErrorCode | undefined;
}

/** What a new service directory holds besides `run`. */
export interface FakeService {
  /** A `log/` directory with a `run` of its own. */
  readonly log?: boolean;
  /** A file `down`. */
  readonly down?: boolean;
}

/**
 * Directories and files in memory. Paths are absolute; a name holds UTF-8.
 * @example
 * const files = new FakeFiles(new SimulatedClock());
 * files.makeService('/service/finger', { log: true });
 * files.rename('/service/finger', '/service/fingerd');
 * files.remove('/service/fingerd');
 */
export class FakeFiles implements Files {
  readonly #clock: Pick<Clock, 'wallNs'>;
  readonly #root: Node;
  readonly #open = new Map<number, Node>();
  readonly #closed: number[] = [];
  #lastInode = 1;
  #lastFd = 100;
  #locks = 0;
  #pausedList: { readonly promise: Promise<void>; resolve(): void } | undefined;

  constructor(clock: Pick<Clock, 'wallNs'>) {
    this.#clock = clock;
    this.#root = this.#node('directory');
  }

  /** How many directories are held open. */
  get heldDirectories(): number {
    return this.#open.size;
  }

  /** How many locks of `supervise/lock` the supervisor under test has. */
  get heldLocks(): number {
    return this.#locks;
  }

  /** How many descriptors are left; as many as are wanted, unless a test sets it. */
  room: number = Infinity;

  /** The descriptors given to {@link FakeFiles.closeDescriptor}, in order. */
  get closedDescriptors(): readonly number[] {
    return this.#closed;
  }

  /** Makes a directory, and those above it. One that is there stays as it is. @throws `ENOTDIR` */
  makeDirectory(path: string): void {
    let node = this.#root;
    for (const name of partsOf(path)) node = this.#child(node, name) ?? this.#add(node, name, 'directory');
  }

  /** Makes an empty file in a directory that is there, or stamps one anew. @throws `ENOENT`, `ENOTDIR` */
  writeFile(path: string): void {
    const { parent, name } = this.#place(path);
    const found = this.#child(parent, name);
    if (found === undefined) this.#add(parent, name, 'file');
    else found.changedAtNs = this.#clock.wallNs();
  }

  /** Makes a service directory with a `run`. @throws `ENOTDIR` */
  makeService(path: string, { log = false, down = false }: FakeService = {}): void {
    this.makeDirectory(path);
    this.writeFile(`${path}/run`);
    if (down) this.writeFile(`${path}/down`);
    if (log) this.makeService(`${path}/log`);
  }

  /** Gives a directory a second name, as a symlink does. @throws `ENOENT`, `ENOTDIR` */
  link(path: string, newPath: string): void {
    const { parent, name } = this.#place(newPath);
    directory(parent).set(name, this.#at(path));
    this.#touch(parent);
  }

  /** Gives something another name; it stays the same directory. @throws `ENOENT`, `ENOTDIR` */
  rename(path: string, newPath: string): void {
    const node = this.#at(path);
    const from = this.#place(path);
    const to = this.#place(newPath);
    directory(from.parent).delete(from.name);
    directory(to.parent).set(to.name, node);
    for (const each of [from.parent, to.parent, node]) this.#touch(each);
  }

  /** Removes a file, or a directory with all that is in it. What is held open stays held. @throws `ENOENT` */
  remove(path: string): void {
    const { parent, name } = this.#place(path);
    markRemoved(this.#at(path));
    directory(parent).delete(name);
    this.#touch(parent);
  }

  /** Sets or clears a directory's sticky bit. @throws `ENOENT` */
  setSticky(path: string, sticky: boolean): void {
    this.#at(path).sticky = sticky;
  }

  /** Lets every look at a path fail with this error; `undefined`: no longer. @throws `ENOENT` */
  failLooksAt(path: string, code: SystemErrorCode | undefined): void {
    this.#at(path).failure = code;
  }

  /** Takes a service directory's lock as another supervisor would. @throws Error when it is locked, `ENOENT` */
  lockByOther(path: string): Closeable {
    const node = this.#at(path);
    if (node.locked) throw new Error(`unable to lock ${path}: it is locked`);
    node.locked = true;
    return {
      close() {
        node.locked = false;
      },
    };
  }

  /** Lets listings wait, as those of a dead network mount do, until the result is closed. */
  pauseListing(): Closeable {
    const paused = Promise.withResolvers<void>();
    this.#pausedList = paused;
    return {
      close: () => {
        if (this.#pausedList === paused) this.#pausedList = undefined;
        paused.resolve();
      },
    };
  }

  /** The path that leads to a held directory now; `undefined`: it is closed, or was removed. */
  pathOf(fd: number): string | undefined {
    const node = this.#open.get(fd);
    if (node === undefined) return undefined;
    const find = (from: Node, path: string): string | undefined => {
      for (const [name, child] of from.children ?? []) {
        if (child === node) return `${path}/${name}`;
        const below = find(child, `${path}/${name}`);
        if (below !== undefined) return below;
      }
      return undefined;
    };
    return find(this.#root, '');
  }

  hold(path: string | Buffer): HeldDirectory {
    return this.#hold(this.#at(path.toString()));
  }

  holdInside(held: HeldDirectory, name: string | Buffer): HeldDirectory {
    const node = this.#child(this.#held(held), name.toString());
    if (node === undefined) throw systemError('ENOENT', 'open');
    return this.#hold(node);
  }

  async list(held: HeldDirectory): Promise<readonly ScanEntry[]> {
    const node = this.#held(held);
    if (node.failure !== undefined) throw systemError(node.failure, 'scandir');
    const entries = [...directory(node)].filter(([name]) => !name.startsWith('.')).map(entryOf);
    await this.#pausedList?.promise;
    return entries;
  }

  kindOf(held: HeldDirectory, name: string): 'nothing' | 'directory' | 'other' {
    const node = this.#child(this.#held(held), name);
    if (node === undefined) return 'nothing';
    if (node.failure !== undefined) throw systemError(node.failure, 'stat');
    return node.children === undefined ? 'other' : 'directory';
  }

  isRemoved(held: HeldDirectory): boolean {
    return this.#held(held).removed;
  }

  lastChangeNs(held: HeldDirectory): bigint {
    const node = this.#held(held);
    const log = this.#child(node, 'log');
    const looked = [node, ...withoutSupervise(node), ...(log === undefined ? [] : withoutSupervise(log))];
    return looked.reduce((last, { changedAtNs }) => (changedAtNs > last ? changedAtNs : last), 0n);
  }

  rootIdentity(): string {
    return identityOf(this.#root);
  }

  isSticky(held: HeldDirectory): boolean {
    return this.#held(held).sticky;
  }

  claim(held: HeldDirectory): Closeable {
    const node = this.#held(held);
    if (!node.removed && this.#child(node, 'supervise') === undefined) this.#add(node, 'supervise', 'directory');
    if (node.locked) throw systemError('EAGAIN', 'flock');
    node.locked = true;
    this.#locks++;
    return once(() => {
      node.locked = false;
      this.#locks--;
    });
  }

  makeRuntimeDir(path: string): void {
    this.makeDirectory(path);
  }

  removeRuntimeDir(path: string): void {
    if (this.#at(path).children?.size === 0) this.remove(path);
  }

  descriptorsLeft(): number {
    return this.room;
  }

  closeDescriptor(fd: number): void {
    this.#closed.push(fd);
  }

  #hold(node: Node): HeldDirectory {
    if (node.children === undefined) throw systemError('ENOTDIR', 'open');
    if (node.failure !== undefined) throw systemError(node.failure, 'open');
    const fd = ++this.#lastFd;
    this.#open.set(fd, node);
    return { fd, path: `/held/${fd}`, identity: identityOf(node), ...once(() => this.#open.delete(fd)) };
  }

  #held({ fd }: HeldDirectory): Node {
    const node = this.#open.get(fd);
    if (node === undefined) throw systemError('EBADF', 'fstat');
    return node;
  }

  #node(type: 'directory' | 'file'): Node {
    return {
      inode: ++this.#lastInode,
      children: type === 'directory' ? new Map() : undefined,
      changedAtNs: this.#clock.wallNs(),
      sticky: false,
      removed: false,
      locked: false,
      failure: undefined,
    };
  }

  #add(parent: Node, name: string, type: 'directory' | 'file'): Node {
    const node = this.#node(type);
    directory(parent).set(name, node);
    this.#touch(parent);
    return node;
  }

  #touch(node: Node): void {
    node.changedAtNs = this.#clock.wallNs();
  }

  #child(parent: Node, name: string): Node | undefined {
    return directory(parent).get(name);
  }

  #at(path: string): Node {
    let node = this.#root;
    for (const name of partsOf(path)) {
      const next = this.#child(node, name);
      if (next === undefined) throw systemError('ENOENT', 'open');
      node = next;
    }
    return node;
  }

  #place(path: string): { readonly parent: Node; readonly name: string } {
    const parts = partsOf(path);
    const name = parts.at(-1);
    if (name === undefined) throw systemError('EBUSY', 'open');
    return { parent: this.#at(`/${parts.slice(0, -1).join('/')}`), name };
  }
}

function directory(node: Node): Map<string, Node> {
  if (node.children === undefined) throw systemError('ENOTDIR', 'open');
  return node.children;
}

function withoutSupervise({ children }: Node): readonly Node[] {
  return [...(children ?? [])].filter(([name]) => name !== 'supervise').map(([, node]) => node);
}

function entryOf([text, node]: readonly [string, Node]): ScanEntry {
  const name = Buffer.from(text);
  if (node.failure !== undefined) {
    return { name, found: { type: 'failed', cause: systemError(node.failure, 'stat') } };
  }
  if (node.children === undefined) return { name, found: { type: 'other' } };
  return { name, found: { type: 'directory', identity: identityOf(node), changedAtNs: node.changedAtNs } };
}

function identityOf({ inode }: Node): string {
  return `1-${inode}`;
}

function markRemoved(node: Node): void {
  node.removed = true;
  for (const child of node.children?.values() ?? []) markRemoved(child);
}

function partsOf(path: string): readonly string[] {
  return path.split('/').filter((part) => part !== '');
}

function once(body: () => unknown): Closeable {
  let open = true;
  return {
    close() {
      if (open) body();
      open = false;
    },
  };
}
