import { argumentBytes, exitAtOnce } from '@daemontap/posix';
import { multilog } from '../multilog/multilog.ts';

void multilog(argumentBytes()).then(exitAtOnce);
