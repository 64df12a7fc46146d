/**
 * Evaluates a configuration that is code, in a process of its own: modules are cached, so a changed one would not be
 * seen here; and whatever it does, it does not do it to a supervisor.
 */
import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { reasonText } from '@daemontap/formats';
import { findForeign } from './plain-data.ts';
import type { ForeignValue } from './plain-data.ts';
import { ConfigurationError, placeOf } from './problem.ts';

const DEADLINE_MS = 10_000;
const ANSWER_FD = 3;
const MOST_ANSWER_BYTES = 4 * 1024 * 1024;
const MOST_OUTPUT_BYTES = 4096;
/** Node's exit code when nothing can happen any more, and a promise is waited for. */
const UNSETTLED = 13;
/** All that the code sees of our environment. */
const ENVIRONMENT = ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'TZ'];

/** What is to be evaluated. */
export interface Evaluation {
  readonly path: string;
  /** What the file is called in messages. */
  readonly label: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Default: 10 seconds. */
  readonly deadlineMs?: number;
}

type Answer = { readonly foreign: readonly ForeignValue[]; readonly value?: unknown } | { readonly missing: true };

/**
 * What the file exports by default: a value, or a function or promise that gives it.
 * @throws ConfigurationError with what the code has written, its exit code, or the places of what is no data
 */
export async function evaluate({ path, label, environment, deadlineMs = DEADLINE_MS }: Evaluation): Promise<unknown> {
  const fail = (message: string): never => {
    throw new ConfigurationError([{ place: label, message }]);
  };
  const end = await run({ path, environment, deadlineMs });
  if (end.failure !== undefined) return fail(`unable to evaluate it: ${reasonText(end.failure)}`);
  if (end.isLate) return fail(`its evaluation took more than ${deadlineMs / 1000} seconds${quote(end.output)}`);
  const answer = parseAnswer(end.answer);
  if (answer === undefined) {
    return fail(`its evaluation ended with ${howEnded(end)}${quote(end.output)}`);
  }
  if ('missing' in answer) return fail('it has no default export: write export default { … }');
  if (answer.foreign.length === 0) return answer.value;
  throw new ConfigurationError(
    answer.foreign.map(({ path: keys, message }) => ({ place: placeOf(label, keys), message })),
  );
}

function howEnded({ exitCode, signal }: Pick<End, 'exitCode' | 'signal'>): string {
  if (signal !== null) return `signal ${signal}`;
  if (exitCode === UNSETTLED) return 'a promise that is never settled';
  return `exit code ${exitCode}${exitCode === 0 ? ' and no value' : ''}`;
}

interface End {
  readonly answer: string;
  readonly output: string;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly isLate: boolean;
  readonly failure?: unknown;
}

function run({
  path,
  environment,
  deadlineMs,
}: Required<Pick<Evaluation, 'path' | 'environment' | 'deadlineMs'>>): Promise<End> {
  const env = Object.fromEntries(ENVIRONMENT.map((name) => [name, environment[name]]));
  const args = ['--no-warnings', '--input-type=module', '--eval', script(), '--', path];
  // A session of its own, so that what the code has started ends with it.
  const child = spawn(process.execPath, args, {
    cwd: dirname(path),
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const answer: Buffer[] = [];
  const output: Buffer[] = [];
  collect(child.stdio[ANSWER_FD], answer, MOST_ANSWER_BYTES);
  collect(child.stdout, output, MOST_OUTPUT_BYTES);
  collect(child.stderr, output, MOST_OUTPUT_BYTES);
  return new Promise((resolve) => {
    let isLate = false;
    const endGroup = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {} // nobody is left
    };
    const deadline = setTimeout(() => {
      isLate = true;
      endGroup();
    }, deadlineMs);
    const finish = (how: Pick<End, 'exitCode' | 'signal'> & { readonly failure?: unknown }): void => {
      clearTimeout(deadline);
      resolve({ ...how, answer: text(answer), output: text(output), isLate });
    };
    child.once('error', (failure) => finish({ exitCode: null, signal: null, failure }));
    // Until the pipes are at their end, something that was left behind may hold them.
    child.once('exit', endGroup);
    child.once('close', (exitCode, signal) => finish({ exitCode, signal }));
  });
}

function collect(stream: unknown, chunks: Buffer[], most: number): void {
  let size = 0;
  (stream as NodeJS.ReadableStream).on('data', (chunk: Buffer) => {
    if (size < most) chunks.push(chunk);
    size += chunk.length;
  });
}

function text(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString();
}

function parseAnswer(given: string): Answer | undefined {
  try {
    return given === '' ? undefined : (JSON.parse(given) as Answer); // our own script's, below
  } catch {
    return undefined;
  }
}

/** What was written, below the message and without the lines about Node's own code. */
function quote(output: string): string {
  const own = output.slice(0, MOST_OUTPUT_BYTES).replaceAll(/^node:internal.*\n(?:.*\n)*? *\^+\n/gm, '');
  const lines = own
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^ {4}at .*(node:|\[eval)|^Node\.js v/.test(line));
  return lines.map((line) => `\n    ${line}`).join('');
}

/** What is evaluated there: all that this process may write goes to standard output, the answer does not. */
function script(): string {
  return `
    import { writeSync } from 'node:fs';
    import { pathToFileURL } from 'node:url';
    const findForeign = ${findForeign.toString()};
    const module = await import(pathToFileURL(process.argv[1]).href);
    let value = module.default?.__esModule ? module.default.default : module.default;
    const isMissing = value === undefined;
    if (typeof value === 'function') value = value();
    value = await value;
    const foreign = findForeign(value);
    const answer = isMissing ? { missing: true } : foreign.length > 0 ? { foreign } : { foreign, value };
    const bytes = Buffer.from(JSON.stringify(answer));
    for (let at = 0; at < bytes.length; ) {
      try {
        at += writeSync(${ANSWER_FD}, bytes, at);
      } catch (error) {
        if (error.code !== 'EAGAIN') throw error;
      }
    }
    process.exit(0);`;
}
