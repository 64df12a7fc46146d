/** `daemontap up`: svscan with the configuration of the scan directory, which it takes up anew at HUP. */
import { superviseScanDirectory } from '@daemontap/kernel';
import type { Kernel } from '@daemontap/kernel';
import { argumentBytes } from '@daemontap/posix';
import { compareConfigurations } from '../configuration/compare.ts';
import type { Configuration } from '../configuration/load.ts';
import { ConfigurationError } from '../configuration/problem.ts';
import { supervise } from '../supervisors/supervisor.ts';
import { configurationOf } from './directory.ts';
import type { DirectoryOptions } from './directory.ts';

/**
 * Supervises until it is stopped, and returns the exit code.
 * @throws ConfigurationError
 */
export async function up(options: DirectoryOptions): Promise<number> {
  process.on('SIGHUP', () => {}); // a change that comes before there is a kernel is seen by the kernel's start
  let current = await configurationOf(options);
  let kernel: Kernel | undefined;
  const pluginsOf = ({ plugins }: Configuration) => plugins.map(({ plugin }) => plugin);
  const takeUp = async (made: Kernel): Promise<void> => {
    const before = current;
    try {
      const next = await configurationOf(options, before);
      if (before.file !== undefined && next.file === undefined) {
        // Somebody writes it anew at this moment, perhaps.
        throw new ConfigurationError([{ place: before.file, message: 'it is gone; {} in it stands for all defaults' }]);
      }
      const changes = compareConfigurations({ before, after: next });
      current = next; // plugins ask for their options when they meet the services
      made.replacePlugins(pluginsOf(next));
      for (const change of changes) made.log.info(`configuration: ${change}`);
    } catch (cause) {
      current = before;
      refuse(made, cause);
    }
  };
  let taking = Promise.resolve();
  const run = {
    name: 'daemontap',
    words: argumentBytes(),
    path: options.dir,
    supervise: superviseScanDirectory,
    settings: current.settings,
    plugins: pluginsOf(current),
    serviceOptions: ((plugin, service) =>
      current.serviceOptions(plugin, service)) satisfies Configuration['serviceOptions'],
    stops: current.settings.onTerm === 'stop',
    onKernel: (made: Kernel) => void (kernel = made),
    onHangUp() {
      const made = kernel;
      if (made !== undefined) taking = taking.then(() => takeUp(made));
    },
  };
  return supervise(run);
}

/** Says all that is wrong with a configuration that is not taken up. */
function refuse({ log }: Kernel, cause: unknown): void {
  const message = 'unable to take up the configuration, the old one stays in force';
  if (!(cause instanceof ConfigurationError)) {
    log.warning(message, { cause });
    return;
  }
  for (const { place, message: problem } of cause.problems)
    log.warning(message, { cause: new Error(`${place}: ${problem}`) });
}
