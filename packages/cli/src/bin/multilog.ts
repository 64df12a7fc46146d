import { multilog } from '../multilog/multilog.ts';
import { argumentBytes } from '@daemontap/posix';

void multilog(argumentBytes()).then((exitCode) => process.exit(exitCode));
