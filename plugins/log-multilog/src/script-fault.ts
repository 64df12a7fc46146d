/** What is wrong with a word of a script in a configuration: multilog passes over what it does not know, silently. */

/** What is wrong with a word of a script; `undefined`: nothing. */
export function faultOfWord(word: string): string | undefined {
  if (word.includes('\0')) return 'it must not hold a zero byte';
  const rest = word.slice(1);
  switch (word.slice(0, 1)) {
    case '+':
    case '-':
      return undefined;
    case '.':
    case '/':
      return undefined;
    case '=':
      return rest === '' ? 'a file name must follow =' : undefined;
    case '!':
      return rest === '' ? 'a command must follow !' : undefined;
    case 't':
    case 'e':
      return rest === '' ? undefined : `${word.slice(0, 1)} stands alone`;
    case 's':
    case 'n':
      return /^\d+$/.test(rest) ? undefined : `a number must follow ${word.slice(0, 1)}`;
    default:
      return 'it is no word of a script: those begin with t, s, n, !, +, -, e, =, . or /';
  }
}
