/** A log sink for daemontap: writes what each service says to a file of its own. */
import { closeSync, openSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { definePlugin, KernelError } from '@daemontap/kernel';
import * as v from 'valibot';

const schema = v.strictObject({
  /** The directory of the files: an absolute path. It must exist, and strangers must not be able to write to it. */
  dir: v.pipe(v.string(), v.startsWith('/', 'it must be an absolute path')),
  /** In bytes; default 16 MiB. A start that finds a longer file renames it to NAME.log.old first. */
  maxBytes: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 16 * 1024 * 1024),
});

export type Options = v.InferInput<typeof schema>;

export const factoryName = definePlugin({
  name: 'PLUGIN_NAME',
  apiVersion: 1,
  schema,
  apply({ hooks, optionsFor }) {
    hooks.openLogSink.tap('PLUGIN_NAME', (service) => {
      const { dir, maxBytes } = optionsFor(service);
      const path = join(dir, `${encodeURIComponent(service.label)}.log`); // a label may have slashes in it
      const openOutput = (): number => {
        const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
        if (size > maxBytes) renameSync(path, `${path}.old`);
        return openSync(path, 'a', 0o640); // the kernel closes it once the service has its own
      };
      try {
        closeSync(openOutput());
      } catch (cause) {
        // A refusal: the service waits, rather than run without its log.
        throw new KernelError('PLUGIN_REFUSED', `unable to open ${path}`, { cause });
      }
      return { openOutput, end() {}, close() {} }; // nothing is held open between two starts
    });
  },
});
