/** `daemontap check`: whether a configuration can be used, and those of the services, without running anything. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { checkPlugins } from '@daemontap/kernel';
import type { ServiceDirectory } from '@daemontap/kernel';
import { fileIdentity } from '@daemontap/posix';
import { serviceProblems } from '../configuration/check-service.ts';
import { program as voiceOf, writeAll } from '../program.ts';
import { configurationOf, scanDirOf } from './directory.ts';
import type { DirectoryOptions } from './directory.ts';

const WRONG_USE = 100;

/** Says what is wrong. @throws ConfigurationError */
export async function check(options: DirectoryOptions): Promise<number> {
  const configuration = await configurationOf(options);
  checkPlugins(configuration.plugins.map(({ plugin }) => plugin));
  const scanDir = scanDirOf(options);
  const services = servicesIn(scanDir);
  const problems = services.flatMap((service) => serviceProblems(configuration, service));
  const { fatal, warning } = voiceOf('daemontap');
  if (services.some(({ label }) => label === 'node_modules')) {
    warning(`${scanDir}/node_modules is taken for a service: install plugins in a directory above`);
  }
  for (const problem of problems) fatal(problem);
  if (problems.length > 0) return WRONG_USE;
  const { file, plugins } = configuration;
  writeAll(
    1,
    `${file ?? 'no configuration file, so the preset'}: ${plugins.length} plugins, ${services.length} ${services.length === 1 ? 'service' : 'services'}: well\n`,
  );
  return 0;
}

/** The service directories and their log/ directories, as a kernel would see them. */
function servicesIn(scanDir: string): readonly ServiceDirectory[] {
  return readdirSync(scanDir)
    .filter((name) => !name.startsWith('.') && isDirectory(join(scanDir, name)))
    .flatMap((name) => {
      const path = join(scanDir, name);
      const hasLog = isDirectory(join(path, 'log'));
      const service: ServiceDirectory = { label: name, role: 'service', hasLog, identity: fileIdentity(path), path };
      const log: ServiceDirectory = {
        ...service,
        label: `${name}/log`,
        role: 'log',
        hasLog: false,
        path: join(path, 'log'),
      };
      return hasLog ? [service, log] : [service];
    });
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
