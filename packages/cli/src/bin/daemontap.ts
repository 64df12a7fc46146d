import { daemontap } from '../daemontap/daemontap.ts';
import { exitWithSupervisor } from '../supervisors/supervisor.ts';

void exitWithSupervisor('daemontap', daemontap);
