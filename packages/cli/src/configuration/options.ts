/** Checks values against any Standard Schema, and knows unknown keys where the schema tells its keys. */
import type { StandardSchema } from '@daemontap/kernel';
import { isRecord, placeOf, suggestion } from './problem.ts';
import type { Problem } from './problem.ts';

/** What is checked, and where it stands. */
export interface Checked {
  readonly value: Readonly<Record<string, unknown>>;
  /** The file, or what else the place begins with. */
  readonly file: string;
  /** The keys that lead to the value. */
  readonly path: readonly PropertyKey[];
  /** What an unknown key is called: `key`, `option`. */
  readonly noun: string;
}

/** All that is wrong with options; without a schema, there is no option at all. */
export function optionProblems(
  schema: StandardSchema<object, object> | undefined,
  checked: Checked,
): readonly Problem[] {
  const { value, file, path, noun } = checked;
  const place = (keys: readonly PropertyKey[]): string => placeOf(file, [...path, ...keys]);
  if (schema === undefined) {
    return Object.keys(value).map((key) => ({ place: place([key]), message: `unknown ${noun}: there are none` }));
  }
  const names = keysOf(schema);
  const unknown = names === undefined ? [] : Object.keys(value).filter((key) => !names.includes(key));
  // What is known to be wrong is left out, or a strict schema would say it again in words of its own.
  const known = Object.fromEntries(Object.entries(value).filter(([key]) => !unknown.includes(key)));
  return [
    ...unknown.map((key) => ({ place: place([key]), message: `unknown ${noun}${suggestion(key, names ?? [])}` })),
    ...schemaProblems(schema, known).map(({ path: keys, message }) => ({ place: place(keys), message })),
  ];
}

interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

function schemaProblems(schema: StandardSchema<object, object>, value: unknown): readonly Issue[] {
  const whole = (message: string): readonly Issue[] => [{ path: [], message }];
  try {
    const result = schema['~standard'].validate(value);
    if (result instanceof Promise) {
      result.catch(() => {}); // its answer is of no use any more
      return whole('its schema does not answer at once');
    }
    return (result.issues ?? []).map(({ path: parts = [], message }) => {
      const path = parts.map((part) => (typeof part === 'object' ? part.key : part));
      // Libraries say in words of their own that there is nothing where something must be.
      return { path, message: isMissing(value, path) ? 'it must be given' : message.replaceAll(/\s*\n\s*/g, ' ') };
    });
  } catch (error) {
    return whole(`its schema fails: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** True when the last key of a path is not there, and what it would be in is. */
function isMissing(value: unknown, path: readonly PropertyKey[]): boolean {
  const key = path.at(-1);
  if (key === undefined) return false;
  let parent = value;
  for (const part of path.slice(0, -1)) parent = isRecord(parent) ? parent[String(part)] : undefined;
  return isRecord(parent) && !Object.hasOwn(parent, key);
}

/**
 * The keys that a schema allows; `undefined` where it does not tell them, or allows any. valibot has them in `entries`,
 * zod in `shape`; both note what they do with others.
 */
export function keysOf(schema: StandardSchema<object, object>): readonly string[] | undefined {
  const { entries, shape, type, _def, def } = schema as Loose;
  const rest = (def ?? _def)?.catchall;
  const isOpen =
    type === 'loose_object' ||
    type === 'object_with_rest' ||
    _def?.unknownKeys === 'passthrough' ||
    (rest !== undefined && (rest.def?.type ?? rest._def?.typeName) !== NEVER[rest.def === undefined ? 'v3' : 'v4']);
  const fields = entries ?? shape;
  return isOpen || !isRecord(fields) ? undefined : Object.keys(fields);
}

const NEVER = { v3: 'ZodNever', v4: 'never' } as const;

/** What schemas of valibot and zod may have, none of which a Standard Schema must. */
interface Loose {
  readonly entries?: unknown;
  readonly shape?: unknown;
  readonly type?: unknown;
  readonly def?: { readonly catchall?: Rest };
  readonly _def?: { readonly catchall?: Rest; readonly unknownKeys?: unknown };
}

interface Rest {
  readonly def?: { readonly type?: unknown };
  readonly _def?: { readonly typeName?: unknown };
}
