/** The kernel's errors. Every code stands in docs/errors.md, which a test compares with this list. */

import type { ServiceDirectory } from './hooks.ts';
import type { Logger } from './plugin/contract.ts';

/** What went wrong, for programs. */
export type KernelErrorCode =
  | 'LOCK_HELD'
  | 'CONTROL_FAILED'
  | 'PIPE_FAILED'
  | 'STAT_FAILED'
  | 'NO_DIRECTORY'
  | 'ROOT_DIRECTORY'
  | 'PLUGIN_FAILED'
  | 'PLUGIN_SILENT'
  | 'PLUGIN_NAME_TAKEN'
  | 'PLUGIN_API'
  | 'PLUGIN_MISSING'
  | 'PLUGIN_OPTIONS'
  | 'PLUGIN_REFUSED'
  | 'RECORD_FAILED'
  | 'PROCESS_UNKNOWN'
  | 'START_FAILED';

/** Knows a KernelError of another copy of this package, as a plugin's own dependencies may have one. */
const BRAND = Symbol.for('@daemontap/kernel:KernelError');

/** An error of the kernel: `message` has the form `unable to VERB OBJECT`, the system's reason is the `cause`. */
export class KernelError extends Error {
  static {
    this.prototype.name = 'KernelError';
    Object.defineProperty(this.prototype, BRAND, { value: true });
  }
  /** True for an error of any copy of this package. */
  static override [Symbol.hasInstance](value: unknown): value is KernelError {
    return typeof value === 'object' && value !== null && BRAND in value;
  }
  readonly code: KernelErrorCode;
  constructor(code: KernelErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The code of a system error (`ENOENT`), or `undefined` for anything else. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * What to say of an error: a KernelError's own message and its reason, or `otherwise` with the error as the reason.
 */
export function explain(error: unknown, otherwise: string): { readonly message: string; readonly cause?: unknown } {
  return error instanceof KernelError ? error : { message: otherwise, cause: error };
}

/** Says it as a warning, as {@link explain} has it. */
export function warn(
  log: Pick<Logger, 'warning'>,
  error: unknown,
  otherwise: string,
  service?: ServiceDirectory,
): void {
  const { message, cause } = explain(error, otherwise);
  log.warning(message, service === undefined ? { cause } : { cause, service });
}
