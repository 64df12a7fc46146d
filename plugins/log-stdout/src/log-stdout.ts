/** The lines of all services on the kernel's standard output, each behind its service's name. A log host writes them. */
import { fstatSync } from 'node:fs';
import * as v from 'valibot';
import { definePlugin } from '@daemontap/kernel';
import type { PluginFactory } from '@daemontap/kernel';
import { logAccount, openLogHosts, programBeside } from '@daemontap/log-host';
import { isAccountName } from '@daemontap/posix';

/** How lines are shown. */
export interface LogStdoutOptions {
  /** Whether the service's name and a colon come before each line; default: yes. */
  readonly prefix?: boolean;
  /** Whether names are coloured; `auto`, the default: on a terminal, where `NO_COLOR` is not set. */
  readonly color?: 'auto' | 'always' | 'never';
  /** The account that the host runs as where the kernel is root; it only writes to what is open. Default: `nobody`. */
  readonly account?: string;
}

const schema = v.strictObject({
  prefix: v.optional(v.boolean(), true),
  color: v.optional(v.picklist(['auto', 'always', 'never']), 'auto'),
  account: v.optional(v.pipe(v.string(), v.check(isAccountName, 'it must be the name of an account'))),
});

/** Shows the output of each service. */
export const logStdout: PluginFactory<LogStdoutOptions> = definePlugin({
  name: 'log-stdout',
  apiVersion: 1,
  schema,
  apply(kernel, { account: given }) {
    findAccount(given); // before anything is started, where it cannot be
    openLogHosts(kernel, {
      plugin: 'log-stdout',
      program: programBeside(import.meta.filename, 'log-stdout-host'),
      generation: standardOutput(),
      streamOf(service) {
        const { account, ...options } = kernel.optionsFor(service);
        return { account: findAccount(account), options };
      },
    });
  },
});

/** @throws `PLUGIN_REFUSED` */
function findAccount(name: string | undefined): ReturnType<typeof logAccount> {
  return logAccount(name ?? (process.geteuid?.() === 0 ? 'nobody' : undefined));
}

/** Which one it is: a host that an earlier kernel has left has that one's. */
function standardOutput(): string {
  try {
    const { dev, ino, rdev } = fstatSync(1);
    return [dev, ino, rdev].join('-');
  } catch {
    return 'closed';
  }
}
