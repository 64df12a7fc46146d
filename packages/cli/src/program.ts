/**
 * How a program of daemontools speaks and ends: one message, one line, one write(2) to descriptor 2, bytes as they are.
 * Must never touch process.stdout, process.stderr or console: Node would change flags of files that others share.
 */
import { writeSync } from 'node:fs';
import { argumentBytes, hasCode } from '@daemontap/posix';

/** Part of a message: own words, or bytes of somebody else's. */
export type Text = string | Uint8Array;

/** A program's voice. Each function writes its line; those that end the program return the exit code for it. */
export interface Program {
  readonly name: string;
  /** `NAME: warning: TEXT` */
  warning(...text: readonly Text[]): void;
  /** `NAME: fatal: TEXT`; returns 111. */
  fatal(...text: readonly Text[]): number;
  /** The line as it stands; returns 100. */
  usage(...text: readonly Text[]): number;
}

/** The voice of the program called `name`. */
export function program(name: string): Program {
  return {
    name,
    warning(...text) {
      writeLine(`${name}: warning: `, ...text);
    },
    fatal(...text) {
      writeLine(`${name}: fatal: `, ...text);
      return 111;
    },
    usage(...text) {
      writeLine(...text);
      return 100;
    },
  };
}

/** What a bundle holds, by the names of the programs. */
type Programs<T> = Readonly<Record<string, T>>;

/** Which of a bundle's programs was called: the launcher tells. */
export function programOf<T>(programs: Programs<T>): { readonly name: string; readonly main: T } {
  const name = process.env['DAEMONTAP_NAME'] ?? '';
  const main = Object.hasOwn(programs, name) ? programs[name] : undefined;
  if (main === undefined) {
    throw new Error(`DAEMONTAP_NAME=${name} is none of ${Object.keys(programs).join(', ')}: use the files in bin/`);
  }
  return { name, main };
}

/**
 * Ends the process. `process.exit` gives terminals and the O_NONBLOCK of descriptors 0 to 2 the state back that Node
 * found them in: what others who share them have changed meanwhile is lost, so what runs for long ends by `exitAtOnce`,
 * for which native code is loaded.
 */
type End = (exitCode: number) => never;

/** Runs one of some programs that end by themselves, and ends the process with the exit code that it returns. */
export function runProgram(programs: Programs<(words: readonly Buffer[]) => number>, end?: End): void {
  const { name, main } = programOf(programs);
  exitWith(name, () => main(argumentBytes()), end);
}

/** Ends the process with the exit code that `main` returns. */
export function exitWith(name: string, main: () => number, end: End = process.exit): never {
  let exitCode: number;
  try {
    exitCode = main();
  } catch (error) {
    // Nothing foreseen: said in one line all the same, never as a stack trace on a service's log.
    exitCode = program(name).fatal(String(error instanceof Error ? error.message : error).replace(/\n.*$/s, ''));
  }
  return end(exitCode);
}

/** The name under which the program was called, for the complaints of its option parser. */
export function calledName(name: string): string {
  const called = process.env['DAEMONTAP_PROGRAM'] ?? name;
  return called.slice(called.lastIndexOf('/') + 1);
}

/**
 * Writes all of `text` to a descriptor, waiting for a slow reader.
 * @throws the system's error when that is impossible
 */
export function writeAll(fd: number, ...text: readonly Text[]): void {
  const bytes = Buffer.concat(text.map((each) => Buffer.from(each)));
  for (let written = 0; written < bytes.length;) {
    written += whenReady(() => writeSync(fd, bytes, written));
  }
}

/** Does what is refused with EAGAIN again, every few milliseconds, until it is not: what C waits for in the system. */
export function whenReady<T>(attempt: () => T): T {
  for (;;) {
    try {
      return attempt();
    } catch (error) {
      if (!hasCode(error, 'EAGAIN')) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}

/** A program of daemontools does not ignore SIGPIPE, Node does: `svstat * | head -1` ends by the signal. */
export function endAsByPipeSignal(): void {
  const nothing = (): void => {};
  process.on('SIGPIPE', nothing).off('SIGPIPE', nothing); // taking the last listener away restores the default
  process.kill(process.pid, 'SIGPIPE');
}

const RETRY_MS = 10;

function writeLine(...text: readonly Text[]): void {
  try {
    writeAll(2, ...text, '\n');
  } catch {
    // Nobody can be told that nobody can be told.
  }
}
