/** What is wrong with a configuration: every problem that can be found, each with its place, as one error. */
import { closest, distance } from 'fastest-levenshtein';

/** One thing that is wrong. */
export interface Problem {
  /** Where: `daemontap.config.yaml: plugins[2][1].interval`. */
  readonly place: string;
  readonly message: string;
}

/** A configuration that cannot be used; the message has a line for each problem. */
export class ConfigurationError extends Error {
  static {
    this.prototype.name = 'ConfigurationError';
  }
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super(problems.map(({ place, message }) => `${place}: ${message}`).join('\n'));
    this.problems = problems;
  }
}

/** The problems of a thrown ConfigurationError; anything else is thrown on. */
export function problemsOf(error: unknown): readonly Problem[] {
  if (error instanceof ConfigurationError) return error.problems;
  throw error;
}

/** `plugins[2][1].interval`, from the keys that lead there. */
export function keyText(path: readonly PropertyKey[]): string {
  const parts = path.map((key) => {
    if (typeof key === 'number') return `[${key}]`;
    return /^[\w$-]+$/.test(String(key)) ? `.${String(key)}` : `[${JSON.stringify(String(key))}]`;
  });
  return parts.join('').replace(/^\./, '');
}

/** The place of a key in a file; without a key, the file. */
export function placeOf(file: string, path: readonly PropertyKey[]): string {
  const key = keyText(path);
  return key === '' ? file : `${file}: ${key}`;
}

/** ` (did you mean NAME?)`, when one of the names is near enough to be what was meant; else nothing. */
export function suggestion(word: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  const nearest = closest(word, names);
  const isNear = distance(word, nearest) <= Math.max(1, Math.floor(word.length / 3)) && word.length > 1;
  const longer = names.find((name) => word.length > 3 && name.toLowerCase().includes(word.toLowerCase()));
  const meant = isNear ? nearest : longer;
  return meant === undefined ? '' : ` (did you mean ${meant}?)`;
}

/** `a`, `a and b`, `a, b and c`. */
export function enumerate(words: readonly string[], last = 'and'): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}

/** True for an object that is data: neither a list nor an instance of a class. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
