/** The log host that shows lines: all streams write to its standard output, one after the other. */
import { isatty } from 'node:tty';
import * as v from 'valibot';
import { runLogHost } from '@daemontap/log-host';
import { showLines } from './lines.ts';
import { Output } from './output.ts';

const STDOUT = 1;
const schema = v.object({ prefix: v.boolean(), color: v.picklist(['auto', 'always', 'never']) });

/** Runs the log host that shows lines: the process does nothing else. */
export function runStdoutHost(): void {
  const output = new Output(STDOUT);
  const isTerminal = isatty(STDOUT) && (process.env['NO_COLOR'] ?? '') === '';
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
