/** Whose rights a log host has. */
import { KernelError } from '@daemontap/kernel';
import type { ProcessAccount } from '@daemontap/kernel';
import { findAccount } from '@daemontap/posix';

/**
 * The account that writes logs, with no groups but its own; `undefined`: the one that the kernel has anyway.
 * @throws `PLUGIN_REFUSED` when there is no such account, when it cannot be taken, or when root would write
 */
export function logAccount(name: string | undefined): ProcessAccount | undefined {
  const uid = process.geteuid?.();
  const refuse = (reason: string): never => {
    const message = name === undefined ? 'unable to write logs as root' : `unable to write logs as ${name}`;
    throw new KernelError('PLUGIN_REFUSED', message, { cause: new Error(reason) });
  };
  if (name === undefined) return uid === 0 ? refuse('the option account must name who writes them') : undefined;
  const found = findAccount(Buffer.from(name)) ?? refuse('unknown account');
  if (uid === 0) return { ...found, groups: [] };
  return found.uid === uid ? undefined : refuse('only root may do that');
}
