/** envdir: runs a program with the environment changed as the files of a directory say, one variable a file. */
import { closeSync, constants, openSync, readdirSync, readFileSync } from 'node:fs';
import { changeEnvironment, environmentEntry, errorText } from '@daemontap/formats';
import { enterDirectory, enterOpenDirectory, hasCode } from '@daemontap/posix';
import { isHelped } from '../help.ts';
import { program } from '../program.ts';
import type { Text } from '../program.ts';
import type { Call, Step } from './chain.ts';

const { fatal, usage } = program('envdir');
const USAGE = 'envdir: usage: envdir dir child';
const TEXT = `Runs child with the environment changed by the files in dir: each sets the variable of its name to its first line,
and removes it when it is empty.`;
const DOT = 0x2e;

/** What could not be done, in the words of the message. */
class Unable extends Error {
  readonly text: readonly Text[];
  constructor(text: readonly Text[], cause: unknown) {
    super('unable', { cause });
    this.text = text;
  }
}

/** `envdir dir child`. Everything that is wrong has exit code 111, wrong use too. */
export function envdir({ words, given }: Call): Step {
  if (isHelped(words, { usage: USAGE, text: TEXT })) return { exitCode: 0 };
  const [directory, ...child] = words;
  if (directory === undefined || child.length === 0) {
    usage(USAGE);
    return { exitCode: 111 };
  }
  try {
    const entries = within(directory, () => readEntries(directory));
    return { child, given: { ...given, environment: entries.reduce(changeEnvironment, given.environment) } };
  } catch (error) {
    if (!(error instanceof Unable)) throw error;
    return { exitCode: fatal('unable to ', ...error.text, ': ', errorText(error.cause)) };
  }
}

/** Does something in a directory, and comes back by a descriptor: there may be no way back by name. */
function within<T>(directory: Buffer, body: () => T): T {
  const back = attempt(['switch to current directory'], () => openSync('.', constants.O_RDONLY | constants.O_NONBLOCK));
  attempt(['switch to directory ', directory], () => enterDirectory(directory));
  const result = body();
  attempt(['switch to starting directory'], () => enterOpenDirectory(back));
  closeSync(back);
  return result;
}

/** `NAME=value` for every file, or `NAME` for one that removes its variable. */
function readEntries(directory: Buffer): readonly Buffer[] {
  const names = attempt(['read directory ', directory], () => readdirSync('.', { encoding: 'buffer' }));
  return names
    .filter((name) => name[0] !== DOT)
    .map((name) => {
      const content = attempt(['read ', directory, '/', name], () => readEntry(name));
      return environmentEntry({ name, content });
    });
}

/** A file that has just gone, or a link to nothing, is as an empty one. */
function readEntry(name: Buffer): Buffer {
  try {
    return readFileSync(name, { flag: constants.O_RDONLY | constants.O_NONBLOCK });
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return Buffer.alloc(0);
    throw error;
  }
}

function attempt<T>(text: readonly Text[], body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw new Unable(text, error);
  }
}
