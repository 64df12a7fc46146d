/**
 * What the kernel needs of the world, as interfaces: the seam that lets a supervisor be tested without a process.
 * Node's side of it is in `src/node/`; the system calls that Node lacks are passed in by whoever makes a kernel.
 */

/** Something that was opened and is closed once; closing it again is harmless. */
export interface Closeable {
  /** Lets go of it. The second time it does nothing. */
  close(): void;
}

/** Time. Pacing and deadlines run on the monotonic clock, stamps on the wall clock. */
export interface Clock {
  /** Nanoseconds from an arbitrary point; never set back. */
  monotonicNs(): bigint;
  /** Nanoseconds since 1970-01-01 UTC. */
  wallNs(): bigint;
  /** Calls back once, when the monotonic clock has reached `atNs`, never before and never within this call. */
  wakeAt(atNs: bigint, callback: () => void): Closeable;
}

/** How a process ended: by itself or by a signal's number. */
export type ProcessEnd = { readonly exitCode: number } | { readonly signal: number };

/** What names one process and no other, until the system is booted again. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it began: clock ticks after boot. */
  readonly startTicks: number;
}

/** The signals that a supervisor sends. */
export type ServiceSignal = 'SIGTERM' | 'SIGHUP' | 'SIGALRM' | 'SIGINT' | 'SIGKILL' | 'SIGSTOP' | 'SIGCONT';

/** Who a process is: numbers, as the system knows them. */
export interface ProcessAccount {
  /** The user. */
  readonly uid: number;
  /** The group that it is in first of all. */
  readonly gid: number;
  /** The groups that it is in besides `gid`. */
  readonly groups: readonly number[];
}

/** What can be limited besides descriptors: RLIMIT_NAME of getrlimit(2), in lower case. */
export type LimitedResource = 'as' | 'core' | 'cpu' | 'data' | 'fsize' | 'memlock' | 'nproc' | 'rss' | 'stack';

/** How to start a service's process: data, which plugins change in the hook `prepareSpawn`. */
export interface SpawnPlan {
  /** Executed as it is, relative to the service directory, without a search. */
  readonly file: Buffer;
  /** The arguments, the program's own name first. */
  readonly argv: readonly Buffer[];
  /** `NAME=value` entries, byte for byte. */
  readonly environment: readonly Buffer[];
  /** What the process has open: [its descriptor, ours]. Standard input and output are added by the log sink. */
  readonly descriptors: readonly (readonly [target: number, source: number])[];
  /** Signals that the process ignores from its start; bit n-1 for signal n. */
  readonly ignoredSignals: bigint;
  /** Signals that the process has blocked from its start; bit n-1 for signal n. */
  readonly blockedSignals: bigint;
  /** How many descriptors it may open; `undefined`: as the kernel. */
  readonly descriptorLimit: { readonly soft: bigint; readonly hard: bigint } | undefined;
  /** Who the process is when it executes `file`; default: who the kernel is. */
  readonly account?: ProcessAccount | undefined;
  /** Soft limits that it has then; one above the hard limit stands for that. Default: as the kernel. */
  readonly softLimits?: Readonly<Partial<Record<LimitedResource, bigint>>> | undefined;
  /**
   * A file that the new process empties before it executes `file`: what stood in it tells a later kernel whether this
   * start has come about. Default: none.
   */
  readonly markFd?: number | undefined;
}

/** A process that was not started here. */
export interface Adopted extends Closeable {
  /** True while STOP holds it. */
  readonly isPaused: boolean;
}

/** The processes of services. */
export interface Processes {
  /**
   * Starts a process in a directory and returns its pid. The call has either started it or thrown. What of the plan it
   * cannot do it refuses: a process that is to give up rights must never run with them.
   * @throws the system's error, with its code
   */
  spawn(request: SpawnPlan & { readonly directoryFd: number }, onEnd: (end: ProcessEnd | undefined) => void): number;
  /**
   * Takes over a process that was not started here; its end is told as that of others, never within this call.
   * `undefined` as the end: how it ended cannot be known.
   * @returns `undefined` when it is no longer there, or has ended
   * @throws the system's error, with its code
   */
  adopt(process: ProcessIdentity, onEnd: (end: ProcessEnd | undefined) => void): Adopted | undefined;
  /** Sends a signal to a process started or adopted here; to one that has ended it does nothing. */
  signal(pid: number, signal: ServiceSignal): void;
}

/** Descriptors that become readable. */
export interface Readiness {
  /** Calls back for as long as the descriptor can be read. The descriptor stays the caller's. */
  watchReadable(fd: number, callback: () => void): Closeable;
}

/** A directory that is held open, so that renaming it changes nothing. */
export interface HeldDirectory extends Closeable {
  /** For calls relative to it; it stays the holder's. */
  readonly fd: number;
  /** A path that leads here for as long as it is held, whatever the directory is called meanwhile. */
  readonly path: string;
  /** Device and inode, `DEV-INO`: what daemontools knows a service directory by. */
  readonly identity: string;
}

/** One name in a scan directory. Names that begin with a dot are left out. */
export interface ScanEntry {
  /** As it lies there: any bytes but `/` and 0. */
  readonly name: Buffer;
  /** What it is, symlinks followed. `changedAtNs` is wall clock; `failed`: that could not be told. */
  readonly found:
    | { readonly type: 'directory'; readonly identity: string; readonly changedAtNs: bigint }
    | { readonly type: 'other' }
    | { readonly type: 'failed'; readonly cause: unknown };
}

/** Directories and the few files in them that the kernel itself knows. */
export interface Files {
  /** Holds a directory. @throws when there is no such directory, or it may not be entered */
  hold(path: string | Buffer): HeldDirectory;
  /** Opens a directory inside a held one. @throws as {@link Files.hold} */
  holdInside(directory: HeldDirectory, name: string | Buffer): HeldDirectory;
  /** Lists a scan directory. It may wait long (a dead network mount); nothing else waits for it. */
  list(directory: HeldDirectory): Promise<readonly ScanEntry[]>;
  /** What a name inside is, symlinks followed. @throws when that cannot be told */
  kindOf(directory: HeldDirectory, name: string): 'nothing' | 'directory' | 'other';
  /** True when the directory was removed; it is then nowhere, and only held. It never throws. */
  isRemoved(directory: HeldDirectory): boolean;
  /**
   * When the directory, what lies in it, or its log/ last changed; wall clock. Where nothing was added to it or removed
   * since `longAgoNs`, that is answer enough.
   */
  lastChangeNs(directory: HeldDirectory, options: { readonly longAgoNs: bigint }): bigint;
  /** Device and inode of `/`. */
  rootIdentity(): string;
  /** True when the sticky bit is set: daemontools 0.70's sign that a log/ belongs to it. */
  isSticky(directory: HeldDirectory): boolean;
  /**
   * Makes `supervise/` where it is missing and takes `supervise/lock` for as long as this is not closed.
   * @throws `EAGAIN` when another supervisor has it
   */
  claim(directory: HeldDirectory): Closeable;
  /** Makes a directory of mode 0711, or takes one that is there. @throws when it belongs to somebody else */
  makeRuntimeDir(path: string): void;
  /** Removes it where it is empty and quietly leaves it where it is not. */
  removeRuntimeDir(path: string): void;
  /** How many more descriptors this process may open. */
  descriptorsLeft(): number;
  /** Closes a descriptor that a log sink gave for one start. */
  closeDescriptor(fd: number): void;
}

/** All of the world. */
export interface Ports {
  readonly clock: Clock;
  readonly processes: Processes;
  readonly readiness: Readiness;
  readonly files: Files;
}
