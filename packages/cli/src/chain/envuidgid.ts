/** envuidgid: puts an account's uid and gid into the environment, and changes neither. */
import { changeEnvironment } from '@daemontap/formats';
import { findAccount } from '@daemontap/posix';
import { isHelped } from '../help.ts';
import { program } from '../program.ts';
import type { Call, Step } from './chain.ts';

const { fatal, usage } = program('envuidgid');
const USAGE = 'envuidgid: usage: envuidgid account child';
const TEXT = 'Runs child with the uid and gid of account as the variables UID and GID.';

/** `envuidgid account child`. */
export function envuidgid({ words, given }: Call): Step {
  if (isHelped(words, { usage: USAGE, text: TEXT })) return { exitCode: 0 };
  const [name, ...child] = words;
  if (name === undefined || child.length === 0) return { exitCode: usage(USAGE) };
  const account = findAccount(name);
  if (account === undefined) return { exitCode: fatal('unknown account ', name) };
  const entries = [`GID=${account.gid}`, `UID=${account.uid}`].map((entry) => Buffer.from(entry));
  return { child, given: { ...given, environment: entries.reduce(changeEnvironment, given.environment) } };
}
