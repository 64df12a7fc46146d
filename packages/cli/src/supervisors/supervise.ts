/** supervise: supervises one service. */
import { superviseService } from '@daemontap/kernel';
import type { SupervisorProgram } from './supervisor.ts';

/** `supervise dir`. TERM and INT are `svc -dx`: it ends when the service has ended. */
export const supervise: SupervisorProgram = {
  name: 'supervise',
  usage: 'supervise: usage: supervise dir',
  pathOf: ([directory, ...more]) => (more.length === 0 ? directory : undefined),
  supervise: superviseService,
  stops: () => true,
};
