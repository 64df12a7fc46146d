/** Resource limits of this process (getrlimit(2), setrlimit(2)). */
import { check, declare } from './native.ts';

const cGetrlimit = declare('int getrlimit(int resource, void *limit)');
const cSetrlimit = declare('int setrlimit(int resource, void *limit)');
const RLIMIT_NOFILE = 7;

/** A soft and a hard limit; `2n ** 64n - 1n` is none. */
export interface Limit {
  readonly soft: bigint;
  readonly hard: bigint;
}

/** How many descriptors this process may have open. */
export function descriptorLimit(): Limit {
  const limit = new BigUint64Array(2);
  check(cGetrlimit(RLIMIT_NOFILE, limit), 'getrlimit');
  return { soft: limit[0] ?? 0n, hard: limit[1] ?? 0n };
}

/**
 * Sets how many descriptors this process may have open. Those that are open stay open.
 * @throws `EPERM` when the hard limit would be raised without the privilege, `EINVAL` when soft is above hard
 */
export function setDescriptorLimit({ soft, hard }: Limit): void {
  check(cSetrlimit(RLIMIT_NOFILE, BigUint64Array.of(soft, hard)), 'setrlimit');
}
