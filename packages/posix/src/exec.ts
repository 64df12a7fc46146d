/** Becoming another program (execve(2)): the same process, the same pid. */
import { RESOURCES } from './limits.ts';
import type { Resource } from './limits.ts';
import { check, declare, resolved, resolvedErrno } from './native.ts';
import { stringArray, terminated } from './strings.ts';

const cGetrlimit = declare('int getrlimit(int resource, void *limit)');
const cExit = declare('void _exit(int code)');
const NOWHERE = Buffer.of(0);

/**
 * Prepares to become another program. The function that is returned makes this process run a file, under the
 * descriptors, ignored signals and mask of that moment, and returns only when that fails: with the number of the error.
 * (process.execve of Node 24 aborts when it fails.)
 */
export function prepareExec({
  argv,
  environment,
  softLimits = new Map(),
}: {
  readonly argv: readonly Buffer[];
  /** `NAME=value` entries, byte for byte. */
  readonly environment: readonly Buffer[];
  /** Set for the new program, and taken back when there is none. Hard limits stay. */
  readonly softLimits?: ReadonlyMap<Resource, bigint>;
}): (file: Buffer) => number {
  const setrlimit = resolved('int setrlimit(int resource, void *limit)');
  const execve = resolved('int execve(void *path, void *argv, void *environment)');
  const errno = resolvedErrno();
  const [words, variables] = [stringArray(argv), stringArray(environment)];
  const resources = [...softLimits.keys()].map((resource) => RESOURCES[resource]);
  const before = resources.map(currentLimit);
  const during = resources.map(currentLimit);
  const setAll = (limits: readonly BigUint64Array[]): void => {
    for (let index = 0; index < resources.length; index++) setrlimit(resources[index] ?? 0, limits[index] ?? null);
  };
  // Under these limits there may be no memory to be had, and V8 would end the process: nothing here may take any.
  const attempt = (path: Buffer): number => {
    setAll(during);
    execve(path, words.array, variables.array);
    const failure = errno();
    setAll(before);
    return failure;
  };
  // What is called for the first time does take memory, for its code and for koffi's access to the arrays.
  for (let count = 0; count < 3; count++) attempt(NOWHERE);
  for (const [index, soft] of [...softLimits.values()].entries()) during[index]?.set([soft]);
  return (file) => attempt(terminated(file));
}

function currentLimit(resource: number): BigUint64Array {
  const limit = new BigUint64Array(2);
  check(cGetrlimit(resource, limit), 'getrlimit');
  return limit;
}

/** Ends the process at once: for one whose descriptors are no longer what Node takes them for. */
export function exitAtOnce(code: number): never {
  cExit(code);
  throw new Error('unreachable: _exit does not return');
}
