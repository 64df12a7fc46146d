/** The kernel's messages as daemontools' lines on standard error: silent while all goes well. */
import { reportLine } from '@daemontap/formats';
import type { Plugin } from '@daemontap/kernel';
import { openLineOutput } from '@daemontap/posix';
import type { LineOutput } from '@daemontap/posix';

const STDERR = 2;

/** Shows what is `fatal` or a `warning`. A reader that is stuck or gone costs lines, which are counted, and no time. */
export function logStderr(): Plugin {
  return {
    name: 'log-stderr',
    apply({ hooks }) {
      let output: LineOutput | undefined;
      hooks.reported.tap('log-stderr', (report) => {
        if (report.level !== 'fatal' && report.level !== 'warning') return;
        output ??= openLineOutput(STDERR, {
          dropped: (count) =>
            reportLine({ ...report, level: 'warning', message: `${count} messages were lost`, cause: undefined }),
        });
        output.write(reportLine(report));
      });
    },
  };
}
