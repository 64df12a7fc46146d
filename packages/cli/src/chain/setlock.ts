/** setlock: runs a program with a file locked; the lock lasts as long as anyone has the descriptor. */
import { constants, openSync } from 'node:fs';
import { errorText, errorTextForCode } from '@daemontap/formats';
import { setProcessName, tryLock, waitForLock } from '@daemontap/posix';
import { parseArguments } from '../getopt.ts';
import { isHelped } from '../help.ts';
import { program } from '../program.ts';
import { freeDescriptors } from './chain.ts';
import type { Call, Step } from './chain.ts';

const { fatal, usage } = program('setlock');
const USAGE = 'setlock: usage: setlock [ -nNxX ] file program [ arg ... ]';
const TEXT = `Runs program with file locked.
-n: does not wait for the lock (-N: waits, the default). -x: exit code 0 when file cannot be locked (-X: 111, the default).`;
const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants;

/** `setlock [-nNxX] file child`. `-n` does not wait; with `-x` it is no failure that the file cannot be locked. */
export function setlock({ called, words, given }: Call): Step {
  if (isHelped(words, { usage: USAGE, text: TEXT })) return { exitCode: 0 };
  const parsed = parseArguments(words, { flags: 'nNxX' });
  if ('complaint' in parsed) {
    usage(called, ': ', parsed.complaint, ' -- ', parsed.letter);
    return { exitCode: usage(USAGE) };
  }
  const [file, ...child] = parsed.operands;
  if (file === undefined || child.length === 0) return { exitCode: usage(USAGE) };
  const last = (letters: string): string | undefined =>
    parsed.options.findLast(({ letter }) => letters.includes(letter))?.letter;
  const waits = last('nN') !== 'n';
  const unable = (what: string, reason: string): Step => ({
    exitCode: last('xX') === 'x' ? 0 : fatal('unable to ', what, ' ', file, ': ', reason),
  });
  const [target] = freeDescriptors(given, 1);
  if (target === undefined) return unable('open', errorTextForCode('EMFILE'));
  let fd: number;
  try {
    fd = openSync(file, O_WRONLY | O_NONBLOCK | O_APPEND | O_CREAT, 0o600);
  } catch (error) {
    return unable('open', errorText(error));
  }
  try {
    takeLock(fd, { waits, words });
  } catch (error) {
    return unable('lock', errorText(error));
  }
  return { child, given: { ...given, opened: [...given.opened, [target, fd]] } };
}

function takeLock(fd: number, { waits, words }: { readonly waits: boolean; readonly words: readonly Buffer[] }): void {
  try {
    tryLock(fd);
  } catch (error) {
    if (!waits) throw error;
    // It may take long: ps is to tell who waits, and for what.
    setProcessName({ name: 'setlock', words });
    waitForLock(fd);
  }
}
