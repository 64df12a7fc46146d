/** The kernel's messages as daemontools' lines on standard error: silent while all goes well. */
import { reportLine } from '@daemontap/formats';
import { definePlugin } from '@daemontap/kernel';
import type { PluginFactory } from '@daemontap/kernel';
import { openLineOutput } from '@daemontap/posix';
import type { LineOutput } from '@daemontap/posix';

const STDERR = 2;

/** Shows what is `fatal` or a `warning`. A reader that is stuck or gone costs lines, which are counted, and no time. */
export const logStderr: PluginFactory = definePlugin({
  name: 'log-stderr',
  apiVersion: 1,
  apply({ hooks }) {
    let output: LineOutput | undefined;
    hooks.reported.tap('log-stderr', (report) => {
      if (report.level !== 'fatal' && report.level !== 'warning') return;
      output ??= openLineOutput(STDERR, {
        dropped: (count) =>
          reportLine({ ...report, level: 'warning', message: `${count} messages were lost`, cause: undefined }),
      });
      const { plugin, message } = report;
      output.write(reportLine({ ...report, message: plugin === undefined ? message : `${plugin}: ${message}` }));
    });
  },
});
