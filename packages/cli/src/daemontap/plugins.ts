/** `daemontap plugins`: the stack that runs on a scan directory, or the one that would. */
import { join } from 'node:path';
import { SOCKET_NAME } from '@daemontap/control-socket';
import type { PluginsAnswer, ShownPlugin } from '@daemontap/control-socket';
import { fileIdentity } from '@daemontap/posix';
import { ConfigurationError, problemsOf } from '../configuration/problem.ts';
import type { Configuration } from '../configuration/load.ts';
import type { LoadedPlugin } from '../configuration/plugins.ts';
import { program as voiceOf, writeAll } from '../program.ts';
import { readSettings } from '../supervisors/settings.ts';
import { configurationOf, fromWord, scanDirOf } from './directory.ts';
import type { DirectoryOptions } from './directory.ts';
import { AskError } from './services/ask-error.ts';
import { answerTo, refusalOf } from './services/socket-request.ts';
import { table } from './table.ts';

const { warning } = voiceOf('daemontap');
const PLUGIN = 'control-socket';

/** Shows the plugins. Those that run are shown although the configuration cannot be used. @throws ConfigurationError */
export async function plugins(options: DirectoryOptions & { readonly json?: boolean }): Promise<number> {
  const configuration = await configurationOf(options).catch(problemsOf);
  const isUsable = 'settings' in configuration;
  const running = await askRunning(
    isUsable ? socketPathOf(configuration, options) : usualPath(rootOf(options), options),
  );
  if (running === undefined && !isUsable) throw new ConfigurationError(configuration);
  for (const { place, message } of isUsable ? [] : configuration) warning(`${place}: ${message}`);
  const stack = running?.plugins ?? (isUsable ? configuration.plugins.map(shownPlugin) : []);
  const text = options.json === true ? `${JSON.stringify({ pid: running?.pid, plugins: stack }, undefined, 2)}\n` : '';
  writeAll(1, text === '' ? shown(stack, running?.pid) : text);
  return 0;
}

/** Where a running kernel is asked when the configuration cannot tell. */
function rootOf({ runtimeDir }: DirectoryOptions): string {
  if (runtimeDir !== undefined) return fromWord(runtimeDir).toString();
  return readSettings(process.env, process.geteuid?.() ?? 0).runtimeRoot;
}

function socketPathOf({ plugins: stack, settings }: Configuration, options: DirectoryOptions): string {
  const path = stack.find(({ name }) => name === PLUGIN)?.options['path'];
  return typeof path === 'string' ? path : usualPath(settings.runtimeRoot, options);
}

function usualPath(runtimeRoot: string, options: DirectoryOptions): string {
  return join(runtimeRoot, fileIdentity(scanDirOf(options)), PLUGIN, SOCKET_NAME);
}

/** Asks the kernel at a socket; `undefined`: nobody is there. @throws AskError when one is and cannot be asked */
async function askRunning(socketPath: string): Promise<PluginsAnswer | undefined> {
  try {
    const answer = await answerTo({ socketPath, path: '/v1/plugins' });
    if (answer.status !== 200) throw refusalOf(answer);
    return answer.value as PluginsAnswer; // as documented, and of our own user's or root's
  } catch (error) {
    if (error instanceof AskError && error.kind === 'nobody') return undefined;
    throw error;
  }
}

/** A plugin that does not run, and has cost nothing. */
function shownPlugin({ name, version, module, place, options }: LoadedPlugin): ShownPlugin {
  return { name, version: version ?? null, module, place, options, hooks: [] };
}

function shown(stack: readonly ShownPlugin[], pid: number | undefined): string {
  const head = pid === undefined ? 'not running: what the configuration says\n\n' : `running, pid ${pid}\n\n`;
  const list = table([
    ['plugin', 'version', 'from', 'named by', 'options'],
    ...stack.map(({ name, version, module, place, options }) => [
      name,
      version ?? '',
      module ?? '',
      place ?? '',
      Object.keys(options).length === 0 ? '' : JSON.stringify(options),
    ]),
  ]);
  if (pid === undefined) return head + list;
  const hooks = stack.flatMap(({ name, hooks: all }) =>
    all.map(({ hook, calls, failures, spentUs, longestUs, waitedUs }) => [
      name,
      hook,
      String(calls),
      String(failures),
      milliseconds(spentUs),
      milliseconds(longestUs),
      milliseconds(waitedUs),
    ]),
  );
  const times = table([['plugin', 'hook', 'calls', 'failures', 'ms in all', 'ms at most', 'ms waited'], ...hooks]);
  return `${head}${list}\n${times}`;
}

function milliseconds(us: number): string {
  return (us / 1000).toFixed(3);
}
