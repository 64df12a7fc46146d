import { programOf } from '../program.ts';
import { runSupervisor } from '../supervisors/supervisor.ts';
import { supervise } from '../supervisors/supervise.ts';
import { svscan } from '../supervisors/svscan.ts';

void runSupervisor(programOf({ svscan, supervise }).main);
