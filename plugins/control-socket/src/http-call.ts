/** One request of HTTP as the API takes it, and its one answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ApiCall } from './api.ts';
import { ApiError } from './api-error.ts';
import type { EventSink } from './event-streams.ts';
import { MOST_BODY_BYTES, MOST_HEAD_BYTES } from './limits.ts';

/** A request on a connection. */
export interface HttpExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Is called where the client goes away before it has the answer. */
  whenGone: () => void;
}

/** What a call is made of. */
export interface HttpCallOptions {
  readonly exchange: HttpExchange;
  /** Whether the connection is of no further use. */
  isLast(): boolean;
  /** Is told that events are written on this connection from now on. */
  onStream(): void;
  /** Is told what must not happen. */
  onError(error: unknown): void;
}

/** Makes a call of a request. Each of the ways to answer works once; later ones do nothing. */
export function httpCall({ exchange, isLast, onStream, onError }: HttpCallOptions): ApiCall {
  const { request, response } = exchange;
  const send = (status: number, body: object, headers: Readonly<Record<string, string>> = {}): void => {
    if (response.headersSent || response.destroyed) return;
    const text = textOf(body);
    response.writeHead(status, {
      ...headOf(text),
      ...((isLast() || isOpenEnded(request)) && { connection: 'close' }),
      ...headers,
    });
    response.end(text);
  };
  const call: ApiCall = {
    method: request.method ?? '',
    target: request.url ?? '',
    readBody: (then) => readBody(request, (value) => answering(call, { body: () => then(value()), onError })),
    answer: (body, status = 200) => send(status, body),
    fail: (error) => send(error.status, error.answer, error.headers),
    stream() {
      onStream();
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      return sinkOf(response);
    },
    whenGone(callback) {
      exchange.whenGone = callback;
    },
  };
  return call;
}

/** Runs what answers a call; what it throws is the answer. */
export function answering(
  call: ApiCall,
  { body, onError }: { readonly body: () => void; readonly onError: (error: unknown) => void },
): void {
  try {
    body();
  } catch (error) {
    if (error instanceof ApiError) {
      call.fail(error);
      return;
    }
    onError(error);
    call.fail(new ApiError('FAILED', 'the request has failed within the kernel, which goes on'));
  }
}

/** True for a request whose body is not even waited for. */
export function isTooLarge({ headers }: IncomingMessage): boolean {
  return Number(headers['content-length'] ?? 0) > MOST_BODY_BYTES;
}

/** Why a body is not taken. */
export function tooLarge(): ApiError {
  return new ApiError('TOO_LARGE', `a body has at most ${MOST_BODY_BYTES} bytes`);
}

/** What is wrong with a request that node:http cannot make anything of. */
export function clientError({ code = 'unknown' }: NodeJS.ErrnoException): ApiError {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new ApiError('TOO_LARGE', `the head of a request has at most ${MOST_HEAD_BYTES} bytes`, { status: 431 });
  }
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return tooLarge();
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new ApiError('TIMEOUT', 'the request took too long to come', { status: 408 });
  }
  return new ApiError('BAD_REQUEST', `this is not HTTP: ${code}`);
}

/** Answers with an error where there is nothing of node:http to do it with, and closes the connection. */
export function endWith(socket: Duplex, { status, answer, headers }: ApiError): void {
  const text = textOf(answer);
  const { STATUS_CODES } = process.getBuiltinModule('node:http');
  const fields = Object.entries({ ...headOf(text), connection: 'close', ...headers });
  const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head}\r\n${text}`, () => socket.destroy());
}

function textOf(body: object): string {
  return `${JSON.stringify(body)}\n`;
}

function headOf(text: string): Readonly<Record<string, string | number>> {
  return {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  };
}

/** What was not read of a body, or is of another protocol, is passed over: nobody knows where the next request begins. */
function isOpenEnded({ headers, complete }: IncomingMessage): boolean {
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
  return (hasBody && !complete) || headers.upgrade !== undefined;
}

/** Reads a body, as far as one may be. What the callback is given throws an ApiError where there is no JSON. */
function readBody(request: IncomingMessage, then: (value: () => unknown) => void): void {
  const pieces: Buffer[] = [];
  let size = 0;
  request.on('data', (piece: Buffer) => {
    if (size > MOST_BODY_BYTES) return;
    size += piece.length;
    pieces.push(piece);
    if (size <= MOST_BODY_BYTES) return;
    pieces.length = 0;
    then(() => {
      throw tooLarge();
    });
  });
  request.on('end', () => {
    if (size > MOST_BODY_BYTES) return;
    then(() => {
      try {
        return JSON.parse(Buffer.concat(pieces).toString()) as unknown;
      } catch {
        throw new ApiError('BAD_REQUEST', 'the body is not JSON');
      }
    });
  });
}

function sinkOf(response: ServerResponse): EventSink {
  return {
    write: (text) => void response.write(text),
    get waiting() {
      return response.writableLength;
    },
    end: () => void response.end(),
    destroy: () => void response.destroy(),
  };
}
