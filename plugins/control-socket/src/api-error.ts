/** An answer that something went wrong, thrown by whatever finds that out. */
import { errorStatuses } from './schema.ts';
import type { ErrorAnswer, ErrorCode, Service } from './schema.ts';

/** What an error says besides its code and message. */
export interface ApiErrorOptions extends ErrorOptions {
  /** Of HTTP; default: the code's usual one. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The service as it is. */
  readonly service?: Service;
}

/** Why a request is answered with an error. */
export class ApiError extends Error {
  static {
    this.prototype.name = 'ApiError';
  }
  readonly code: ErrorCode;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly service: Service | undefined;

  constructor(code: ErrorCode, message: string, options: ApiErrorOptions = {}) {
    super(message, options);
    const { status = errorStatuses[code][0], headers = {}, service } = options;
    this.code = code;
    this.status = status;
    this.headers = headers;
    this.service = service;
  }

  /** The body of the answer. */
  get answer(): ErrorAnswer {
    const { code, service } = this;
    // One line, whatever a library puts into its messages.
    const message = this.message.replaceAll(/\s*\n\s*/g, ' ');
    return { version: 1, error: { code, message }, ...(service && { service }) };
  }
}

/** What a client has said, for a message: as JSON, and not all of it where it is long. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 99)}…` : text);
}
