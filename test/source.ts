/** Sources as oxc-parser reads them, with what is asked of them here: the text of a node and its doc comment. */
import { parseSync } from 'oxc-parser';
import type { Comment, Program, Span } from 'oxc-parser';

/** A source file. */
export interface Source {
  readonly path: string;
  readonly text: string;
  readonly program: Program;
  readonly comments: readonly Comment[];
}

/** Parses a source; `path` is for messages, and says which language it is. */
export function parseSource(path: string, text: string): Source {
  const { program, comments, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`unable to parse ${path}: ${errors.map(({ message }) => message).join('; ')}`);
  return { path, text, program, comments };
}

/** The doc comment that ends where a node begins, its lines without stars; `undefined` for none. */
export function docComment({ text, comments }: Source, { start }: Span): string | undefined {
  const found = comments.findLast((each) => each.end <= start && text.slice(each.end, start).trim() === '');
  if (found === undefined || !found.value.startsWith('*')) return undefined;
  const lines = found.value.split('\n').map((line) => line.replace(/^\s*\*+ ?/, '').trim());
  return lines.join('\n').trim();
}

/** The source text of a node. */
export function textOf({ text, comments }: Source, { start, end }: Span, options = { comments: true }): string {
  if (options.comments) return text.slice(start, end);
  const inside = comments.filter((each) => each.start >= start && each.end <= end);
  return inside
    .reduceRight((rest, each) => rest.slice(0, each.start) + rest.slice(each.end), text.slice(0, end))
    .slice(start);
}
