/** Signals as the caller handed them over: while a chain waits, for a lock or in fghack, and for the program behind it. */
import { constants } from 'node:os';
import { blockSignals, defaultSignal, ignoreSignal, signalBit, signalsIn } from '@daemontap/posix';
import type { Inherited } from '@daemontap/posix';

const { SIGCHLD, SIGPIPE, SIGXFSZ } = constants.signals;

/**
 * Undoes what Node made of the signals. Blocked ones are ignored meanwhile: Node has other threads, on which they
 * cannot be blocked from here, and which would end the process.
 */
export function receiveSignals({ ignoredSignals, blockedSignals }: Inherited): void {
  for (const signal of [SIGPIPE, SIGXFSZ]) defaultSignal(signal);
  blockSignals(0n); // of its own accord Node, told to have no debugger, blocks USR1
  for (const signal of signalsIn(ignoredSignals | (blockedSignals & ~signalBit(SIGCHLD)))) ignoreSignal(signal);
}

/** Makes them what the next program is to find. */
export function handOnSignals({ ignoredSignals, blockedSignals }: Inherited): void {
  blockSignals(blockedSignals);
  for (const signal of signalsIn(blockedSignals & ~ignoredSignals)) defaultSignal(signal);
}
