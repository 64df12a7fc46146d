/** Names of directories that break programs which take bytes for text, or a shell's words for arguments. */
import type { Argument } from './run.ts';

/** Each with what is odd about it. */
export const oddNames: readonly (readonly [what: string, name: Argument])[] = [
  ['a newline in it', 'a\nb'],
  ['a newline at its end', 'a\n'],
  ['spaces, quotes and signs', ` a 'b" $c\\ *`],
  ['bytes that are no UTF-8', Uint8Array.of(0x61, 0xff, 0xfe, 0xc3, 0x28)],
  ['letters of other scripts', 'dienst-ü-サービス'],
  ['a dash first', './-a'],
];

/** One name or path made of parts. */
export function joinBytes(...parts: readonly Argument[]): Buffer {
  return Buffer.concat(parts.map((part) => Buffer.from(part)));
}

/** A name as the output of a program shows it: one character for each byte. */
export function shownBytes(name: Argument): string {
  return Buffer.from(name).toString('latin1');
}
