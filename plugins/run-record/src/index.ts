export { RECORD_SIZE, runRecord } from './run-record.ts';
export type { RecordFileHeader, RunRecord } from './run-record.ts';
