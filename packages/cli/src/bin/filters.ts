import { exitAtOnce, readInherited } from '@daemontap/posix';
import { runProgram } from '../program.ts';
import { readproctitle } from '../filters/readproctitle.ts';
import { tai64n } from '../filters/tai64n.ts';
import { tai64nlocal } from '../filters/tai64nlocal.ts';
import { receiveSignals } from '../signals.ts';

receiveSignals(readInherited());
runProgram({ readproctitle, tai64n, tai64nlocal }, exitAtOnce);
