/**
 * Starts processes by posix_spawn(3): twice as fast as child_process, with the errno of the failed exec as an
 * exception, and under a soft descriptor limit below what this process has open.
 */
import { closeSync, constants, ftruncateSync } from 'node:fs';
import { copyDescriptor, keepAtExec } from './descriptors.ts';
import { systemError } from './errno.ts';
import { readLimit, writeLimit } from './limits.ts';
import type { Limit } from './limits.ts';
import { declare } from './native.ts';
import { OF_THE_LIBRARY, signalSet, signalsIn, whileIgnoring } from './signals.ts';
import { stringArray, terminated } from './strings.ts';

const ACTIONS = 'void *actions';
const cSpawn = declare(
  'int posix_spawn(void *pid, void *path, void *actions, void *attributes, void *argv, void *environment)',
);
const cActionsInit = declare(`int posix_spawn_file_actions_init(${ACTIONS})`);
const cActionsDestroy = declare(`int posix_spawn_file_actions_destroy(${ACTIONS})`);
const cAddDup2 = declare(`int posix_spawn_file_actions_adddup2(${ACTIONS}, int source, int target)`);
const cAddOpen = declare(
  `int posix_spawn_file_actions_addopen(${ACTIONS}, int target, const char *path, int flags, unsigned int mode)`,
);
const cAddClose = declare(`int posix_spawn_file_actions_addclose(${ACTIONS}, int target)`);
const cAddFchdir = declare(`int posix_spawn_file_actions_addfchdir_np(${ACTIONS}, int directory)`);
const cAttributesInit = declare('int posix_spawnattr_init(void *attributes)');
const cSetFlags = declare('int posix_spawnattr_setflags(void *attributes, int16_t flags)');
const cSetDefault = declare('int posix_spawnattr_setsigdefault(void *attributes, void *signals)');
const cSetMask = declare('int posix_spawnattr_setsigmask(void *attributes, void *signals)');
const EBADF = 9;
const POSIX_SPAWN_SETSIGDEF = 4;
const POSIX_SPAWN_SETSIGMASK = 8;
const STRUCT_SIZE = 512; // 80 and 336 bytes in glibc, less in musl

/** The signal dispositions, mask and limits that a new process gets. */
export interface StartConditions {
  /** Signals that the process ignores; bit n-1 for signal n. All others have their default. */
  readonly ignoredSignals: bigint;
  /** Signals that the process has blocked; bit n-1 for signal n. */
  readonly blockedSignals: bigint;
  /** `undefined`: as this process. */
  readonly descriptorLimit: Limit | undefined;
}

/** One process to start. */
export interface SpawnRequest extends StartConditions {
  /** Executed as it is, relative to the working directory: no search. */
  readonly file: Buffer;
  readonly argv: readonly Buffer[];
  /** `NAME=value` entries, byte for byte. */
  readonly environment: readonly Buffer[];
  /** The new process's working directory; `undefined`: as this process. */
  readonly directoryFd: number | undefined;
  /** What the new process has open: [its descriptor, ours]. Of the rest it gets only what lacks close-on-exec. */
  readonly descriptors: readonly (readonly [target: number, source: number])[];
  /**
   * A file that the new process empties before anything else, before its exec. Whoever has written something into it
   * and finds it empty knows that there was a process, when this one was killed before it knew the pid.
   */
  readonly markFd?: number | undefined;
}

/**
 * Starts a process and returns its pid.
 * @throws the errno of the failed start (`ENOENT`, `EACCES`, `ENOEXEC`, `EAGAIN`, `EMFILE` …); nothing is left behind then
 */
export function spawn(request: SpawnRequest): number {
  const file = terminated(request.file);
  const argv = stringArray(request.argv);
  const environment = stringArray(request.environment);
  const attributes = attributesFor(request);
  const pid = new Int32Array(1);
  const call = (actions: Uint8Array): number => cSpawn(pid, file, actions, attributes, argv.array, environment.array);
  const failure = withActions(request, (actions) =>
    // The limits come down around the call alone: file actions are checked against them when they are added.
    withLimit(request.descriptorLimit, () =>
      whileIgnoring(signalsIn(request.ignoredSignals & ~OF_THE_LIBRARY), () => call(actions)),
    ),
  );
  if (failure !== 0) throw systemError(failure, 'posix_spawn', request.file.toString());
  return pid[0] ?? 0;
}

function withActions(request: SpawnRequest, body: (actions: Uint8Array) => number): number {
  const actions = new Uint8Array(STRUCT_SIZE);
  const copies: number[] = [];
  succeed(cActionsInit(actions), 'posix_spawn_file_actions_init');
  try {
    const descriptors = outOfTheWay(request.descriptors, copies);
    if (request.markFd !== undefined) addMark(actions, { ...request, descriptors }, request.markFd);
    // While its number is the directory's: the new process may have something else under it.
    if (request.directoryFd !== undefined) {
      succeed(cAddFchdir(actions, request.directoryFd), 'posix_spawn_file_actions_addfchdir_np');
    }
    for (const [target, source] of descriptors) {
      const refused = cAddDup2(actions, source, target);
      // A caller's descriptor may lie above its own limit; it can be inherited, though not duplicated.
      if (refused === EBADF && source === target) keepAtExec(source, true);
      else succeed(refused, 'posix_spawn_file_actions_adddup2');
    }
    return body(actions);
  } finally {
    cActionsDestroy(actions);
    for (const fd of copies) closeSync(fd);
  }
}

/** The same pairs; of those of ours whose numbers are to be others' in the new process there are copies. */
function outOfTheWay(descriptors: SpawnRequest['descriptors'], copies: number[]): SpawnRequest['descriptors'] {
  const replaced = new Set(descriptors.filter(([target, source]) => target !== source).map(([target]) => target));
  const free = Math.max(-1, ...replaced) + 1;
  const copyOf = (source: number): number => {
    const copy = copyDescriptor(source, free);
    copies.push(copy);
    return copy;
  };
  return descriptors.map(([target, source]) =>
    target !== source && replaced.has(source) ? [target, copyOf(source)] : [target, source],
  );
}

/**
 * Lets the new process empty the mark. Its limit may be below all numbers that are free, so it has the mark under one
 * that it has no use for, and closes that first. Where it needs all that it may have, the mark is emptied at once.
 */
function addMark(actions: Uint8Array, request: SpawnRequest, markFd: number): void {
  const needed = new Set([...request.descriptors.flat(), markFd, request.directoryFd]);
  let scratch = 3;
  while (needed.has(scratch)) scratch++;
  if (request.descriptorLimit !== undefined && scratch >= request.descriptorLimit.soft) {
    ftruncateSync(markFd);
    return;
  }
  // Through the descriptor: the file's name may be gone. First, while the new process has it under this number.
  const mark = `/proc/self/fd/${markFd}`;
  succeed(cAddClose(actions, scratch), 'posix_spawn_file_actions_addclose');
  const flags = constants.O_WRONLY | constants.O_TRUNC;
  succeed(cAddOpen(actions, scratch, mark, flags, 0), 'posix_spawn_file_actions_addopen');
  succeed(cAddClose(actions, scratch), 'posix_spawn_file_actions_addclose');
}

function withLimit<T>(limit: Limit | undefined, body: () => T): T {
  if (limit === undefined) return body();
  const own = readLimit('nofile');
  if (own.soft === limit.soft && own.hard === limit.hard) return body();
  writeLimit('nofile', limit);
  try {
    return body();
  } finally {
    writeLimit('nofile', own);
  }
}

const attributeCache = new Map<string, Uint8Array>();

/** Services nearly always start under the same conditions: the attributes are built once for each. */
function attributesFor({ ignoredSignals, blockedSignals }: StartConditions): Uint8Array {
  const key = `${ignoredSignals}/${blockedSignals}`;
  const cached = attributeCache.get(key);
  if (cached !== undefined) return cached;
  const attributes = new Uint8Array(STRUCT_SIZE);
  succeed(cAttributesInit(attributes), 'posix_spawnattr_init');
  // All bits, 32 and 33 too: glibc keeps those two for itself and would leave them ignored in the new process.
  succeed(cSetDefault(attributes, signalSet(~ignoredSignals)), 'posix_spawnattr_setsigdefault');
  succeed(cSetMask(attributes, signalSet(blockedSignals)), 'posix_spawnattr_setsigmask');
  succeed(cSetFlags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK), 'posix_spawnattr_setflags');
  attributeCache.set(key, attributes);
  return attributes;
}

/** posix_spawn and its kin return the error number itself. */
function succeed(result: number, call: string): void {
  if (result !== 0) throw systemError(result, call);
}
