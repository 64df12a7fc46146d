/**
 * HTTP for the API, by node:http, within limits. Nothing that a client does may throw into the kernel, keep it busy for
 * long, or take more memory and descriptors than these allow; whom they stop is told so.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ApiCall } from './api.ts';
import { ApiError } from './api-error.ts';
import { answering, clientError, endWith, httpCall, isTooLarge, tooLarge } from './http-call.ts';
import type { HttpExchange } from './http-call.ts';
import {
  HEAD_TIMEOUT_MS,
  KEEP_ALIVE_MS,
  MOST_CONNECTIONS,
  MOST_HEAD_BYTES,
  MOST_REFUSED,
  MOST_UNANSWERED,
  REQUEST_TIMEOUT_MS,
  STUCK_MS,
} from './limits.ts';

/** What a server is given. */
export interface ApiServerOptions {
  /** A socket that listens; the server takes it over. */
  readonly fd: number;
  /** Why who has connected may do nothing; `undefined`: they may. */
  refusalOf(fd: number | undefined): string | undefined;
  /** Answers a request. @throws ApiError */
  handle(call: ApiCall): void;
  /** Is told what must not happen. */
  onError(error: unknown): void;
}

const LOOK_EVERY_MS = 1000;
/** Until what was written last must have been taken. */
const GRACE_MS = 1000;

interface Connection {
  readonly socket: Socket;
  /** What every request on it is answered with; `undefined`: it is served. */
  readonly refusal: ApiError | undefined;
  /** What has no whole answer yet, in order. */
  readonly unanswered: Set<HttpExchange>;
  hasStream: boolean;
  /** How many bytes were taken when it was looked at last, and since when they are no more. */
  taken: { readonly bytes: number; readonly sinceMs: number };
}

/** Serves the API on a socket that listens. */
export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #server: Server;
  readonly #connections = new Map<Duplex, Connection>();
  #look: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: ApiServerOptions) {
    this.#options = options;
    // Most kernels are never asked, and do without the memory that it takes.
    const { createServer } = process.getBuiltinModule('node:http');
    this.#server = createServer({
      maxHeaderSize: MOST_HEAD_BYTES,
      headersTimeout: HEAD_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: LOOK_EVERY_MS,
      requireHostHeader: false, // what Node says to who leaves it out is not of this API
    });
    this.#listen(this.#server);
    this.#server.listen({ fd: options.fd });
    this.#server.unref();
  }

  /** Whether it does nothing any more, and never will. */
  get isIdle(): boolean {
    return !this.#server.listening && this.#connections.size === 0;
  }

  /** Takes no more connections. What is under way goes on. */
  stopListening(): void {
    if (this.#server.listening) this.#server.close();
  }

  /** Closes all connections, once what was answered is sent. It waits for nobody for long. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.stopListening();
    for (const { socket } of this.#connections.values()) {
      if (socket.writableLength === 0) socket.destroy();
      else socket.destroySoon();
    }
    const destroyAll = this.#safely(() => {
      for (const { socket } of this.#connections.values()) socket.destroy();
    });
    if (this.#connections.size > 0) setTimeout(destroyAll, GRACE_MS).unref();
  }

  /** Every event that Node could answer by itself, or by throwing, is taken. */
  #listen(server: Server): void {
    const safely = this.#safely;
    const requested = (request: IncomingMessage, response: ServerResponse): void => this.#requested(request, response);
    server.on('error', this.#options.onError);
    server.on(
      'connection',
      safely((socket: Socket) => this.#connected(socket)),
    );
    server.on('request', safely(requested));
    server.on(
      'checkContinue',
      safely((request: IncomingMessage, response: ServerResponse) => {
        if (!isTooLarge(request)) response.writeContinue();
        requested(request, response);
      }),
    );
    server.on(
      'checkExpectation',
      safely((request: IncomingMessage, response: ServerResponse) => {
        this.#requested(request, response, new ApiError('BAD_REQUEST', 'unknown expectation', { status: 417 }));
      }),
    );
    server.on(
      'connect',
      safely((_request: IncomingMessage, socket: Duplex) => {
        const headers = { allow: 'GET' };
        this.#endWith(socket, new ApiError('METHOD_NOT_ALLOWED', 'CONNECT is for proxies', { headers }));
      }),
    );
    server.on(
      'clientError',
      safely((error: NodeJS.ErrnoException, socket: Duplex) => this.#endWith(socket, clientError(error))),
    );
  }

  #connected(socket: Socket): void {
    socket.on('error', () => {}); // it is gone, and 'close' follows
    const refused = [...this.#connections.values()].filter(({ refusal }) => refusal !== undefined).length;
    const refusal = this.#refusalOf(socket, this.#connections.size - refused);
    if (this.#isClosed || (refusal !== undefined && refused >= MOST_REFUSED)) {
      socket.destroy();
      return;
    }
    const taken = { bytes: 0, sinceMs: performance.now() };
    const connection: Connection = { socket, refusal, unanswered: new Set(), hasStream: false, taken };
    this.#connections.set(socket, connection);
    this.#look ??= setInterval(
      this.#safely(() => this.#endStuck()),
      LOOK_EVERY_MS,
    ).unref();
    socket.on(
      'close',
      this.#safely(() => this.#gone(connection)),
    );
  }

  #refusalOf(socket: Socket, served: number): ApiError | undefined {
    const reason = this.#options.refusalOf(descriptorOf(socket));
    if (reason !== undefined) return new ApiError('FORBIDDEN', reason);
    if (served < MOST_CONNECTIONS) return undefined;
    return new ApiError('TOO_MANY', `there are ${MOST_CONNECTIONS} connections already`);
  }

  #gone({ socket, unanswered }: Connection): void {
    this.#connections.delete(socket);
    if (this.#connections.size === 0) {
      clearInterval(this.#look);
      this.#look = undefined;
    }
    for (const { whenGone } of [...unanswered]) whenGone();
    unanswered.clear();
  }

  #requested(request: IncomingMessage, response: ServerResponse, error?: ApiError): void {
    const connection = this.#connections.get(request.socket);
    request.on('error', () => {}); // it is cut off, and the end of the connection follows
    response.on('error', () => {});
    if (connection === undefined || connection.unanswered.size >= MOST_UNANSWERED) {
      request.socket.destroy();
      return;
    }
    const { unanswered, refusal } = connection;
    const exchange: HttpExchange = { request, response, whenGone: () => {} };
    unanswered.add(exchange);
    response.on(
      'finish',
      this.#safely(() => void unanswered.delete(exchange)),
    );
    const { onError } = this.#options;
    const call = httpCall({
      exchange,
      isLast: () => refusal !== undefined || this.#isClosed,
      onStream: () => (connection.hasStream = true),
      onError,
    });
    const body = (): void => {
      const reason = refusal ?? error ?? (isTooLarge(request) ? tooLarge() : undefined);
      if (reason !== undefined) throw reason;
      this.#options.handle(call);
    };
    answering(call, { body, onError });
  }

  /** Ends a connection with an answer, where the client cannot take that for another one's. */
  #endWith(socket: Duplex, error: ApiError): void {
    const connection = this.#connections.get(socket);
    const unanswered = [...(connection?.unanswered ?? [])];
    const isOwn = unanswered.every(({ request, response }) => !request.complete && !response.headersSent);
    if (connection === undefined || !socket.writable || unanswered.length > 1 || !isOwn) socket.destroy();
    else endWith(socket, connection.refusal ?? error);
  }

  /** Ends connections whose clients take nothing of their answers. */
  #endStuck(): void {
    const nowMs = performance.now();
    for (const connection of this.#connections.values()) {
      const { socket, hasStream, taken } = connection;
      const bytes = socket.bytesWritten - socket.writableLength;
      if (socket.writableLength === 0 || bytes !== taken.bytes) connection.taken = { bytes, sinceMs: nowMs };
      else if (!hasStream && nowMs - taken.sinceMs > STUCK_MS) socket.destroy();
    }
  }

  /** A callback of Node's, out of which nothing is thrown. */
  readonly #safely =
    <A extends readonly unknown[]>(body: (...args: A) => void) =>
    (...args: A): void => {
      try {
        body(...args);
      } catch (error) {
        this.#options.onError(error);
      }
    };
}

/** Node does not tell of a socket's descriptor but in this way, which it has kept for ten years. */
function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: unknown } | null };
  return typeof handle?.fd === 'number' && handle.fd >= 0 ? handle.fd : undefined;
}
