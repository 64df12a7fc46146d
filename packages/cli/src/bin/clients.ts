import { runProgram } from '../program.ts';
import { svc } from '../clients/svc.ts';
import { svok } from '../clients/svok.ts';
import { svstat } from '../clients/svstat.ts';

runProgram({ svc, svok, svstat });
