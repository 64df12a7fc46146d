/**
 * The last step of a chain: the process becomes a program that is not ours. Whatever Node changed is given back as the
 * caller had it, and what the chain asked for is set, limits at the very end.
 */
import { keepAtExec, placeDescriptors, prepareExec } from '@daemontap/posix';
import type { Inherited } from '@daemontap/posix';
import type { Given } from './chain.ts';
import { searchAmong } from './search.ts';
import { handOnSignals } from '../signals.ts';

/** Becomes the first of `files` that can be run. Returns only when none can, with the number of the error. */
export function become({
  files,
  child,
  given,
}: {
  readonly files: readonly Buffer[];
  readonly child: readonly Buffer[];
  readonly given: Given;
}): number {
  const { inherited, opened, limits, environment } = given;
  const softLimits = new Map([['nofile', inherited.descriptorLimit.soft] as const, ...limits]);
  const exec = prepareExec({ argv: child, environment, softLimits });
  leaveClosed(inherited);
  for (const fd of inherited.descriptors) keepAtExec(fd, true);
  handOnSignals(inherited);
  placeDescriptors(opened); // from here on, Node's own files may be gone
  return searchAmong(files, exec);
}

/** Keeps from the next program what Node has opened where the caller had one of the first three closed: /dev/null. */
export function leaveClosed({ descriptors }: Inherited): void {
  for (const fd of [0, 1, 2]) if (!descriptors.includes(fd)) keepAtExec(fd, false);
}
