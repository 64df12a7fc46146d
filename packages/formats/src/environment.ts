/** An environment as bytes: `NAME=value` entries, which may lack the `=` and may be there twice; and envdir's files. */

const EQUALS = 0x3d;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;

/** The value of a variable: that of its first entry. */
export function environmentValue(environment: readonly Buffer[], name: string): Buffer | undefined {
  const prefix = Buffer.from(`${name}=`, 'latin1');
  return environment.find((entry) => startsWith(entry, prefix))?.subarray(prefix.length);
}

/**
 * Replaces or adds the variable of an entry, and removes it when the entry has no `=`. As in daemontools, of a variable
 * that is there twice it is the first entry that goes, and the name ends at the first `=`.
 */
export function changeEnvironment(environment: readonly Buffer[], entry: Buffer): readonly Buffer[] {
  const end = entry.indexOf(EQUALS);
  const prefix = end === -1 ? Buffer.concat([entry, Buffer.of(EQUALS)]) : entry.subarray(0, end + 1);
  const first = environment.findIndex((each) => startsWith(each, prefix));
  const rest = first === -1 ? environment : environment.toSpliced(first, 1);
  return end === -1 ? rest : [...rest, entry];
}

/**
 * The entry that a file of envdir's directory stands for: the variable of its name with its first line, without the
 * blanks at its end, where a NUL stands for a newline. An empty file is the name alone, which removes the variable.
 */
export function environmentEntry({ name, content }: { readonly name: Buffer; readonly content: Buffer }): Buffer {
  if (content.length === 0) return name;
  const newline = content.indexOf(NEWLINE);
  let end = newline === -1 ? content.length : newline;
  while (end > 0 && (content[end - 1] === SPACE || content[end - 1] === TAB)) end--;
  const entry = Buffer.concat([name, Buffer.of(EQUALS), content.subarray(0, end)]);
  for (let nul = entry.indexOf(0); nul !== -1; nul = entry.indexOf(0, nul)) entry[nul] = NEWLINE;
  return entry;
}

function startsWith(entry: Buffer, prefix: Buffer): boolean {
  return entry.length >= prefix.length && entry.compare(prefix, 0, prefix.length, 0, prefix.length) === 0;
}
