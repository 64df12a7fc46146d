/** Under which numbers a service has its pipe. */
import type { SpawnPlan } from '@daemontap/kernel';
import { readLimit } from '@daemontap/posix';

/**
 * A daemon closes what it has inherited from the lowest number on, up to one that its author thought high enough; few
 * close all, or all from some number on. So there is a copy above each usual end of such a loop, and a low one.
 */
const NUMBERS = [10, 31, 63, 255, 1023] as const;
const LOWEST = 3;

/** The numbers that the limit allows and nothing else has, or the highest such; none where there is none. */
export function pipeNumbers({ descriptors, descriptorLimit }: SpawnPlan): readonly number[] {
  const { soft } = descriptorLimit ?? readLimit('nofile');
  const taken = new Set(descriptors.map(([target]) => target));
  const isFree = (fd: number): boolean => BigInt(fd) < soft && !taken.has(fd);
  const numbers = NUMBERS.filter(isFree);
  if (numbers.length > 0) return numbers;
  for (let fd = Math.min(Number(soft), NUMBERS.at(-1) ?? 0) - 1; fd >= LOWEST; fd--) if (isFree(fd)) return [fd];
  return [];
}
