import { runSupervisor } from '../supervisor.ts';
import { supervise } from '../supervise.ts';

void runSupervisor(supervise);
