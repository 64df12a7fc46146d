/** What clients say, which is anything, as values of the API. */
import * as v from 'valibot';
import { ApiError, quoted } from './api-error.ts';
import { commandRequestSchema, DEFAULT_WAIT_MS, LONGEST_WAIT_MS, waitedStates } from './schema.ts';
import type { CommandRequest, WaitedState } from './schema.ts';

/** The body of a command. @throws ApiError `BAD_REQUEST` with all that is wrong with it */
export function parseCommand(body: unknown): CommandRequest {
  const result = v.safeParse(commandRequestSchema, body);
  if (result.success) return result.output;
  const problems = result.issues.map(({ type, path, message }) => {
    const [item] = path ?? [];
    if (item === undefined) return message;
    const key = quoted(String(item.key));
    return type === 'strict_object' && message.includes('Expected never')
      ? `unknown member ${key}`
      : `${key}: ${message}`;
  });
  throw new ApiError('BAD_REQUEST', `unable to use the body: ${problems.join('; ')}`);
}

/** What is waited for. @throws ApiError `BAD_REQUEST` */
export function parseState(text: string | undefined): WaitedState {
  const state = waitedStates.find((each) => each === text);
  if (state !== undefined) return state;
  throw new ApiError('BAD_REQUEST', `the parameter for must be one of ${waitedStates.join(', ')}`);
}

/** How long, in milliseconds. @throws ApiError `BAD_REQUEST` */
export function parseTimeout(text: string | undefined): number {
  if (text === undefined) return DEFAULT_WAIT_MS;
  const timeoutMs = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (timeoutMs >= 1 && timeoutMs <= LONGEST_WAIT_MS) return timeoutMs;
  throw new ApiError('BAD_REQUEST', `the parameter timeoutMs must be a number from 1 to ${LONGEST_WAIT_MS}`);
}
