/** Log lines for benchmarks. */
import { closeSync, openSync, writeSync } from 'node:fs';

/** Words that many lines hold. */
export const commonWords: readonly string[] = [
  'error',
  'timeout',
  'queue',
  'bytes',
  'warning',
  'failed',
  'host',
  'info',
  'session',
  'user',
  'port',
];

/** Lines of 40 to 129 bytes, of words and numbers, always the same. */
export function makeLines(path: string, bytes: number): void {
  const words = [
    ...commonWords,
    'status:',
    'connection',
    'from',
    'client',
    'request',
    'response',
    'time',
    'delivery',
    'retry',
  ];
  let seed = 1;
  const next = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (seed >>> 8) % below;
  };
  const fd = openSync(path, 'w');
  for (let written = 0; written < bytes;) {
    const lines: string[] = [];
    for (let count = 0; count < 20_000; count++) {
      const length = 40 + next(90);
      let line = '';
      while (line.length < length) line += `${words[next(words.length)]} ${next(1000)} `;
      lines.push(`${line.slice(0, length)}\n`);
    }
    written += writeSync(fd, lines.join(''));
  }
  closeSync(fd);
}
