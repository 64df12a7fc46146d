/** The programs under test: ours as built, and those of daemontools, which vouch for the tests themselves. */
import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';

/** A program of daemontools. */
export type ProgramName =
  | 'svscan'
  | 'supervise'
  | 'svc'
  | 'svok'
  | 'svstat'
  | 'fghack'
  | 'pgrphack'
  | 'readproctitle'
  | 'tai64n'
  | 'tai64nlocal'
  | 'setuidgid'
  | 'envuidgid'
  | 'envdir'
  | 'softlimit'
  | 'setlock'
  | 'svscanboot'
  | 'multilog';

/** One set of programs that behave as daemontools. */
export interface Implementation {
  readonly name: 'daemontap' | 'daemontools';
  /** Where its programs are. */
  readonly programDir: string;
  /** The path of a program. */
  path(program: ProgramName): string;
  /** False when it has no such program (yet). */
  has(program: ProgramName): boolean;
}

const packageDir = join(import.meta.dirname, '../../../packages/cli');

/** Our programs, as `npm run build` leaves them. */
export const daemontap: Implementation = {
  name: 'daemontap',
  programDir: join(packageDir, 'bin'),
  path: (program) => join(packageDir, 'bin', program),
  has: (program) => existsSync(join(packageDir, 'bin', program)),
};

/** daemontools 0.76 in C: from the operating system, or where `DAEMONTOOLS_BIN` says. */
export const daemontools: Implementation = fromDirectory(process.env['DAEMONTOOLS_BIN'] ?? '/usr/bin');

/** Those that are here. A test's body runs once for each. */
export const implementations: readonly Implementation[] = [daemontap, daemontools].filter((each) => each.has('svc'));

/** Those that can supervise, and so be the server that clients are tested against. */
export const supervisors: readonly Implementation[] = implementations.filter((each) => each.has('supervise'));

if (!existsSync(join(packageDir, 'dist/clients.cjs'))) throw new Error('the programs are not built: npm run build');
if (!daemontools.has('svc')) {
  console.log(`skipped: the comparison with daemontools, which is not in ${daemontools.programDir}`);
}

function fromDirectory(programDir: string): Implementation {
  return {
    name: 'daemontools',
    programDir,
    path: (program) => join(programDir, program),
    has(program) {
      try {
        accessSync(join(programDir, program), constants.X_OK);
        return true;
      } catch {
        return false;
      }
    },
  };
}
