/** A directory's processor: what it runs with, and what becomes of what it writes. Section 8.8 of the behaviour reference. */
import { constants as fileConstants } from 'node:fs';
import { constants } from 'node:os';
import { hasCode, signalBit } from '@daemontap/posix';
import type { Inherited, ProcessEnd, SpawnRequest } from '@daemontap/posix';
import { FINISHED_MODE, finishFile } from './finished-files.ts';
import type { HeldDirectory } from './held-directory.ts';
import { done, untilDone } from './need.ts';
import type { Steps, Text } from './need.ts';

const { O_CREAT, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = fileConstants;
const { SIGALRM, SIGTERM } = constants.signals;
/** How daemontools' child ends that cannot become a processor. */
const CANNOT_RUN = 111;
const SHELL = Buffer.from('/bin/sh');

/** A processor to run: `/bin/sh -c COMMAND` in the log directory. */
export interface ProcessorPlan {
  /** The log directory, as the script names it. */
  readonly path: Buffer;
  /** What `sh -c` is given. */
  readonly command: Buffer;
  /** The log directory, open. */
  readonly directoryFd: number;
  /** What the processor has open, as [its descriptor, ours]: 0 `previous`, 1 `processed`, 4 `state`, 5 `newstate`. */
  readonly descriptors: readonly (readonly [target: number, source: number])[];
}

/**
 * How a processor is started: with what the caller of this program handed over, TERM and ALRM excepted, which mean
 * something to multilog.
 */
export function processorRequest(
  { command, directoryFd, descriptors }: ProcessorPlan,
  inherited: Inherited,
): SpawnRequest {
  const own = new Set(descriptors.map(([target]) => target));
  const others = inherited.descriptors.filter((fd) => !own.has(fd)).map((fd) => [fd, fd] as const);
  const received = ~(signalBit(SIGTERM) | signalBit(SIGALRM));
  return {
    file: SHELL,
    argv: [Buffer.from('sh'), Buffer.from('-c'), command],
    environment: inherited.environment,
    directoryFd,
    descriptors: [...others, ...descriptors],
    ignoredSignals: inherited.ignoredSignals & received,
    blockedSignals: inherited.blockedSignals & received,
    descriptorLimit: inherited.descriptorLimit,
  };
}

/** Has `previous` processed until that succeeds; what comes out gets its name for good. */
export function* processPrevious(
  held: HeldDirectory,
  { command, count }: { readonly command: Buffer; readonly count: number },
): Steps<void> {
  for (;;) {
    const end = yield* run(held, command);
    if ('exitCode' in end && end.exitCode === 0) break;
    const how = 'signal' in end ? 'crashed' : 'failed';
    yield { kind: 'pause', text: [`processor ${how} in `, held.path], cause: undefined };
  }
  yield* settle(held, 'processed', FINISHED_MODE);
  yield* settle(held, 'newstate');
  yield* held.remove('previous');
  yield* untilDone(
    ['unable to rename newstate to state in directory ', held.path],
    held.call('rename', held.inside('newstate'), held.inside('state')),
  );
  yield* finishFile(held, { name: 'processed', code: 's', count });
}

function* run(held: HeldDirectory, command: Buffer): Steps<ProcessEnd> {
  for (;;) {
    try {
      return yield* runWithFiles(held, command);
    } catch (cause) {
      if (!hasCode(cause, 'EAGAIN') && !hasCode(cause, 'ENOMEM')) {
        yield { kind: 'tell', text: ['unable to run ', command], cause };
        return { exitCode: CANNOT_RUN };
      }
      yield { kind: 'pause', text: ['unable to fork for processor in ', held.path], cause };
    }
  }
}

function* runWithFiles(held: HeldDirectory, command: Buffer): Steps<ProcessEnd> {
  const read = (name: string): Steps<number> => done(held.call('open', held.inside(name), O_RDONLY | O_NONBLOCK));
  const truncate = (name: string): Steps<number> =>
    done(held.call('open', held.inside(name), O_WRONLY | O_NONBLOCK | O_TRUNC | O_CREAT, 0o644));
  const descriptors: [target: number, source: number][] = [];
  try {
    descriptors.push([0, yield* read('previous')]);
    descriptors.push([1, yield* truncate('processed')]);
    descriptors.push([4, yield* read('state')]);
    descriptors.push([5, yield* truncate('newstate')]);
    const plan: ProcessorPlan = { path: held.path, command, directoryFd: held.fd, descriptors };
    return (yield { kind: 'process', plan }) as ProcessEnd; // as whoever drives the steps promises
  } finally {
    for (const [, fd] of descriptors) yield* held.closeFile(fd);
  }
}

/** Sees to it that what a processor has written is on the disk. */
function* settle(held: HeldDirectory, name: string, mode?: number): Steps<void> {
  const file: Text = [held.path, `/${name}`];
  const fd = yield* untilDone(['unable to create ', ...file], held.openToAppend(name));
  yield* untilDone(['unable to write ', ...file, ' to disk'], held.call('fsync', fd));
  if (mode !== undefined) {
    yield* untilDone(['unable to set mode of ', ...file], held.call('fchmod', fd, mode));
  }
  yield* held.closeFile(fd);
}
