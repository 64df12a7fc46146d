/** How daemontools' programs find the program to run: section 1.5 of the behaviour reference. */
import { constants } from 'node:os';
import { environmentValue } from '@daemontap/formats';

const { EACCES, EISDIR, ENOENT, EPERM } = constants.errno;
const COLON = 0x3a;
const SLASH = 0x2f;

/** The paths to try for a program of that name, in order: itself, or one for each component of PATH. */
export function candidates(name: Buffer, environment: readonly Buffer[]): readonly Buffer[] {
  if (name.includes(SLASH)) return [name];
  const path = environmentValue(environment, 'PATH') ?? Buffer.from('/bin:/usr/bin');
  const found: Buffer[] = [];
  for (let start = 0; start <= path.length;) {
    const colon = path.indexOf(COLON, start);
    const end = colon === -1 ? path.length : colon;
    const directory = end === start ? Buffer.from('.') : path.subarray(start, end);
    found.push(Buffer.concat([directory, Buffer.of(SLASH), name]));
    start = end + 1;
  }
  return found;
}

/**
 * Tries one candidate after the other, until one succeeds (0) or fails in a way that ends the search. Returns 0, or the
 * number of the error that tells the most.
 */
export function searchAmong(files: readonly Buffer[], attempt: (file: Buffer) => number): number {
  let remembered: number = ENOENT;
  for (const file of files) {
    const failure = attempt(file);
    if (failure === EACCES || failure === EPERM || failure === EISDIR) remembered = failure;
    else if (failure !== ENOENT) return failure;
  }
  return remembered;
}
