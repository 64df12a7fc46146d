export { runRecord } from './run-record.ts';
export type { RunRecord } from './run-record.ts';
