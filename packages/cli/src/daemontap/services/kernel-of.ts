/** Finds the kernel that supervises a scan directory and has a control socket. */
import { isUtf8 } from 'node:buffer';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { SOCKET_NAME } from '@daemontap/control-socket';
import { identityOf } from '@daemontap/posix';
import { findConfiguration } from '../../configuration/find.ts';
import type { Configuration } from '../../configuration/load.ts';
import { ConfigurationError } from '../../configuration/problem.ts';
import { defaultSettings, given, settingVariables } from '../../supervisors/settings.ts';
import { configurationOf, fromWord } from '../directory.ts';
import type { DirectoryOptions } from '../directory.ts';
import { AskError } from './ask-error.ts';
import { askKernel } from './ask-kernel.ts';
import type { AskedKernel } from './ask-kernel.ts';

const PLUGIN = 'control-socket';

/** Where a kernel is looked for, and what has answered there. */
export interface KernelSearch {
  /** `undefined`: there is none, or it cannot be asked. */
  readonly kernel: AskedKernel | undefined;
  /** Why one that is there was not asked; a line. */
  readonly complaint: string | undefined;
}

/**
 * Asks the kernel of a scan directory: where kernels have their sockets by default, the caller's own and root's, or
 * else where its configuration says. That is loaded only if nobody answers before: it may be code.
 */
export async function kernelOf(options: DirectoryOptions): Promise<KernelSearch> {
  let complaint: string | undefined;
  const tried = new Set<string>();
  for (const find of [usualPaths, configuredPaths]) {
    for (const path of await find(options)) {
      if (tried.has(path)) continue; // it would be silent for as long again
      tried.add(path);
      try {
        return { kernel: await askKernel(path), complaint: undefined };
      } catch (error) {
        if (!(error instanceof AskError)) throw error;
        if (error.kind !== 'nobody') complaint ??= `unable to ask through ${path}: ${error.message}`;
      }
    }
  }
  return { kernel: undefined, complaint };
}

function usualPaths({ dir, runtimeDir }: DirectoryOptions): readonly string[] {
  const uid = process.geteuid?.() ?? 0;
  const own =
    runtimeDir === undefined ? given(process.env, settingVariables.runtimeDir) : fromWord(runtimeDir).toString();
  const roots = own === undefined ? [uid, 0].map((each) => defaultSettings(process.env, each).runtimeDir) : [own];
  return [...new Set(roots)].map((root) => socketIn(root, dir)).filter((path) => isTrusted(path, dir));
}

async function configuredPaths(options: DirectoryOptions): Promise<readonly string[]> {
  const { dir, config } = options;
  if (!isUtf8(dir)) return []; // a directory with a configuration is not
  try {
    if (config === undefined && findConfiguration(dir.toString()) === undefined) return [];
    const { plugins, settings }: Configuration = await configurationOf(options);
    const path = plugins.find(({ name }) => name === PLUGIN)?.options['path'];
    return [typeof path === 'string' ? path : socketIn(settings.runtimeRoot, dir)];
  } catch (error) {
    // What runs may have been started with another one, and what is supervised can be asked without it.
    if (error instanceof ConfigurationError && config === undefined) return [];
    throw error;
  }
}

function socketIn(runtimeRoot: string, scanDir: Buffer): string {
  return join(runtimeRoot, identityOf(statSync(scanDir, { bigint: true })), PLUGIN, SOCKET_NAME);
}

/** In /tmp anybody may have put a socket where a kernel's would be. */
function isTrusted(socketPath: string, scanDir: Buffer): boolean {
  try {
    const { uid } = statSync(socketPath);
    return [0, process.geteuid?.(), statSync(scanDir).uid].includes(uid);
  } catch {
    return true; // it is not there, or may not be looked at, as whoever asks will find
  }
}
