import { runSupervisor } from '../supervisor.ts';
import { svscan } from '../svscan.ts';

void runSupervisor(svscan);
