/** The log host that writes log directories, as multilog does. */
import * as v from 'valibot';
import { runLogHost } from '@daemontap/log-host';
import { openHosted, parseScript, processorRequest } from '@daemontap/multilog';
import { openLineOutput, openProcesses, readInherited } from '@daemontap/posix';
import type { ProcessEnd } from '@daemontap/posix';

const STDERR = 2;
const schema = v.object({ script: v.array(v.string()) });

/** Runs the log host that writes log directories: the process does nothing else. */
export function runMultilogHost(): void {
  const inherited = readInherited();
  const processes = openProcesses((error) => {
    throw error;
  });
  const messages = openLineOutput(STDERR, { dropped: (count) => `log-multilog: warning: ${count} lines were lost\n` });
  runLogHost({
    name: 'log-multilog',
    open({ options, directoryFd, trouble, recovered }) {
      const { script } = v.parse(schema, options);
      return openHosted({
        script: parseScript(script.map((word) => Buffer.from(word))),
        directoryFd,
        show: (line) => messages.write(line.toString('latin1')),
        trouble,
        recovered,
        spawnProcessor: async (plan) =>
          new Promise<ProcessEnd>((resolve, reject) => {
            try {
              processes.spawn(processorRequest(plan, inherited), resolve);
            } catch (error) {
              reject(error as Error); // the system's
            }
          }),
      });
    },
  });
}
