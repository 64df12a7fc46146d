/** The log host that writes log directories, as multilog does. */
import { writeSync } from 'node:fs';
import * as v from 'valibot';
import { runLogHost } from '@daemontap/log-host';
import { openProcesses, readInherited } from '@daemontap/posix';
import type { ProcessEnd } from '@daemontap/posix';
import { openHosted } from './hosted.ts';
import { parseScript } from './script.ts';

/** Runs the log host that writes log directories: the process does nothing else. */
export function runMultilogHost(): void {
}
