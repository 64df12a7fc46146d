/** `daemontap plugins`: the stack that runs on a scan directory, or the one that would. */
import { writeAll } from '../program.ts';
import { configurationOf, scanDirOf } from './directory.ts';
import type { DirectoryOptions } from './directory.ts';
import { askRunning } from './profile-socket.ts';
import { profiledStack } from './stack-profile.ts';
import type { ShownPlugin } from './stack-profile.ts';
import { table } from './table.ts';

/** Shows the plugins. @throws ConfigurationError */
export async function plugins(options: DirectoryOptions & { readonly json?: boolean }): Promise<number> {
  const configuration = await configurationOf(options);
  const running = await askRunning(scanDirOf(options), configuration.settings.runtimeRoot);
  const stack = running?.plugins ?? profiledStack(configuration.plugins, []);
  const text = options.json === true ? `${JSON.stringify({ pid: running?.pid, plugins: stack }, undefined, 2)}\n` : '';
  writeAll(1, text === '' ? shown(stack, running?.pid) : text);
  return 0;
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
