/** Lines that are numbered by the services that write them: what a log has lost of them, and what it has twice. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { finishedFiles, logFiles } from './multilog.ts';
import type { LogFile } from './multilog.ts';
import { linesOf } from './supervised.ts';

const ATTEMPTS = 5;

/** What is wrong with the lines of a service, `PID NUMBER` or `PID NUMBER xxx` each. */
export interface LinesSeen {
  /** What is missing, cut or out of order. */
  readonly problems: readonly string[];
  /** How many bytes are there a second time. */
  readonly repeatedBytes: number;
}

/** The lines of log directories, from the oldest to the latest, without their stamps. What is cut off is none. */
export function linesIn(...dirs: readonly string[]): readonly string[] {
  return dirs.flatMap((dir) => {
    const files = filesIn(dir);
    // Whoever was killed within a write has left a piece of a line at the end of its file.
    return files.flatMap(({ text }) => text.split('\n').slice(0, -1).map(withoutStamp));
  });
}

/** The files of a log directory as they are at one moment, if it has one: a file that is rotated meanwhile is missing. */
function filesIn(dir: string): readonly LogFile[] {
  for (let attempt = 1; ; attempt++) {
    const before = namesIn(dir);
    const files = [...finishedFiles(dir), ...logFiles(dir).filter(({ name }) => name === 'current')];
    if (attempt === ATTEMPTS || (!before.includes('previous') && namesIn(dir) === before)) return files;
  }
}

function namesIn(dir: string): string {
  return readdirSync(dir).toSorted().join('\n');
}

/** Compares lines with each other. */
export function compareLines(lines: readonly string[]): LinesSeen {
  const { problems, repeatedBytes } = follow(lines);
  return { problems, repeatedBytes };
}

/** Compares lines with each other, and with the counts in `sent.PID` in the directory of a service that does not run. */
export function compareWithSent(path: string, lines: readonly string[]): LinesSeen {
  const { problems, repeatedBytes, counts } = follow(lines);
  const sent = readdirSync(path).filter((each) => each.startsWith('sent.'));
  for (const file of sent) {
    const pid = file.slice('sent.'.length);
    const count = Number(linesOf(join(path, file))[0] ?? 0);
    const got = counts.get(pid) ?? 0;
    // One more when it was ended between writing a line and counting it.
    if (got !== count && got !== count + 1) problems.push(`${got} lines of ${pid}, which has written ${count}`);
  }
  if (sent.length === 0) problems.push(`${path} has sent nothing`);
  return { problems, repeatedBytes };
}

function follow(lines: readonly string[]): {
  readonly problems: string[];
  readonly repeatedBytes: number;
  readonly counts: ReadonlyMap<string, number>;
} {
  const problems: string[] = [];
  let repeatedBytes = 0;
  /** How many lines of each process are there, and where in them the last one was. */
  const counts = new Map<string, number>();
  const places = new Map<string, number>();
  for (const line of lines) {
    const [pid = '', digits = ''] = line.split(' ');
    const number = Number(digits);
    const [place, count] = [places.get(pid) ?? 0, counts.get(pid) ?? 0];
    if (!/^\d+ \d+(?: x+)?$/.test(line)) problems.push(`a line "${line}"`);
    else if (number > place) problems.push(`line "${line}" where "${pid} ${place}" was to come`);
    else if (number < count) repeatedBytes += line.length + 1;
    places.set(pid, number + 1);
    counts.set(pid, Math.max(count, number + 1));
  }
  return { problems, repeatedBytes, counts };
}

function withoutStamp(line: string): string {
  return line.replace(/^@[0-9a-f]{24} /, '');
}
