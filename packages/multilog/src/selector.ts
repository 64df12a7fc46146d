/**
 * Decides what is done with a line. A script is compiled to a function of its own, with every pattern's bytes in it:
 * with a dozen patterns that is what most of the time goes into, and it takes two thirds of what a loop over the
 * patterns takes. Patterns are whole lines, bytes, and a star that never looks back: section 8.2 of the behaviour
 * reference.
 */
import type { Action, Script } from './script.ts';
import { STAMP_SIZE } from './stamps.ts';

/** What is done with one line, while it lasts: the next decision overwrites it. */
export interface Outcome {
  /** How often it is shown on standard error. */
  shown: number;
  /** For each status file, whether it is kept there. */
  readonly kept: boolean[];
  /** For each directory, whether it is logged there. */
  readonly logged: boolean[];
}

/** Decides on the line from `start` to `end`, without its newline. */
export type Decide = (bytes: Uint8Array, start: number, end: number) => Readonly<Outcome>;

const STAR = 0x2a;
/** What there is in a stamp before its last byte, the space. */
const STAMP_BYTES = Buffer.from('@0123456789abcdef');

/** The decisions of the scripts of late, by their code: streams with the same script share one. */
const compiled = new Map<string, Decide>();
const COMPILED_MOST = 100;

/** The decisions of a script. Lines begin with a stamp where it says so. */
export function compileScript({ actions, stamps }: Pick<Script, 'actions' | 'stamps'>): Decide {
  const body = [
    'let isSelected = true, at = 0;',
    'outcome.shown = 0;',
    ...actions.map((action) => compileAction(action, stamps)),
    'return outcome;',
  ].join('\n');
  const known = compiled.get(body);
  if (known !== undefined) return known;
  // Not imported: it would be loaded, and cost every start, where there is nothing to decide, too.
  const { compileFunction } = process.getBuiltinModule('node:vm');
  const outcome: Outcome = { shown: 0, kept: [], logged: [] };
  const code = compileFunction(body, ['outcome', 'bytes', 'start', 'end']);
  const decide: Decide = (bytes, start, end) => code(outcome, bytes, start, end) as Outcome; // it returns what it is given
  const [oldest] = compiled.keys();
  if (compiled.size >= COMPILED_MOST && oldest !== undefined) compiled.delete(oldest);
  compiled.set(body, decide);
  return decide;
}

function compileAction(action: Action, stamps: boolean): string {
  switch (action.does) {
    case 'select':
      return `if (!isSelected) ${compilePattern(action.pattern, { stamps, onMatch: 'isSelected = true;' })}`;
    case 'deselect':
      return `if (isSelected) ${compilePattern(action.pattern, { stamps, onMatch: 'isSelected = false;' })}`;
    case 'show':
      return 'if (isSelected) outcome.shown++;';
    case 'keep':
      return `outcome.kept[${action.index}] = isSelected;`;
    case 'log':
      return `outcome.logged[${action.index}] = isSelected;`;
  }
}

/**
 * A block that reaches `onMatch` when the pattern matches the whole line. A star at its end matches any rest; another one
 * skips up to the first occurrence of the byte behind it, which may be a literal star, and is not tried again further on.
 */
function compilePattern(
  pattern: Buffer,
  { stamps, onMatch }: { readonly stamps: boolean; readonly onMatch: string },
): string {
  const last = pattern.length - 1;
  // A star at the beginning need not look through the stamp for what is in none.
  const isBehindStamp = stamps && last > 0 && pattern[0] === STAR && !STAMP_BYTES.includes(pattern[1] ?? 0);
  const steps = [`at = start + ${isBehindStamp ? STAMP_SIZE - 1 : 0};`];
  for (const [index, byte] of pattern.entries()) {
    if (byte !== STAR) steps.push(`if (at >= end || bytes[at] !== ${byte}) break pattern; at++;`);
    else if (index < last) {
      steps.push(`while (at < end && bytes[at] !== ${pattern[index + 1]}) at++; if (at >= end) break pattern;`);
    }
  }
  if (pattern[last] !== STAR) steps.push('if (at !== end) break pattern;');
  return `pattern: { ${steps.join('\n')} ${onMatch} }`;
}
