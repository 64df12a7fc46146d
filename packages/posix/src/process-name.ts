/** What ps and pgrep show for this process. */
import { declare } from './native.ts';

const cPrctl = declare('int prctl(int option, const char *name)');
const PR_SET_NAME = 15;

/** Sets the command name (15 bytes at most) and the command line. Read /proc/self/cmdline before this. */
export function setProcessName({ name, commandLine }: { readonly name: string; readonly commandLine: string }): void {
  process.title = commandLine;
  cPrctl(PR_SET_NAME, name);
}
