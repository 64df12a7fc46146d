/** JSON and YAML to values; what cannot be read is said with its line. */
import { extname } from 'node:path';
import { defaultLoadersSync } from 'cosmiconfig';
import { findForeign } from './plain-data.ts';
import { ConfigurationError, placeOf } from './problem.ts';

/** A file's text, and what it is called in messages. */
export interface Text {
  readonly content: string;
  readonly label: string;
}

/**
 * The value in a text of JSON or YAML, by the label's ending.
 * @throws ConfigurationError with line and column
 */
export function parseData({ content, label }: Text): unknown {
  const text = content.replace(/^\uFEFF/, ''); // some editors begin every file with this mark
  if (text.trim() === '') throw empty(label);
  const value = extname(label) === '.json' ? parseJson(text, label) : parseYaml(text, label);
  if (value === undefined || value === null) throw empty(label);
  const foreign = findForeign(value);
  if (foreign.length === 0) return value;
  throw new ConfigurationError(foreign.map(({ path, message }) => ({ place: placeOf(label, path), message })));
}

/** Half a file must not pass for the wish to have all defaults. */
function empty(label: string): ConfigurationError {
  return new ConfigurationError([{ place: label, message: 'it is empty; for the defaults write {}' }]);
}

function parseJson(text: string, label: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const reason =
      error instanceof Error
        ? error.message.replace(/(, (\.\.\.)?".*"(\.\.\.)?)? is not valid JSON|( in JSON)? at position.*/s, '')
        : '';
    throw syntaxError({ label, ...lineAndColumn(text, jsonErrorOffset(text)), reason });
  }
}

/**
 * Where JSON goes wrong. V8 tells it for some errors only; but a character that is right nowhere is complained about
 * only where it stands before the fault.
 */
function jsonErrorOffset(text: string): number {
  let low = 0;
  let high = text.length;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (isRightUntil(text, middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

function isRightUntil(text: string, length: number): boolean {
  try {
    JSON.parse(`${text.slice(0, length)}\u0000`);
    return false; // cannot be
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    return message.includes("'\u0000'") || new RegExp(`at position ${length}\\b`).test(message);
  }
}

function lineAndColumn(text: string, offset: number): { readonly line: number; readonly column: number } {
  const lines = text.slice(0, offset).split('\n');
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
}

function parseYaml(text: string, label: string): unknown {
  try {
    return defaultLoadersSync['.yaml'](label, text) as unknown;
  } catch (error) {
    const { reason, mark } = error as { reason?: string; mark?: { line: number; column: number } }; // js-yaml's
    if (reason === undefined) throw error;
    if (mark === undefined) throw /empty/.test(reason) ? empty(label) : syntaxError({ label, reason });
    throw syntaxError({ label, line: mark.line + 1, column: mark.column + 1, reason });
  }
}

function syntaxError(fault: {
  readonly label: string;
  readonly line?: number;
  readonly column?: number;
  readonly reason: string;
}): ConfigurationError {
  const { label, line, column, reason } = fault;
  const place = line === undefined ? label : `${label}:${line}:${column}`;
  return new ConfigurationError([{ place, message: `${reason.charAt(0).toLowerCase()}${reason.slice(1)}` }]);
}
