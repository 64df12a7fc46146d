/** What the commands of `daemontap` have in common: a scan directory, and the configuration for it. */
import { statSync } from 'node:fs';
import { isUtf8 } from 'node:buffer';
import { KernelError } from '@daemontap/kernel';
import { loadConfiguration } from '../configuration/load.ts';
import type { Configuration } from '../configuration/load.ts';

/** The scan directory and the settings on the command line, as words. */
export interface DirectoryOptions {
  readonly dir: Buffer;
  readonly config?: string;
  readonly runtimeDir?: string;
  readonly log?: string;
  readonly onTerm?: string;
  readonly stopTimeout?: string;
}

/** commander takes strings: one character a byte keeps what is not UTF-8. */
export function toWord(bytes: Buffer): string {
  return bytes.toString('latin1');
}

/** The bytes of a word. */
export function fromWord(word: string): Buffer {
  return Buffer.from(word, 'latin1');
}

/**
 * Loads the configuration of the scan directory.
 * @throws ConfigurationError, or KernelError `NO_DIRECTORY`
 */
export function configurationOf(options: DirectoryOptions, previous?: Configuration): Promise<Configuration> {
  const { config, runtimeDir, log, onTerm, stopTimeout } = options;
  const text = (word: string | undefined): string | undefined =>
    word === undefined ? undefined : fromWord(word).toString();
  return loadConfiguration({
    scanDir: scanDirOf(options),
    configPath: text(config),
    commandLine: { log: text(log), onTerm: text(onTerm), stopTimeout: text(stopTimeout), runtimeDir: text(runtimeDir) },
    environment: process.env,
    uid: process.geteuid?.() ?? 0,
    previous,
  });
}

/**
 * The scan directory's path. Modules and files of a configuration are found by strings, so it must be UTF-8.
 * @throws `NO_DIRECTORY`
 */
export function scanDirOf({ dir }: DirectoryOptions): string {
  const path = dir.toString();
  const refuse = (cause: unknown): never => {
    throw new KernelError('NO_DIRECTORY', `unable to chdir to ${path}`, { cause });
  };
  if (!isUtf8(dir))
    return refuse(new Error('its path is not UTF-8, as one with a configuration must be; svscan takes any'));
  try {
    if (statSync(path).isDirectory()) return path;
  } catch (cause) {
    return refuse(cause);
  }
  return refuse(Object.assign(new Error('not a directory'), { code: 'ENOTDIR' }));
}
