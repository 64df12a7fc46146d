/** Reads docs/faq.md as what it is: questions, each with files to write, and commands to type with what they print. */

/** A command of a transcript, and what the page shows below it. */
export interface Step {
  readonly command: string;
  readonly expected: string;
}

/** What a reader does at one place of the page: write a file, or type commands. */
export type Block =
  | { readonly kind: 'file'; readonly path: string; readonly content: string }
  | { readonly kind: 'transcript'; readonly steps: readonly Step[] };

/** A question, with all that its answer tells to do. */
export interface Recipe {
  readonly title: string;
  readonly blocks: readonly Block[];
  /** True where the answer says that it holds for daemontap alone. */
  readonly isOursAlone: boolean;
}

/** Questions that go on with one another's services, in one place. */
export interface Chapter {
  readonly title: string;
  readonly recipes: readonly Recipe[];
}

/** The chapters of the page that have something to do in them. */
export function chaptersOf(page: string): readonly Chapter[] {
  return sections(page, '## ')
    .map(({ title, body }) => ({
      title,
      recipes: sections(body, '### ').map((each) => ({
        title: each.title,
        blocks: fences(each.body).map(blockOf),
        isOursAlone: each.body.includes('(daemontap only)'),
      })),
    }))
    .filter(({ recipes }) => recipes.some(({ blocks }) => blocks.length > 0));
}

/** What must be the same in every language, in order: the depths of the headings, and the blocks with the paths above. */
export function skeletonOf(page: string): readonly string[] {
  return [...page.matchAll(new RegExp(`${fencePattern.source}|^#+(?= )`, fencePattern.flags))].map(([each]) => each);
}

/** A fenced block, with a line in backticks above it where it is a file: its path. */
const fencePattern = /(?:^`(\/[^`\n]*)`\n\n)?^```(\w*)\n(.*?)^```$/gms;

interface Fence {
  readonly path: string | undefined;
  readonly language: string;
  readonly content: string;
}

function fences(text: string): readonly Fence[] {
  return [...text.matchAll(fencePattern)].map(([, path, language = '', content = '']) => ({ path, language, content }));
}

function blockOf({ path, language, content }: Fence): Block {
  if (path !== undefined) return { kind: 'file', path, content };
  if (language !== 'console' || !content.startsWith('$ ')) throw new Error(`neither a file nor commands: ${content}`);
  const steps = content.split(/^\$ /m).slice(1);
  return {
    kind: 'transcript',
    steps: steps.map((step) => {
      const end = step.indexOf('\n');
      return { command: step.slice(0, end), expected: step.slice(end + 1) };
    }),
  };
}

function sections(text: string, mark: string): readonly { readonly title: string; readonly body: string }[] {
  return text
    .split(new RegExp(`^${mark}(?=\\S)`, 'm'))
    .slice(1)
    .map((part) => {
      const end = part.indexOf('\n');
      return { title: part.slice(0, end), body: part.slice(end + 1) };
    });
}
