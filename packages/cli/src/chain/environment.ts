/** An environment as bytes: `NAME=value` entries, which may lack the `=` and may be there twice. */

const EQUALS = 0x3d;

/** The value of a variable: that of its first entry. */
export function variable(environment: readonly Buffer[], name: string): Buffer | undefined {
  const prefix = Buffer.from(`${name}=`, 'latin1');
  return environment.find((entry) => startsWith(entry, prefix))?.subarray(prefix.length);
}

/**
 * Replaces or adds the variable of an entry, and removes it when the entry has no `=`. As in daemontools, of a variable
 * that is there twice it is the first entry that goes, and the name ends at the first `=`.
 */
export function changed(environment: readonly Buffer[], entry: Buffer): readonly Buffer[] {
  const end = entry.indexOf(EQUALS);
  const prefix = end === -1 ? Buffer.concat([entry, Buffer.of(EQUALS)]) : entry.subarray(0, end + 1);
  const first = environment.findIndex((each) => startsWith(each, prefix));
  const rest = first === -1 ? environment : environment.toSpliced(first, 1);
  return end === -1 ? rest : [...rest, entry];
}

function startsWith(entry: Buffer, prefix: Buffer): boolean {
  return entry.length >= prefix.length && entry.compare(prefix, 0, prefix.length, 0, prefix.length) === 0;
}
