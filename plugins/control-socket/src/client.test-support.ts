/** A client for tests: it compares every answer that it gets with the schema. */
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import * as v from 'valibot';
import { answerSchemas, errorStatuses, eventSchemas } from './schema.ts';
import type { ErrorAnswer, ErrorCode, EventData } from './schema.ts';

/** What is asked. */
export interface Question {
  readonly socketPath: string;
  readonly target: string;
  /** Makes it a POST. */
  readonly body?: unknown;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  /** Sent as it is, in the place of `body`. */
  readonly rawBody?: string | Buffer;
  readonly signal?: AbortSignal;
}

/** An answer that keeps to the schema. */
export interface CheckedAnswer<T = unknown> {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: T;
}

/** Asks, and resolves with the answer. @throws where it does not keep to the schema */
export async function ask<T = unknown>(question: Question): Promise<CheckedAnswer<T>> {
  const response = await send(question);
  let text = '';
  response.setEncoding('utf8');
  for await (const piece of response) text += String(piece);
  const { statusCode: status = 0, headers } = response;
  const body: unknown = JSON.parse(text);
  checkAnswer({ target: question.target, status, body });
  if (headers['content-type'] !== 'application/json') throw new Error(`content-type ${headers['content-type']}`);
  return { status, headers, body: body as T }; // as checked
}

/** Asks for what must be refused, and resolves with status, code and message. */
export async function refused(question: Question): Promise<readonly [number, ErrorCode, string]> {
  const { status, body } = await ask<ErrorAnswer>(question);
  return [status, body.error.code, body.error.message];
}

/** An event that keeps to the schema. */
export type CheckedEvent = {
  readonly [E in keyof EventData]: { readonly event: E; readonly data: EventData[E] };
}[keyof EventData];

/** Events as they come, until the stream ends. @throws where one does not keep to the schema */
export async function* events(question: Question): AsyncGenerator<CheckedEvent> {
  const response = await send(question);
  response.setEncoding('utf8');
  if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
  let pending = '';
  let lastId = -1;
  for await (const piece of response) {
    const blocks = (pending + String(piece)).split('\n\n');
    pending = blocks.pop() ?? '';
    for (const block of blocks) {
      if (block.startsWith(':')) continue;
      const [, event = '', id = '', data = ''] = /^event: (\w+)\nid: (\d+)\ndata: (.*)$/.exec(block) ?? [];
      if (Number(id) <= lastId) throw new Error(`id ${id} after ${lastId}`);
      lastId = Number(id);
      yield checkEvent(event, JSON.parse(data));
    }
  }
}

/** @throws where an answer does not keep to the schema */
export function checkAnswer({
  target,
  status,
  body,
}: {
  readonly target: string;
  readonly status: number;
  readonly body: unknown;
}): void {
  const schema = answerSchemas[status < 300 ? answerTo(target) : 'ErrorAnswer'];
  const result = v.safeParse(schema, body);
  if (!result.success) {
    throw new Error(`${target}: ${JSON.stringify(v.flatten(result.issues))} in ${JSON.stringify(body)}`);
  }
  if (status < 300) return;
  const { code } = (body as ErrorAnswer).error; // as checked
  const statuses: readonly number[] = errorStatuses[code];
  if (!statuses.includes(status)) throw new Error(`${target}: status ${status} does not go with ${code}`);
}

function answerTo(target: string): keyof typeof answerSchemas {
  if (/^\/v1\/?(\?|$)/.test(target)) return 'KernelAnswer';
  if (/^\/v1\/plugins\b/.test(target)) return 'PluginsAnswer';
  if (/^\/v1\/services\/?$/.test(target)) return 'ServicesAnswer';
  return /\/(commands|wait)(\?|$)/.test(target) ? 'ServiceAnswer' : 'ServiceDetailsAnswer';
}

function checkEvent(event: string, data: unknown): CheckedEvent {
  const schema: v.GenericSchema | undefined = Object.hasOwn(eventSchemas, event)
    ? eventSchemas[event as keyof EventData]
    : undefined;
  if (schema === undefined) throw new Error(`event ${event}`);
  const result = v.safeParse(schema, data);
  if (!result.success) throw new Error(`event ${event}: ${JSON.stringify(v.flatten(result.issues))}`);
  return { event, data: result.output } as CheckedEvent; // as checked
}

function send({ socketPath, target, body, method, headers = {}, rawBody, signal }: Question): Promise<IncomingMessage> {
  const text = rawBody ?? (body === undefined ? undefined : JSON.stringify(body));
  return new Promise((resolve, reject) => {
    request({
      ...{ socketPath, path: target, agent: false, method: method ?? (text === undefined ? 'GET' : 'POST') },
      headers: {
        ...(text !== undefined &&
          headers['transfer-encoding'] === undefined && { 'content-length': Buffer.byteLength(text) }),
        ...headers,
      },
      ...(signal && { signal }),
    })
      .on('response', resolve)
      .on('error', reject)
      .end(text);
  });
}
