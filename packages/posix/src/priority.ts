/** Scheduling: a supervisor answers commands, and restarts what has ended, before its services get their turn. */
import { readFileSync } from 'node:fs';
import { declare } from './native.ts';

const cSchedSetscheduler = declare('int sched_setscheduler(int tid, int policy, void *parameters)');
const cSetpriority = declare('int setpriority(int which, unsigned int id, int nice)');
const SCHED_RESET_ON_FORK = 0x40000000;
const NICE = -10;

/**
 * Puts this thread ahead of ordinary processes, where that is allowed and the caller has chosen nothing itself. What
 * is started from here is not: it gets the ordinary priority, as if nothing had been done.
 */
export function raisePriority(): void {
  // Fields 19 and 41 of /proc/self/stat: the nice value and the policy, 0 for an ordinary process.
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[16] !== '0' || fields[38] !== '0') return;
  // Without the reset, services would inherit it.
  if (cSchedSetscheduler(0, SCHED_RESET_ON_FORK, new Int32Array(1)) === 0) cSetpriority(0, 0, NICE);
}
