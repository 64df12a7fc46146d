/** The log host that shows lines: all streams write to its standard output, one after the other. */
import { isatty } from 'node:tty';
import * as v from 'valibot';
import { runLogHost } from '@daemontap/log-host';
import { readInherited } from '@daemontap/posix';
import { showLines } from './lines.ts';
import { Output } from './output.ts';

const STDOUT = 1;
const schema = v.object({ prefix: v.boolean(), color: v.picklist(['auto', 'always', 'never']) });

/** Runs the log host that shows lines: the process does nothing else. */
export function runStdoutHost(): void {
  const output = new Output(STDOUT);
  // What the kernel was called with: the host's own environment is none of the caller's.
  const isPlain = readInherited().environment.some((each) => /^NO_COLOR=./.test(each.toString('latin1')));
  const isTerminal = isatty(STDOUT) && !isPlain;
  runLogHost({
    name: 'log-stdout',
    async open({ label, options, trouble, recovered }) {
      const { prefix, color } = v.parse(schema, options);
      const isColored = color === 'always' || (color === 'auto' && isTerminal);
      const lines = showLines(prefix ? { label, isColored } : undefined);
      return {
        take: (block) => output.write(lines(block), { trouble, recovered }),
        async rotate() {},
        async end() {},
        async abandon() {},
      };
    },
  });
}
