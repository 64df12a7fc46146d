/** What the tests of multilog share: how they look at log directories, and a multilog whose input the test holds. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { decodeTai64n } from '@daemontap/formats';
import { hasCode } from '@daemontap/posix';
import { implementations } from './implementations.ts';
import type { Implementation } from './implementations.ts';
import type { Argument } from './run.ts';
import { slowPipe } from './slow-pipe.ts';
import type { SlowPipe } from './slow-pipe.ts';
import { start } from './start.ts';
import type { Exit, StartedProgram } from './start.ts';
import { processState } from './supervised.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import type { TemporaryDirectory } from './temporary-directory.ts';
import { until } from './until.ts';

/** Those that have a multilog. */
export const multilogs: readonly Implementation[] = implementations.filter((each) => each.has('multilog'));
if (!multilogs.some((each) => each.name === 'daemontap')) console.log('skipped: our multilog, which is not built');

/** A file of a log directory: one character for each byte. */
export interface LogFile {
  readonly name: string;
  /** The last three digits, in octal. */
  readonly mode: string;
  readonly text: string;
}

/**
 * The files of a log directory in the order of their names, which for finished ones is that of their age. One that
 * vanishes meanwhile is not among them.
 */
export function logFiles(directory: string): readonly LogFile[] {
  return readdirSync(directory)
    .toSorted()
    .flatMap((name) => {
      const path = join(directory, name);
      try {
        return [{ name, mode: modeOf(path), text: readFileSync(path, 'latin1') }];
      } catch (error) {
        if (hasCode(error, 'ENOENT')) return [];
        throw error;
      }
    });
}

/** The finished ones among them. */
export function finishedFiles(directory: string): readonly LogFile[] {
  return logFiles(directory).filter(({ name }) => /^@[0-9a-f]{24}\.[su]$/.test(name));
}

/** Each file with its mode, e.g. `744 @STAMP.s`. */
export function listing(directory: string): readonly string[] {
  return readdirSync(directory)
    .toSorted()
    .map((name) => `${modeOf(join(directory, name))} ${maskStamps(name)}`);
}

/** All that is logged in a directory, from the oldest finished file to `current`. */
export function logged(directory: string): string {
  return [...finishedFiles(directory), ...logFiles(directory).filter(({ name }) => name === 'current')]
    .map(({ text }) => text)
    .join('');
}

/** The permissions of a file, in octal. */
export function modeOf(path: string): string {
  return (statSync(path).mode & 0o7777).toString(8);
}

/** A text with its stamps made equal. */
export function maskStamps(text: string): string {
  return text.replaceAll(/@[0-9a-f]{24}/g, '@STAMP');
}

/** The moment of the stamp with which a line or a name begins, in nanoseconds since 1970. */
export function momentOf(line: string): bigint {
  return decodeTai64n(Buffer.from(line.slice(1, 25), 'hex')) ?? 0n;
}

/** The text of a file, or `undefined` while there is none. */
export function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

/** A multilog that reads from a pipe, in a directory of its own. */
export interface FedMultilog extends AsyncDisposable {
  readonly here: TemporaryDirectory;
  readonly pipe: SlowPipe;
  readonly program: StartedProgram;
  /** Waits until a file has this text, its stamps masked. */
  holds(file: string, text: string): Promise<void>;
  /**
   * Waits until it sleeps, as it does in a read, for tests that have seen all its work done. C's multilog notes a signal
   * that comes immediately before the read, but reads nevertheless.
   */
  idle(): Promise<void>;
  /** Sends a signal, and waits until it was taken: input that comes together with one may be read before or after. */
  signal(name: NodeJS.Signals): Promise<void>;
  /** Waits until it has ended; not for longer than a test may take. */
  ended(): Promise<Exit>;
  /** Waits until standard error is, or begins with, this text. */
  says(text: string): Promise<void>;
}

/** How to start it. */
export interface FedOptions {
  /** Words in front of it. */
  readonly through?: readonly Argument[];
  readonly env?: Readonly<Record<string, string>>;
  /** Makes what is there when it starts. */
  prepare?(here: TemporaryDirectory): void;
}

/** Starts a multilog that reads from a pipe, and is killed with the test. */
export function fedMultilog(
  implementation: Implementation,
  words: readonly Argument[],
  { through = [], env, prepare }: FedOptions = {},
): FedMultilog {
  const here = temporaryDirectory();
  prepare?.(here);
  const pipe = slowPipe(here);
  const program = start([...through, implementation.path('multilog'), ...words], {
    cwd: here.path,
    stdin: pipe.reader,
    ...(env === undefined ? {} : { env }),
  });
  let exit: Exit | undefined;
  void program.exit.then((value) => (exit = value));
  const state = (): unknown => [processState(program.pid), program.stderr().slice(-1000), readdirSync(here.path)];
  return {
    here,
    pipe,
    program,
    async holds(file, text) {
      const path = here.join(file);
      const seen = (): string | undefined => {
        const now = textOf(path);
        return now === undefined ? undefined : maskStamps(now);
      };
      await until(() => seen() === text, {
        describe: `${file} holds ${JSON.stringify(text.slice(0, 200))}`,
        state: () => [seen()?.slice(-200), state()],
      });
    },
    async idle() {
      await until(() => processState(program.pid) === 'S', { describe: 'it sleeps', state });
    },
    async signal(name) {
      process.kill(program.pid, name);
      const isTaken = (): boolean => !hasPending(program.pid) && processState(program.pid) !== 'R';
      await until(isTaken, { describe: `it takes ${name}`, state, everyMs: 2 });
    },
    async ended() {
      return until(() => exit, { describe: 'it ends', state });
    },
    async says(text) {
      await until(() => program.stderr().startsWith(text), { describe: `it says ${text}`, state });
    },
    async [Symbol.asyncDispose]() {
      try {
        // One that pauses, or has a partial line, would not go at TERM.
        if (exit === undefined) process.kill(program.pid, 'SIGKILL');
      } catch {
        // It has just ended.
      }
      pipe[Symbol.dispose]();
      await program[Symbol.asyncDispose]();
      await here[Symbol.asyncDispose]();
    },
  };
}

/** True while a process has got a signal that it has not taken. */
function hasPending(pid: number): boolean {
  const status = textOf(`/proc/${pid}/status`) ?? '';
  return /^(?:Sig|Shd)Pnd:\t0*[1-9a-f]/m.test(status);
}
