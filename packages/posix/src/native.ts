/**
 * Loads koffi and declares C functions. Every system call of daemontap goes through here, and nothing else may:
 * the rest of the package is one small typed function for each call.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { systemError } from './errno.ts';

/** What may be passed to a C function: memory as typed arrays, NULL as `null`. */
export type NativeArgument = number | bigint | string | NodeJS.TypedArray | null;

/** A declared C function. */
export interface NativeFunction {
  (...args: readonly NativeArgument[]): number;
  /** Runs the call on a thread of libuv's pool and answers on the event loop. */
  async(...args: readonly [...NativeArgument[], (error: Error | null, result: number) => void]): void;
}

interface Koffi {
  load(path: string | null): { func(prototype: string): NativeFunction };
  errno(): number;
  address(memory: NodeJS.TypedArray): bigint;
}

let koffi: Koffi | undefined;
let libc: ReturnType<Koffi['load']> | undefined;

/**
 * koffi's native file alone takes 1 ms to load, its JavaScript entry 18 ms, and to ask Node where they are takes 4 ms:
 * every program pays for this at its start. So the file is looked for where npm puts it; where it is elsewhere (musl,
 * other installers), koffi finds it by itself.
 */
function loadKoffi(): Koffi {
  const native: { exports: unknown } = { exports: {} };
  try {
    process.dlopen(native, nativePath());
  } catch {
    native.exports = koffiEntry();
  }
  // koffi's own entry hands this very object on: it has koffi's documented functions.
  return native.exports as Koffi;
}

/** In a bundle this file stands in for all of daemontap, and koffi may be installed below @daemontap/posix alone. */
function nativePath(): string {
  const platform = `${process.platform}-${process.arch}`;
  const file = join(`koffi-${platform}`, `${process.platform}_${process.arch}`, 'koffi.node');
  for (let dir = dirname(import.meta.filename); ; dir = dirname(dir)) {
    for (const place of ['node_modules/@daemontap/posix/node_modules', 'node_modules']) {
      const packages = join(dir, place, '@koromix');
      if (existsSync(join(packages, file)) && isKnown(join(packages, `koffi-${platform}`))) return join(packages, file);
    }
    if (dir === dirname(dir)) return file;
  }
}

/** Somebody else's koffi may have the place, in a version of another interface. */
function isKnown(packagePath: string): boolean {
  try {
    return readFileSync(join(packagePath, 'package.json'), 'utf8').includes('"version": "3.');
  } catch {
    return false;
  }
}

function koffiEntry(): unknown {
  const require = createRequire(import.meta.filename);
  let entry: string;
  try {
    entry = createRequire(require.resolve('@daemontap/posix')).resolve('koffi');
  } catch {
    entry = require.resolve('koffi');
  }
  return require(entry);
}

function nativeLibrary(): Koffi {
  koffi ??= loadKoffi();
  return koffi;
}

/** Declares one function of the C library, e.g. `int flock(int, int)`. It is looked up at the first call. */
export function declare(prototype: string): NativeFunction {
  let native: NativeFunction | undefined;
  const resolve = (): NativeFunction => {
    libc ??= nativeLibrary().load(null);
    native ??= libc.func(prototype);
    return native;
  };
  return Object.assign((...args: readonly NativeArgument[]) => (native ?? resolve())(...args), {
    async: (...args: readonly [...NativeArgument[], (error: Error | null, result: number) => void]) =>
      resolve().async(...args),
  });
}

/** As {@link declare}, but looked up at once, and called without taking any memory. */
export function resolved(prototype: string): NativeFunction {
  libc ??= nativeLibrary().load(null);
  return libc.func(prototype);
}

/** {@link lastErrno}, for where no memory may be taken. */
export function resolvedErrno(): () => number {
  return nativeLibrary().errno;
}

/** The number of the last failed system call of this thread. */
export function lastErrno(): number {
  return nativeLibrary().errno();
}

/** The address of a buffer's first byte, for building the arrays of pointers that C takes. */
export function addressOf(memory: NodeJS.TypedArray): bigint {
  return nativeLibrary().address(memory);
}

/**
 * Passes a result on, or throws when it is negative.
 * @throws the system's error with `code`, `errno`, `syscall` and, when given, `path`
 */
export function check(result: number, syscall: string, path?: string): number {
  if (result < 0) throw systemError(lastErrno(), syscall, path);
  return result;
}

const EAGAIN = 11;

/**
 * As {@link check}, for calls that do not wait: `undefined` when they would have to. That is no error, and comes often.
 * @throws the system's error
 */
export function checkReady(result: number, syscall: string): number | undefined {
  if (result >= 0) return result;
  const errno = lastErrno();
  if (errno === EAGAIN) return undefined;
  throw systemError(errno, syscall);
}
