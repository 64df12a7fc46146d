/** The command line of `npm create daemontap-plugin`: what is given to it, what it says and how it ends. */
import { readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createPlugin, KINDS, kindCalled } from './create-plugin.ts';
import { CreateError } from './create-error.ts';
import { parsePluginName } from './plugin-name.ts';

/** Where the program is run, and where it writes. */
export interface Surroundings {
  /** Default: the process's own. */
  readonly cwd?: string;
  /** Writes to standard output; default: the process's own. */
  readonly out?: (text: string) => void;
  /** Writes to standard error; default: the process's own. */
  readonly err?: (text: string) => void;
}

const PROGRAM = 'create-daemontap-plugin';
const DEFAULT_KIND = 'log-sink';

const HELP = `usage: npm create daemontap-plugin NAME [DIRECTORY] [-- --kind KIND]

Writes a package for a daemontap plugin into DIRECTORY, which must be empty or not exist;
default: daemontap-plugin-NAME, here. NAME may be scoped: @scope/NAME.

${Object.entries(KINDS)
  .map(([kind, what]) => `  --kind ${kind.padEnd(18)}${what}${kind === DEFAULT_KIND ? ' (default)' : ''}`)
  .join('\n')}
  --help                    this text
  --version                 the version of daemontap that the plugin will be made for
`;

/** Runs the program and returns its exit code: 0, 100 (wrong use) or 111 (the system refuses). It never throws. */
export function main(
  words: readonly string[],
  {
    cwd = process.cwd(),
    out = (text) => void process.stdout.write(text),
    err = (text) => void process.stderr.write(text),
  }: Surroundings = {},
): number {
  try {
    const { help, version, name, directory, kind } = parseWords(words);
    if (help) {
      out(HELP);
      return 0;
    }
    const { version: ownVersion } = ownManifest();
    if (version) {
      out(`${PROGRAM} ${ownVersion}\n`);
      return 0;
    }
    const names = parsePluginName(name);
    const target = resolve(cwd, directory ?? names.directory);
    const paths = createPlugin({ names, kind: kindCalled(kind), target, version: ownVersion });
    const shown = relative(cwd, target) || '.';
    out(`${names.packageName}: ${paths.length} files in ${shown}; its README.md says what they are\n`);
    out(`next: ${shown === '.' ? '' : `cd ${shellWord(shown)} && `}npm install && npm run build && npm test\n`);
    return 0;
  } catch (error) {
    const { message, exitCode } = error instanceof CreateError ? error : { message: String(error), exitCode: 111 };
    err(`${PROGRAM}: fatal: ${message}\n`);
    return exitCode;
  }
}

interface Words {
  readonly help: boolean;
  readonly version: boolean;
  readonly name: string;
  readonly directory: string | undefined;
  readonly kind: string;
}

/** @throws CreateError */
function parseWords(words: readonly string[]): Words {
  const usage = `usage: ${PROGRAM} name [directory] [--kind ${Object.keys(KINDS).join('|')}]`;
  let parsed;
  try {
    parsed = parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        kind: { type: 'string', default: DEFAULT_KIND },
        typescript: { type: 'boolean' }, // there is nothing else, but one may say so
        help: { type: 'boolean', short: 'h', default: false },
        version: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new CreateError(`${reasonOf(error)}; ${usage}`);
  }
  const { help, version, kind } = parsed.values;
  const [name, directory, ...others] = parsed.positionals;
  if (help || version) return { help, version, name: '', directory, kind };
  if (name === undefined || others.length > 0) throw new CreateError(usage);
  return { help, version, name, directory, kind };
}

/** The first sentence of what Node says, as a reason in the middle of a line. */
function reasonOf(error: unknown): string {
  const [sentence = ''] = (error instanceof Error ? error.message : String(error)).split(/\. |\n/);
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function ownManifest(): { readonly version: string } {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }; // our own
}
