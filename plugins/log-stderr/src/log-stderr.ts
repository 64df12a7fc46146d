/** The kernel's messages as daemontools' lines on standard error: silent while all goes well. */
import * as v from 'valibot';
import { reportLine } from '@daemontap/formats';
import { definePlugin } from '@daemontap/kernel';
import type { PluginFactory, ReportLevel } from '@daemontap/kernel';
import { openLineOutput } from '@daemontap/posix';
import type { LineOutput } from '@daemontap/posix';

const STDERR = 2;
const LEVELS: readonly ReportLevel[] = ['fatal', 'warning', 'info', 'debug'];

/** What is shown. */
export interface LogStderrOptions {
  /** The least level that is shown; default `warning`, as daemontools. */
  readonly level?: 'warning' | 'info' | 'debug';
}

const schema = v.strictObject({ level: v.optional(v.picklist(['warning', 'info', 'debug']), 'warning') });

/** Shows messages as lines. A reader that is stuck or gone costs lines, which are counted, and no time. */
export const logStderr: PluginFactory<LogStderrOptions> = definePlugin({
  name: 'log-stderr',
  apiVersion: 1,
  schema,
  apply({ hooks }, { level }) {
    const shown = LEVELS.slice(0, LEVELS.indexOf(level) + 1);
    let output: LineOutput | undefined;
    hooks.reported.tap('log-stderr', (report) => {
      if (!shown.includes(report.level)) return;
      output ??= openLineOutput(STDERR, {
        dropped: (count) =>
          reportLine({ ...report, level: 'warning', message: `${count} messages were lost`, cause: undefined }),
      });
      const { plugin, message } = report;
      output.write(reportLine({ ...report, message: plugin === undefined ? message : `${plugin}: ${message}` }));
    });
  },
});
