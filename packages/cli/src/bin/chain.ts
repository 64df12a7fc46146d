import { envdir } from '../chain/envdir.ts';
import { envuidgid } from '../chain/envuidgid.ts';
import { fghack } from '../chain/fghack.ts';
import { pgrphack } from '../chain/pgrphack.ts';
import { runChain } from '../chain/chain.ts';
import { isPreparing, runPrepared } from '../chain/prepared.ts';
import { setlock } from '../chain/setlock.ts';
import { setuidgid } from '../chain/setuidgid.ts';
import { softlimit } from '../chain/softlimit.ts';

if (isPreparing()) runPrepared();
else runChain({ envdir, envuidgid, fghack, pgrphack, setlock, setuidgid, softlimit });
