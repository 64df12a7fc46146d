/** Signal dispositions: what Node resets at its start and cannot set. */
import { check, declare } from './native.ts';

const cSigaction = declare('int sigaction(int signal, void *action, void *old)');
const cSignal = declare('intptr_t signal(int signal, intptr_t handler)');
const cSigprocmask = declare('int sigprocmask(int how, void *set, void *old)');
const SIGACTION_SIZE = 256; // 152 on glibc and musl; room to spare
const SIG_DFL = 0;
const SIG_IGN = 1;
const SIG_SETMASK = 2;

/** Signals 32 and 33, which the C library keeps for itself: a program cannot set them. */
export const OF_THE_LIBRARY: bigint = 3n << 31n;

/** The highest signal number that a program can set. */
export const SIGNAL_MAX: number = 64;

/** Ignores a signal from now on, and in every process started from here unless its start says otherwise. */
export function ignoreSignal(signal: number): void {
  cSignal(signal, SIG_IGN);
}

/** Gives a signal its default action again, in place of what Node made of it. */
export function defaultSignal(signal: number): void {
  cSignal(signal, SIG_DFL);
}

/** Blocks these signals in the calling thread, and no others. Bit n-1 for signal n. */
export function blockSignals(bits: bigint): void {
  check(cSigprocmask(SIG_SETMASK, signalSet(bits), null), 'sigprocmask');
}

/** Runs `body` while the given signals are ignored, then restores what was: handlers of Node included. */
export function whileIgnoring<T>(signals: readonly number[], body: () => T): T {
  const saved = signals.map((signal) => {
    const action = new Uint8Array(SIGACTION_SIZE);
    check(cSigaction(signal, null, action), 'sigaction');
    return { signal, action };
  });
  for (const { signal } of saved) cSignal(signal, SIG_IGN);
  try {
    return body();
  } finally {
    for (const { signal, action } of saved) cSigaction(signal, action, null);
  }
}

/** Writes a set of signals (1 to 64, bit n-1 for signal n) as a `sigset_t`. */
export function signalSet(bits: bigint): Uint8Array {
  const set = new Uint8Array(128);
  new DataView(set.buffer).setBigUint64(0, BigInt.asUintN(64, bits), true);
  return set;
}

/** The bit of a signal in such a set. */
export function signalBit(signal: number): bigint {
  return 1n << BigInt(signal - 1);
}

/** The numbers in such a set, ascending. */
export function signalsIn(bits: bigint): readonly number[] {
  const signals: number[] = [];
  for (let signal = 1; signal <= SIGNAL_MAX; signal++) if ((bits & signalBit(signal)) !== 0n) signals.push(signal);
  return signals;
}
