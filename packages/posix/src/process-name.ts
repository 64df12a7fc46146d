/** What ps and pgrep show for this process. */
import { declare } from './native.ts';

const cPrctl = declare('int prctl(int option, const char *name)');
const PR_SET_NAME = 15;

/** Sets the command name (15 bytes at most) and the command line: the name and the words behind it. Read /proc/self/cmdline before this. */
export function setProcessName({ name, words }: { readonly name: string; readonly words: readonly Buffer[] }): void {
  process.title = [name, ...words.map(String)].join(' ');
  cPrctl(PR_SET_NAME, name);
}
