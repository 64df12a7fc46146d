/** `daemontap plugins`: the stack that runs on a scan directory, or the one that would. */
import { ConfigurationError, problemsOf } from '../configuration/problem.ts';
import { program as voiceOf, writeAll } from '../program.ts';
import { readSettings } from '../supervisors/settings.ts';
import { configurationOf, fromWord, scanDirOf } from './directory.ts';
import type { DirectoryOptions } from './directory.ts';
import { askRunning } from './profile-socket.ts';
import { profiledStack } from './stack-profile.ts';
import type { ShownPlugin } from './stack-profile.ts';
import { table } from './table.ts';

const { warning } = voiceOf('daemontap');

/** Shows the plugins. Those that run are shown although the configuration cannot be used. @throws ConfigurationError */
export async function plugins(options: DirectoryOptions & { readonly json?: boolean }): Promise<number> {
  const configuration = await configurationOf(options).catch(problemsOf);
  const isUsable = 'settings' in configuration;
  const running = await askRunning(scanDirOf(options), isUsable ? configuration.settings.runtimeRoot : rootOf(options));
  if (running === undefined && !isUsable) throw new ConfigurationError(configuration);
  for (const { place, message } of isUsable ? [] : configuration) warning(`${place}: ${message}`);
  const stack = running?.plugins ?? profiledStack(isUsable ? configuration.plugins : [], []);
  const text = options.json === true ? `${JSON.stringify({ pid: running?.pid, plugins: stack }, undefined, 2)}\n` : '';
  writeAll(1, text === '' ? shown(stack, running?.pid) : text);
  return 0;
}

/** Where a running kernel is asked when the configuration cannot tell. */
function rootOf({ runtimeDir }: DirectoryOptions): string {
  if (runtimeDir !== undefined) return fromWord(runtimeDir).toString();
  return readSettings(process.env, process.geteuid?.() ?? 0).runtimeRoot;
}

function shown(stack: readonly ShownPlugin[], pid: number | undefined): string {
  const head = pid === undefined ? 'not running: what the configuration says\n\n' : `running, pid ${pid}\n\n`;
  const list = table([
    ['plugin', 'version', 'from', 'named by', 'options'],
    ...stack.map(({ name, version, module, place, options }) => [
      name,
      version ?? '',
      module,
      place,
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
