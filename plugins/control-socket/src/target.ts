/** What the request line names. */
import { ApiError, quoted } from './api-error.ts';

/** A path's parts and what is asked behind it, decoded. */
export interface Target {
  readonly segments: readonly string[];
  /** Each once. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Takes a target apart. @throws ApiError `BAD_REQUEST`, `NO_SUCH_PATH` */
export function splitTarget(target: string): Target {
  const [path = '', ...more] = target.split('?');
  if (!path.startsWith('/')) throw new ApiError('NO_SUCH_PATH', 'there is no such path: it must begin with /v1');
  const segments = path.slice(1).split('/').map(decoded);
  if (segments.length > 1 && segments.at(-1) === '') segments.pop(); // `/v1/`
  const parameters = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(more.join('?'))) {
    if (parameters.has(name)) throw new ApiError('BAD_REQUEST', `parameter ${quoted(name)} is given twice`);
    parameters.set(name, value);
  }
  return { segments, parameters };
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new ApiError('BAD_REQUEST', 'the path is not percent-encoded UTF-8');
  }
}
