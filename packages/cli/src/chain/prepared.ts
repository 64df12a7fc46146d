/**
 * What services are started through that have an account or limits of their own: one process that does all of it and
 * then becomes `./run`. It is told by numbers, and looks for nothing: not for accounts, and not on a PATH.
 */
import { errorText } from '@daemontap/formats';
import { argumentBytes, exitAtOnce, parsePreparation, readInherited, readLimit, systemError } from '@daemontap/posix';
import type { Resource } from '@daemontap/posix';
import { exitWith, program } from '../program.ts';
import { receiveSignals } from '../signals.ts';
import { become } from './become.ts';
import type { Given } from './chain.ts';
import { PREPARING } from './preparing.ts';
import { takeAccount } from './setuidgid.ts';

/** True in a process that was started for this. */
export function isPreparing(): boolean {
  return process.env['DAEMONTAP_NAME'] === PREPARING;
}

/** Does what its words say, and becomes the program that they name, or ends. */
export function runPrepared(): void {
  exitWith('supervise', prepare, exitAtOnce);
}

function prepare(): number {
  const inherited = readInherited();
  receiveSignals(inherited);
  const { account, softLimits, file, argv } = parsePreparation(argumentBytes());
  const limits = new Map(
    Object.entries(softLimits).map(([name, soft]) => {
      const resource = name as Resource; // parsePreparation has none but these
      const { hard } = readLimit(resource);
      return [resource, soft > hard ? hard : soft] as const;
    }),
  );
  const given: Given = { environment: inherited.environment, limits, opened: [], inherited };
  const refused = account && takeAccount(account, given);
  if (refused !== undefined) return refused;
  const failure = become({ files: [file], child: argv, given });
  const { fatal } = program(account === undefined ? 'softlimit' : 'setuidgid');
  return fatal('unable to run ', file, ': ', errorText(systemError(failure, 'execve')));
}
