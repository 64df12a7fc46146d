/** Shows names of any bytes in messages. */

/**
 * A name for a message of one line: control characters and bytes that are not UTF-8 are written as `\n` or `\xff`.
 */
export function labelOf(name: Buffer): string {
  let label = '';
  for (let offset = 0; offset < name.length;) {
    const length = characterLength(name, offset);
    const character = name.toString('utf8', offset, offset + length);
    const isPlain = !/[\p{Cc}\ufffd]/u.test(character);
    label += isPlain ? character : escapeByte(name[offset] ?? 0);
    offset += isPlain ? length : 1;
  }
  return label;
}

function characterLength(bytes: Buffer, offset: number): number {
  const lead = bytes[offset] ?? 0;
  const length = lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 1;
  return [...bytes.toString('utf8', offset, offset + length)].length === 1 ? length : 1;
}

function escapeByte(byte: number): string {
  if (byte === 0x0a) return '\\n';
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}
