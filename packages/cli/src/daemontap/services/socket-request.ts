/**
 * Requests over a kernel's control socket, each with a deadline: an answer as a whole, or as a stream of events.
 * node:http is loaded when somebody asks.
 */
import type { Agent, IncomingMessage } from 'node:http';
import { errorText, reasonText } from '@daemontap/formats';
import { hasCode, shortSocketPath } from '@daemontap/posix';
import { AskError, lost } from './ask-error.ts';

/** One for each socket: the paths that are connected to may be short for different ones in turn. */
const agents = new Map<string, Agent>();

/** What is asked. */
export interface Question {
  readonly socketPath: string;
  readonly path: string;
  /** Makes it a POST, as JSON. */
  readonly body?: unknown;
}

/** An answer, read as JSON. */
export interface Answer {
  readonly status: number;
  readonly value: unknown;
}

const ANSWER_TIMEOUT_MS = 2000;
/** A hundred thousand services, more or less. */
const MAX_ANSWER_LENGTH = 64 * 1024 * 1024;
/** Where there is none: nothing runs, or what runs has no control socket. */
const NOBODY: readonly string[] = ['ENOENT', 'ENOTDIR', 'ECONNREFUSED'];
/** The calls before anybody has heard of the question. */
const BEFORE_REACHING: readonly unknown[] = ['open', 'connect'];

/** Asks, and waits for the whole answer. @throws AskError */
export async function answerTo(question: Question): Promise<Answer> {
  const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  try {
    return await wholeOf(await send(question, signal));
  } catch (error) {
    throw signal.aborted ? silent() : askErrorOf(error);
  }
}

/**
 * Asks for server-sent events and hands each on, until it is aborted.
 * @throws AskError when there are none, or no more
 */
export async function eventsOf(
  question: Question,
  { event, signal }: { readonly event: (kind: string, value: unknown) => void; readonly signal: AbortSignal },
): Promise<void> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), ANSWER_TIMEOUT_MS);
  try {
    const answer = await send(question, AbortSignal.any([signal, deadline.signal]));
    if (answer.statusCode !== 200) throw refusalOf(await wholeOf(answer));
    let pending = '';
    answer.setEncoding('utf8');
    for await (const piece of answer) {
      const blocks = (pending + String(piece)).split('\n\n');
      pending = blocks.pop() ?? '';
      if (pending.length > MAX_ANSWER_LENGTH) throw lost('an event without end');
      if (blocks.length > 0) clearTimeout(timer); // the first one has come
      for (const block of blocks) tell(block, event);
    }
    throw lost('the events have ended');
  } catch (error) {
    if (signal.aborted) return;
    throw deadline.signal.aborted ? silent() : askErrorOf(error);
  } finally {
    clearTimeout(timer);
  }
}

/** What an answer that is no success says. */
export function refusalOf({ status, value }: Answer): AskError {
  const error: unknown = isObject(value) ? value['error'] : undefined;
  const message = isObject(error) && typeof error['message'] === 'string' ? error['message'] : `HTTP status ${status}`;
  return new AskError('refused', message);
}

function tell(block: string, event: (kind: string, value: unknown) => void): void {
  const lines = block.split('\n');
  const field = (name: string): readonly string[] =>
    lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).replace(/^ /, ''));
  const data = field('data');
  if (data.length > 0) event(field('event').at(-1) ?? 'message', parsed(data.join('\n')));
}

/** Sends a request, and resolves with the head of the answer. */
async function send({ socketPath, path, body }: Question, signal: AbortSignal): Promise<IncomingMessage> {
  const { Agent: HttpAgent, request } = await import('node:http');
  // Connections are kept for the next question: to be accepted takes longer than to be answered.
  const agent = agents.get(socketPath) ?? new HttpAgent({ keepAlive: true });
  agents.set(socketPath, agent);
  const short = shortSocketPath(socketPath);
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers = {
      host: 'localhost',
      ...(text === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    };
    request({ socketPath: short.path, path, method: text === '' ? 'GET' : 'POST', headers, agent, signal })
      .on('response', resolve)
      .on('error', reject)
      .end(text);
  });
  return answer.finally(() => short.close());
}

async function wholeOf(answer: IncomingMessage): Promise<Answer> {
  let text = '';
  answer.setEncoding('utf8');
  for await (const piece of answer) {
    text += String(piece);
    if (text.length > MAX_ANSWER_LENGTH) throw lost('an answer without end');
  }
  return { status: answer.statusCode ?? 0, value: parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw lost('what answers is no daemontap');
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function silent(): AskError {
  return lost(`no answer for ${ANSWER_TIMEOUT_MS / 1000} seconds`);
}

function askErrorOf(error: unknown): AskError {
  if (error instanceof AskError) return error;
  if (NOBODY.some((code) => hasCode(error, code))) return new AskError('nobody', errorText(error), { cause: error });
  // Nobody has been reached, so nothing can have been done.
  const isReached = !(error instanceof Error && 'syscall' in error && BEFORE_REACHING.includes(error.syscall));
  return isReached ? lost(reasonText(error), error) : new AskError('refused', reasonText(error), { cause: error });
}
