/** fghack: keeps in the foreground what puts itself into the background, by a pipe that all of its processes inherit. */
import { closeSync, readSync } from 'node:fs';
import { errorText } from '@daemontap/formats';
import { errnoOf, hasCode, openPipe, setProcessName, spawn, systemError, waitForEnd } from '@daemontap/posix';
import { program } from '../program.ts';
import { leaveClosed } from './become.ts';
import { freeDescriptors } from './chain.ts';
import type { Call, Given, Step } from './chain.ts';
import { ownPath, whatCanRun } from './own-programs.ts';
import { candidates, searchAmong } from './search.ts';
import { limitArguments } from './softlimit.ts';

const { fatal, usage } = program('fghack');
/** How many times the child has the pipe: a daemon that closes a few descriptors keeps others. */
const COPIES = 31;

/** `fghack child`. Ends when no process has the pipe any more, with the child's exit code. */
export function fghack({ words, given }: Call): Step {
  if (words.length === 0) return { exitCode: usage('fghack: usage: fghack child') };
  setProcessName({ name: 'fghack', words });
  return { exitCode: follow(words, given) };
}

function follow(words: readonly Buffer[], given: Given): number {
  let pipe: ReturnType<typeof openPipe>;
  try {
    pipe = openPipe();
  } catch (error) {
    return fatal('unable to create pipe: ', errorText(error));
  }
  let pid: number;
  try {
    pid = startChild(words, { given, pipe: pipe.writeFd });
  } catch (error) {
    return fatal('unable to run ', words[0] ?? '', ': ', errorText(error));
  }
  closeSync(pipe.writeFd);
  readToEnd(pipe.readFd);
  try {
    const end = waitForEnd(pid);
    return 'exitCode' in end ? end.exitCode : fatal('child crashed');
  } catch (error) {
    return fatal('wait failed: ', errorText(error));
  }
}

/**
 * Starts the child with all that it would find if this program became it, and with the pipe.
 * @throws the error that tells the most when none of the candidates can be run
 */
function startChild(
  words: readonly Buffer[],
  { given, pipe }: { readonly given: Given; readonly pipe: number },
): number {
  const { environment, inherited, opened } = given;
  const limits = new Map(given.limits);
  const soft = limits.get('nofile') ?? inherited.descriptorLimit.soft;
  limits.delete('nofile');
  let files = candidates(words[0] ?? Buffer.alloc(0), environment);
  let argv = words;
  if (limits.size > 0) {
    // This process goes on and could not live under them: a softlimit between it and the child sets them.
    const found = whatCanRun(files);
    if (typeof found === 'number') throw systemError(found, 'execve');
    files = [ownPath('softlimit')];
    argv = [...files, ...limitArguments(limits), ...words];
  }
  leaveClosed(inherited);
  let pid = 0;
  const failure = searchAmong(files, (file) => {
    try {
      pid = spawn({
        file,
        argv,
        environment,
        directoryFd: undefined,
        descriptors: [
          ...inherited.descriptors.map((fd) => [fd, fd] as const),
          ...opened,
          ...freeDescriptors(given, COPIES).map((fd) => [fd, pipe] as const),
        ],
        ignoredSignals: inherited.ignoredSignals,
        blockedSignals: inherited.blockedSignals,
        descriptorLimit: { ...inherited.descriptorLimit, soft },
      });
      return 0;
    } catch (error) {
      return errnoOf(error);
    }
  });
  if (failure !== 0) throw systemError(failure, 'posix_spawn');
  return pid;
}

/** Returns at end-of-file, or when reading is impossible. What is written into the pipe is nothing to anybody. */
function readToEnd(fd: number): void {
  const bytes = Buffer.alloc(4096);
  for (;;) {
    try {
      if (readSync(fd, bytes) === 0) return;
    } catch (error) {
      if (!hasCode(error, 'EINTR')) return;
    }
  }
}
