/** Whether processes whose parents have ended are left to this one, instead of the system's first process. */
import { check, declare } from './native.ts';

const cPrctl = declare('int prctl(int option, void *argument)');
const cPrctlNumber = declare('int prctl(int option, unsigned long argument)');
const PR_SET_CHILD_SUBREAPER = 36;
const PR_GET_CHILD_SUBREAPER = 37;

/** Has orphans among this process's descendants become its children, or no longer; those that are stay so. @throws `EINVAL` */
export function setSubreaper(isOne: boolean): void {
  check(cPrctlNumber(PR_SET_CHILD_SUBREAPER, isOne ? 1 : 0), 'prctl');
}

/** True where orphans become children of this process: the first one of a container takes them, too. */
export function isSubreaper(): boolean {
  if (process.pid === 1) return true;
  const answer = new Int32Array(1);
  return cPrctl(PR_GET_CHILD_SUBREAPER, answer) === 0 && answer[0] === 1;
}
