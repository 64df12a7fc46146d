/** Strings and arrays of strings as C takes them. */
import { addressOf } from './native.ts';

/** A NULL-terminated array of pointers. It is good for as long as `text` is held. */
export interface StringArray {
  readonly array: BigUint64Array;
  readonly text: Buffer;
}

const cache = new WeakMap<readonly Buffer[], StringArray>();

/** Builds the array for `argv` or an environment; it is kept with the strings, as one serves a thousand starts. */
export function stringArray(strings: readonly Buffer[]): StringArray {
  const cached = cache.get(strings);
  if (cached !== undefined) return cached;
  const size = strings.reduce((sum, each) => sum + each.length + 1, 0);
  // An allocation of its own, outside of Node's buffer pool, which never moves; both live as long as the strings do.
  const text = Buffer.alloc(Math.max(1, size));
  const array = new BigUint64Array(strings.length + 1);
  const base = addressOf(text);
  let offset = 0;
  for (const [index, each] of strings.entries()) {
    array[index] = base + BigInt(offset);
    offset += each.copy(text, offset) + 1;
  }
  const made = { array, text };
  cache.set(strings, made);
  return made;
}

/** The bytes with the NUL that ends a C string. */
export function terminated(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.of(0)]);
}
