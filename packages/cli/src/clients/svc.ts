/** svc: writes commands to the control FIFO of each directory. That they are obeyed is not waited for. */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { commandLetters, commandNames, errorText } from '@daemontap/formats';
import { parseArguments } from '../getopt.ts';
import { hasCode } from '@daemontap/posix';
import { isHelped } from '../help.ts';
import { calledName, program, whenReady } from '../program.ts';
import { checkCurrentDirectory, enter } from './service-directory.ts';
import type { ServiceDirectory } from './service-directory.ts';

const { fatal, usage, warning } = program('svc');

const OPTIONS = `svc options: ${commandLetters.map((letter) => `${letter} ${commandNames[letter]}`).join(', ')}`;
const USAGE = `svc: usage: svc [-${commandLetters.join('')}] dir ...`;

/** Exit code 0 even when no directory could be reached: what went wrong there is told as a warning. */
export function svc(words: readonly Buffer[]): number {
  if (isHelped(words, { usage: USAGE, text: `Sends commands to the supervise of each dir.\n${OPTIONS}` })) return 0;
  const parsed = parseArguments(words, { flags: commandLetters.join('') });
  if ('complaint' in parsed) {
    usage(calledName('svc'), ': ', parsed.complaint, ' -- ', parsed.letter);
    return usage(OPTIONS);
  }
  const commands = Buffer.from([...new Set(parsed.options.map(({ letter }) => letter))].join(''));
  try {
    checkCurrentDirectory();
  } catch (error) {
    return fatal('unable to open current directory: ', errorText(error));
  }
  for (const directory of parsed.operands) control(directory, commands);
  return 0;
}

function control(directory: Buffer, commands: Buffer): void {
  let service: ServiceDirectory;
  try {
    service = enter(directory);
  } catch (error) {
    warning('unable to chdir to ', directory, ': ', errorText(error));
    return;
  }
  try {
    send(service.inside('supervise/control'), { directory, commands });
  } finally {
    service.close();
  }
}

function send(path: string, { directory, commands }: { readonly directory: Buffer; readonly commands: Buffer }): void {
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    const reason = hasCode(error, 'ENXIO') ? 'supervise not running' : errorText(error);
    warning('unable to control ', directory, ': ', reason);
    return;
  }
  try {
    // One write, so that the commands of two clients do not mix; a full FIFO is waited for.
    if (commands.length > 0) whenReady(() => writeSync(fd, commands));
  } catch (error) {
    warning('error writing commands to ', directory, ': ', errorText(error));
  } finally {
    closeSync(fd);
  }
}
