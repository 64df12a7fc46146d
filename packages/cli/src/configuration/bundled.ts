/** The plugins that are installed with the programs, by their short names. Each is loaded where it is wanted. */

/** The modules of our own plugins. */
const bundledPlugins: Readonly<Record<string, () => Promise<object>>> = {
  'control-fifo': () => import('@daemontap/control-fifo'),
  'control-socket': () => import('@daemontap/control-socket'),
  envdir: () => import('@daemontap/envdir'),
  fghack: () => import('@daemontap/fghack'),
  'log-multilog': () => import('@daemontap/log-multilog'),
  'log-pino': () => import('@daemontap/log-pino'),
  'log-pipe': () => import('@daemontap/log-pipe'),
  'log-stderr': () => import('@daemontap/log-stderr'),
  'log-stdout': () => import('@daemontap/log-stdout'),
  'run-record': () => import('@daemontap/run-record'),
  'scan-watch': () => import('@daemontap/scan-watch'),
  setuidgid: () => import('@daemontap/setuidgid'),
  softlimit: () => import('@daemontap/softlimit'),
  'status-file': () => import('@daemontap/status-file'),
};

/** What stands for a module's file. */
export const BUILT_IN = 'built in';

/** The module of one of our own plugins, by its short name or its package's; `undefined` for all others. */
export function bundledPlugin(name: string): (() => Promise<object>) | undefined {
  const short = name.replace(/^@daemontap\//, '');
  return Object.hasOwn(bundledPlugins, short) ? bundledPlugins[short] : undefined;
}
