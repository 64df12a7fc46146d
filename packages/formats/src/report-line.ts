/** The lines in which daemontools' programs speak: `PROGRAM: LEVEL: MESSAGE: REASON`. */
import { errorText } from './error-text.ts';

/** What a line says. */
export interface ReportLine {
  /** Who says it: `svscan`. */
  readonly program: string;
  /** How grave it is, in daemontools' words: `fatal`, `warning`. */
  readonly level: string;
  /** What there is to say, without the reason. */
  readonly message: string;
  /** Shown behind the message; `undefined` when there is nothing to add. */
  readonly cause?: unknown;
}

/** One line, its newline included. */
export function reportLine({ program, level, message, cause }: ReportLine): string {
  return `${program}: ${level}: ${message}${cause === undefined ? '' : `: ${reasonText(cause)}`}\n`;
}

/** daemontools' words for an error of the system, its own message and its cause's for any other. */
export function reasonText(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const text = errorText(cause);
  if (text !== 'unknown error') return text;
  // One message is one line, whatever a library puts into its own.
  const message = cause.message.replaceAll(/\s*\n\s*/g, ' ');
  return cause.cause === undefined ? message : `${message}: ${reasonText(cause.cause)}`;
}
