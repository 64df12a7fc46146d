/** The log host that writes log directories, as multilog does. */
import * as v from 'valibot';
import { runLogHost } from '@daemontap/log-host';
import { Multilog } from './multilog.ts';
import type { Steps } from './need.ts';
import { parseScript } from './script.ts';

const schema = v.object({ script: v.array(v.string()) });

/** Runs the log host that writes log directories: the process does nothing else. */
export function runMultilogHost(): void {
  runLogHost({
    name: 'log-multilog',
    async open({ options, directoryFd }) {
      const { script } = v.parse(schema, options);
      const words = script
        .map((w) => (w.startsWith('.') ? `/proc/self/fd/${directoryFd}/${w}` : w))
        .map((w) => Buffer.from(w));
      const log = run(Multilog.open(parseScript(words)));
      return {
        take(block) {
          for (let at = 0; at < block.length; at += 65536) run(log.take(block.subarray(at, at + 65536)));
          return undefined;
        },
        async rotate() {
          run(log.rotate());
        },
        async end() {
          run(log.end());
        },
      };
    },
  });
}

function run<T>(steps: Steps<T>): T {
  let step = steps.next();
  while (step.done !== true) step = steps.next(undefined);
  return step.value;
}
