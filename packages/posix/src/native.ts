/**
 * Loads koffi and declares C functions. Every system call of daemontap goes through here, and nothing else may:
 * the rest of the package is one small typed function for each call.
 */
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
 * koffi's native file alone takes 2 ms to load, its JavaScript entry 18 ms, and every program pays for this at its
 * start. The native file lies in a package of its own for each platform; where that is laid out otherwise (musl),
 * koffi finds it by itself.
 */
function loadKoffi(): Koffi {
  // In a bundle this file stands in for all of daemontap, and koffi may be installed below @daemontap/posix alone.
  const require = createRequire(import.meta.filename);
  let entry: string;
  try {
    entry = createRequire(require.resolve('@daemontap/posix')).resolve('koffi');
  } catch {
    entry = require.resolve('koffi');
  }
  const native: { exports: unknown } = { exports: {} };
  try {
    const platform = `${process.platform}-${process.arch}`;
    const packagePath = createRequire(entry).resolve(`@koromix/koffi-${platform}/package.json`);
    process.dlopen(native, join(dirname(packagePath), `${process.platform}_${process.arch}`, 'koffi.node'));
  } catch {
    native.exports = require(entry);
  }
  // koffi's own entry hands this very object on: it has koffi's documented functions.
  return native.exports as Koffi;
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
