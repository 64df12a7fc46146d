export { RECORD_SIZE } from './record.ts';
export type { Intent, RecordedEnd, RecordFileHeader, RunRecord } from './record.ts';
export { runRecord } from './run-record.ts';
