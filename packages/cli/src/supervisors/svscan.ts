/** svscan: supervises every service of a scan directory. */
import { superviseScanDirectory } from '@daemontap/kernel';
import type { SupervisorProgram } from './supervisor.ts';

/** `svscan [dir]`: the current directory by default; further arguments are ignored, as ever. */
export const svscan: SupervisorProgram = {
  name: 'svscan',
  usage: 'svscan: usage: svscan [ dir ]',
  pathOf: ([directory = Buffer.from('.')]) => directory,
  supervise: superviseScanDirectory,
  stops: ({ onTerm }) => onTerm === 'stop',
};
