/** daemontools' option parsing: one-letter flags in clusters, over bytes, with its two complaints. */

/** One option, as it was given. */
export interface Option {
  readonly letter: string;
  /** The rest of the word, or else the next word; only for letters that take one. */
  readonly value: Buffer | undefined;
}

/** What the arguments say, up to the first complaint. */
export type ParsedArguments =
  | { readonly options: readonly Option[]; readonly operands: readonly Buffer[] }
  | { readonly complaint: 'illegal option' | 'option requires an argument'; readonly letter: Buffer };

const DASH = 0x2d;

/**
 * Parses until the first word that is no option. A word that begins with `--` ends the options and is dropped, whatever
 * follows in it; a lone `-` ends them and is an operand; a `-` in a cluster is no option.
 */
export function parseArguments(
  words: readonly Buffer[],
  { flags, valued = '' }: { readonly flags: string; readonly valued?: string },
): ParsedArguments {
  const options: Option[] = [];
  let next = 0;
  for (let word = words[next]; word !== undefined && word[0] === DASH && word.length > 1; word = words[next]) {
    next++;
    if (word[1] === DASH) break;
    for (let at = 1; at < word.length; at++) {
      const letter = word.toString('latin1', at, at + 1);
      if (flags.includes(letter)) {
        options.push({ letter, value: undefined });
      } else if (valued.includes(letter)) {
        const value = at + 1 < word.length ? word.subarray(at + 1) : words[next++];
        if (value === undefined) return { complaint: 'option requires an argument', letter: Buffer.from(letter) };
        options.push({ letter, value });
        break;
      } else {
        return { complaint: 'illegal option', letter: word.subarray(at, at + 1) };
      }
    }
  }
  return { options, operands: words.slice(next) };
}
