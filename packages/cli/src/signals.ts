/** Signals as the caller handed them over: while a chain waits, for a lock or in fghack, and for the program behind it. */
import { constants } from 'node:os';
import { blockSignals, defaultSignal, ignoreSignal, signalBit, signalsIn } from '@daemontap/posix';
import type { Inherited } from '@daemontap/posix';

const { SIGCHLD, SIGINT, SIGPIPE, SIGTERM, SIGXFSZ } = constants.signals;

/**
 * Undoes what Node made of the signals. Blocked ones are ignored meanwhile: Node has other threads, on which they
 * cannot be blocked from here, and which would end the process.
 */
export function receiveSignals({ ignoredSignals, blockedSignals }: Inherited): void {
  // Node's own way with INT and TERM also changes flags of shared descriptors back to what they were at its start.
  for (const signal of [SIGINT, SIGPIPE, SIGTERM, SIGXFSZ]) defaultSignal(signal);
  blockSignals(0n); // of its own accord Node, told to have no debugger, blocks USR1
  for (const signal of signalsIn(ignoredSignals | (blockedSignals & ~signalBit(SIGCHLD)))) ignoreSignal(signal);
}

/** Makes them what the next program is to find. */
export function handOnSignals({ ignoredSignals, blockedSignals }: Inherited): void {
  blockSignals(blockedSignals);
  for (const signal of signalsIn(blockedSignals & ~ignoredSignals)) defaultSignal(signal);
}
