/** Prints a benchmark's table and, with --write, puts it into docs/benchmarks.md in the place of the one before. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const pagePath = join(import.meta.dirname, '../../docs/benchmarks.md');

/** The middle value. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

/** Shows a table, and keeps it in the page between its two marks. */
export function publish(name: string, lines: readonly string[]): void {
  const table = lines.join('\n');
  process.stdout.write(`${table}\n`);
  if (!process.argv.includes('--write')) return;
  const page = readFileSync(pagePath, 'utf8');
  const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from === -1 || to === -1) throw new Error(`${pagePath} has no place for ${name}`);
  writeFileSync(pagePath, `${page.slice(0, from + begin.length)}\n\n${table}\n\n${page.slice(to)}`);
}
