export { scanWatch } from './scan-watch.ts';
