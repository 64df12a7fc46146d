export { logPipe } from './log-pipe.ts';
