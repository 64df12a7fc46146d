/** Where the program is that prepares starts: beside this one, run by the same Node. Nothing of it is looked up. */
import { dirname, join } from 'node:path';
import type { PreparingProgram } from '@daemontap/system';
import { PREPARING } from '../chain/preparing.ts';

/** The bundle of chain-loading programs, with the options that launch/node gives it. */
export function preparingProgram(): PreparingProgram {
  // launch/node gives this one to no Node but its own, as others might not know the options.
  const isOwnNode = process.execArgv.includes('--v8-pool-size=1');
  return {
    file: process.execPath,
    options: isOwnNode ? ['--disable-sigusr1', '--v8-pool-size=1', '--lite-mode'] : ['--single-threaded'],
    script: join(dirname(import.meta.filename), 'chain.cjs'), // in the bundle, that is dist/
    environment: ['UV_THREADPOOL_SIZE=4', `DAEMONTAP_NAME=${PREPARING}`],
  };
}
