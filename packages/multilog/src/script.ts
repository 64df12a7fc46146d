/** multilog's script: its arguments, each told by its first byte. Section 8.1 of the behaviour reference. */

/** A log directory, as the script asks for it. */
export interface DirectoryPlan {
  /** The word itself: it begins with a dot or a slash. */
  readonly path: Buffer;
  /** No file gets larger, in bytes. */
  readonly size: number;
  /** How many files there may be, `current` included. */
  readonly count: number;
  /** What `sh -c` is to run over each finished file. */
  readonly processor: Buffer | undefined;
}

/** What is done with a line, in order. */
export type Action =
  | { readonly does: 'select' | 'deselect'; readonly pattern: Buffer }
  /** Shows a selected line on standard error. */
  | { readonly does: 'show' }
  /** Keeps a selected line in the status file of this index. */
  | { readonly does: 'keep'; readonly index: number }
  /** Writes a selected line to the directory of this index. */
  | { readonly does: 'log'; readonly index: number };

/** All that the arguments say. */
export interface Script {
  /** Whether every line gets a TAI64N label. */
  readonly stamps: boolean;
  readonly actions: readonly Action[];
  /** The log directories; an action names one by its index. */
  readonly directories: readonly DirectoryPlan[];
  /** Paths of the status files; an action names one by its index. */
  readonly statusFiles: readonly Buffer[];
}

const SIZE = { least: 4096n, most: 16_777_215n, usual: 99_999 };
const COUNT = { least: 2n, most: 2n ** 32n, usual: 10 };

/** Reads the script. What it does not know it passes over, as daemontools does. */
export function parseScript(words: readonly Buffer[]): Script {
  const actions: Action[] = [];
  const directories: DirectoryPlan[] = [];
  const statusFiles: Buffer[] = [];
  let [size, count] = [SIZE.usual, COUNT.usual];
  let processor: Buffer | undefined;
  for (const word of words) {
    const rest = word.subarray(1);
    switch (word.toString('latin1', 0, 1)) {
      case '+':
        actions.push({ does: 'select', pattern: rest });
        break;
      case '-':
        actions.push({ does: 'deselect', pattern: rest });
        break;
      case 'e':
        actions.push({ does: 'show' });
        break;
      case '=':
        actions.push({ does: 'keep', index: statusFiles.push(rest) - 1 });
        break;
      case 's':
        size = parseNumber(rest, SIZE);
        break;
      case 'n':
        count = parseNumber(rest, COUNT);
        break;
      case '!':
        processor = rest;
        break;
      case '.':
      case '/':
        actions.push({ does: 'log', index: directories.push({ path: word, size, count, processor }) - 1 });
        break;
      default: // a `t` that is not the first, and everything else
    }
  }
  return { stamps: words[0]?.toString('latin1', 0, 1) === 't', actions, directories, statusFiles };
}

/** The decimal digits at the beginning, modulo 2^64, within the bounds. None are zero. */
function parseNumber(bytes: Buffer, { least, most }: { readonly least: bigint; readonly most: bigint }): number {
  const [digits] = /^\d*/.exec(bytes.toString('latin1')) ?? [''];
  const number = BigInt.asUintN(64, BigInt(digits));
  return Number(number < least ? least : number > most ? most : number);
}
