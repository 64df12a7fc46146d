export { commandLetters, commandNames, commandSignals, parseCommand } from './commands.ts';
export type { Command } from './commands.ts';
export { changeEnvironment, environmentEntry, environmentValue } from './environment.ts';
export { reasonText, reportLine } from './report-line.ts';
export type { ReportLine } from './report-line.ts';
export { errorText, errorTextForCode } from './error-text.ts';
export { encodeStatus, parseStatus, STATUS_SIZE } from './status-record.ts';
export type { ParsedStatus, Status } from './status-record.ts';
export {
  decodeTai64n,
  encodeTai64n,
  formatTai64n,
  parseTai64n,
  TAI64N_SIZE,
  taiSeconds,
  toStampNs,
  unixSeconds,
} from './tai64n.ts';
export type { Tai64n } from './tai64n.ts';
