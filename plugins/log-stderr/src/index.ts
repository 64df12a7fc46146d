export { logStderr } from './log-stderr.ts';
