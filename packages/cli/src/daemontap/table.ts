/** Rows of text in columns, without lines around them. */
import Table from 'cli-table3';

const border = ['top', 'bottom', 'left', 'mid', 'right'] as const;
const noLines = Object.fromEntries(
  border.flatMap((side) => ['', '-mid', '-left', '-right'].map((corner) => [`${side}${corner}`, ''])),
);

/** The rows, the first of them the heading, each cell as wide as its column. */
export function table(rows: readonly (readonly string[])[]): string {
  const made = new Table({
    chars: { ...noLines, middle: '  ' },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  });
  made.push(...rows.map((row) => [...row]));
  return `${made.toString().replaceAll(/ +$/gm, '')}\n`;
}
