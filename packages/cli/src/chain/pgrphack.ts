/** pgrphack: runs a program as the leader of a session and process group of its own. */
import { startSession } from '@daemontap/posix';
import { program } from '../program.ts';
import type { Call, Step } from './chain.ts';

const { usage } = program('pgrphack');

/** `pgrphack child`. */
export function pgrphack({ words, given }: Call): Step {
  if (words.length === 0) return { exitCode: usage('pgrphack: usage: pgrphack child') };
  try {
    startSession();
  } catch {
    // It leads a group already: that is what was wanted.
  }
  return { child: words, given };
}
