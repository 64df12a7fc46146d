/** Resource limits of this process (getrlimit(2), setrlimit(2)). */
import { check, declare } from './native.ts';

const cGetrlimit = declare('int getrlimit(int resource, void *limit)');
const cSetrlimit = declare('int setrlimit(int resource, void *limit)');

/** Linux's numbers of the resources, the same on x64 and arm64; names as in RLIMIT_NAME. */
export const RESOURCES = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
} as const;

/** What can be limited: RLIMIT_NAME of getrlimit(2), in lower case. */
export type Resource = keyof typeof RESOURCES;

/** A soft and a hard limit; `2n ** 64n - 1n` is none. */
export interface Limit {
  /** What is enforced. */
  readonly soft: bigint;
  /** How far the soft one may be raised; only root raises it itself. */
  readonly hard: bigint;
}

/** The limits of this process for a resource. */
export function readLimit(resource: Resource): Limit {
  const limit = new BigUint64Array(2);
  check(cGetrlimit(RESOURCES[resource], limit), 'getrlimit');
  return { soft: limit[0] ?? 0n, hard: limit[1] ?? 0n };
}

/**
 * Limits a resource for this process. What it has already stays: descriptors that are open, memory in use.
 * @throws `EPERM` when the hard limit would be raised without the privilege, `EINVAL` when soft is above hard
 */
export function writeLimit(resource: Resource, { soft, hard }: Limit): void {
  check(cSetrlimit(RESOURCES[resource], BigUint64Array.of(soft, hard)), 'setrlimit');
}
