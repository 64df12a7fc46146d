/** Sessions and process groups. */
import { check, declare } from './native.ts';

const cSetsid = declare('int setsid()');

/**
 * Makes this process the leader of a session and of a process group of its own, without a controlling terminal.
 * @throws `EPERM` when it leads a process group already
 */
export function startSession(): void {
  check(cSetsid(), 'setsid');
}
