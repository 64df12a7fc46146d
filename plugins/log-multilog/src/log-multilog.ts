/**
 * The output of services in log directories, as multilog writes them, without a process for each: what multilog's
 * engine does is done in a log host, one for each account.
 */
import { closeSync, constants, fchownSync, fstatSync, mkdirSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { definePlugin } from '@daemontap/kernel';
import type { PluginFactory, ProcessAccount, ServiceDirectory } from '@daemontap/kernel';
import { logAccount, openLogHosts, programBeside } from '@daemontap/log-host';
import { parseScript } from '@daemontap/multilog';
import { isAccountName } from '@daemontap/posix';
import { faultOfWord } from './script-fault.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
const WRITABLE_BY_OTHERS = 0o022;

/** Where output goes, and who writes it. */
export interface LogMultilogOptions {
  /**
   * multilog's script, one word an item; paths are relative to the service's directory. Default: `t`, `s999999`, `n20`,
   * `./main`, so at most 20 MB a service.
   */
  readonly script?: string[];
  /** The name of the account that writes the logs; to be given where the kernel is root. Default: who the kernel is. */
  readonly account?: string;
}

const word = v.pipe(
  v.string(),
  v.rawCheck(({ dataset, addIssue }) => {
    const fault = dataset.typed ? faultOfWord(dataset.value) : undefined;
    if (fault !== undefined) addIssue({ message: fault });
  }),
);
const script = v.pipe(
  v.array(word),
  v.check(
    (words) => parseScript(words.map((each) => Buffer.from(each))).directories.length > 0,
    'it names no directory',
  ),
);
const schema = v.strictObject({
  script: v.optional(script, ['t', 's999999', 'n20', './main']),
  account: v.optional(v.pipe(v.string(), v.check(isAccountName, 'it must be the name of an account'))),
});

/** Writes the output of each service to log directories. */
export const logMultilog: PluginFactory<LogMultilogOptions> = definePlugin({
  name: 'log-multilog',
  apiVersion: 1,
  schema,
  apply(kernel, { account: given }) {
    logAccount(given); // before anything is started, where it cannot be
    openLogHosts(kernel, {
      plugin: 'log-multilog',
      program: programBeside(import.meta.filename, 'log-multilog-host'),
      streamOf(service) {
        const { script: words, account: name } = kernel.optionsFor(service);
        const account = logAccount(name);
        if (account !== undefined) makeDirectories(service, words, account);
        return { account, options: { script: words } };
      },
    });
  },
});

/**
 * Makes what is missing of the log directories that lie in the service's own, for an account that could not do so. Only
 * where nobody but root can put something else in their place meanwhile.
 */
function makeDirectories({ path }: ServiceDirectory, words: readonly string[], { uid, gid }: ProcessAccount): void {
  const own = process.geteuid?.();
  const { uid: owner, mode } = statSync(path);
  if (owner !== own || (mode & WRITABLE_BY_OTHERS) !== 0) return;
  for (const each of words) {
    if (!/^\.\/[^/]+$/.test(each)) continue;
    try {
      mkdirSync(join(path, each), 0o700);
    } catch {
      continue; // it is there, or who opens it will tell
    }
    const fd = openSync(join(path, each), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      if (fstatSync(fd).uid === own) fchownSync(fd, uid, gid);
    } finally {
      closeSync(fd);
    }
  }
}
