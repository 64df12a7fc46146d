/** Tells data from what only looks like it: a configuration may hold nothing that a file of JSON could not. */

/** A place in a value, and what is there that is no data. */
export interface ForeignValue {
  /** The keys that lead there. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/**
 * What in a value is no plain data, and the first 20 of it. It is also sent to the process that evaluates a
 * configuration, as text: so it uses nothing from outside of itself.
 */
export function findForeign(root: unknown): readonly ForeignValue[] {
  const found: ForeignValue[] = [];
  const above = new Set<object>();
  let left = 100_000; // a few lines of YAML can repeat themselves into any number of values
  const look = (value: unknown, path: readonly (string | number)[]): void => {
    const refuse = (message: string): void => {
      if (found.length < 20) found.push({ path, message });
    };
    left--;
    if (left === 0) return refuse('is too large');
    if (left < 0 || value === null || typeof value === 'string' || typeof value === 'boolean') return;
    if (typeof value === 'number') return Number.isFinite(value) ? undefined : refuse(`is ${value}`);
    if (typeof value === 'function') return refuse('is a function: name its package or file instead');
    if (typeof value === 'undefined') return refuse('is undefined');
    if (typeof value !== 'object') return refuse(`is a ${typeof value}`);
    if (above.has(value)) return refuse('contains itself');
    const prototype: unknown = Object.getPrototypeOf(value);
    above.add(value);
    if (Array.isArray(value)) {
      // By index: a list may have holes.
      for (let index = 0; index < value.length && left > 0; index++) look(value[index], [...path, index]);
    } else if (prototype === null || prototype === Object.prototype) {
      for (const [key, each] of Object.entries(value)) if (each !== undefined) look(each, [...path, key]);
    } else {
      const name = (value as { constructor?: { name?: string } }).constructor?.name;
      refuse(name === 'Promise' ? 'is a promise: await it' : `is an instance of ${name}: only plain data can be used`);
    }
    above.delete(value);
  };
  look(root, []);
  return found;
}
