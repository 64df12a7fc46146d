export { statusFile } from './status-file.ts';
