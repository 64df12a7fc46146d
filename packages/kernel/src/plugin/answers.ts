/** What is wrong with a plugin's answer: types hold for who compiles, and plugins are also written in JavaScript. */
import type { SpawnPlan } from '../ports.ts';

const PLAN: ReadonlySet<string> = new Set<keyof SpawnPlan>([
  'file',
  'argv',
  'environment',
  'descriptors',
  'ignoredSignals',
  'blockedSignals',
  'descriptorLimit',
  'markFd',
]);

/** What is wrong with an answer of `prepareSpawn`; `undefined`: nothing. */
export function faultOfPlan(given: unknown): string | undefined {
  if (!isObject(given)) return `its answer must be the plan, and is ${nameOf(given)}`;
  const unknown = Object.keys(given).find((key) => !PLAN.has(key));
  // What is not carried out must not be asked for: it may be what a service is to be confined by.
  if (unknown !== undefined) return `a plan has no ${unknown}, only ${[...PLAN].join(', ')}`;
  const isRight: Readonly<Record<string, readonly [isRight: boolean, what: string]>> = {
    file: [isText(given['file']), 'a Buffer without a zero byte'],
    argv: [areTexts(given['argv']), 'a list of Buffers without zero bytes'],
    environment: [areTexts(given['environment']), 'a list of Buffers without zero bytes'],
    descriptors: [arePairs(given['descriptors']), 'a list of pairs of descriptors'],
    ignoredSignals: [typeof given['ignoredSignals'] === 'bigint', 'a bigint'],
    blockedSignals: [typeof given['blockedSignals'] === 'bigint', 'a bigint'],
  };
  for (const [key, [right, what]] of Object.entries(isRight)) {
    if (!right) return `the plan's ${key} must be ${what}, and is ${nameOf(given[key])}`;
  }
  return undefined;
}

/** What is wrong with an answer of `openLogSink`; `undefined`: nothing. */
export function faultOfSink(given: unknown): string | undefined {
  if (given === undefined) return undefined;
  if (!isObject(given)) return `its answer must be a log sink or undefined, and is ${nameOf(given)}`;
  const missing = ['openOutput', 'end', 'close'].find((name) => typeof given[name] !== 'function');
  return missing === undefined ? undefined : `the log sink must have a function ${missing}`;
}

function isObject(given: unknown): given is Readonly<Record<string, unknown>> {
  return typeof given === 'object' && given !== null;
}

function isText(value: unknown): boolean {
  return value instanceof Uint8Array && !value.includes(0);
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(isText);
}

function arePairs(value: unknown): boolean {
  const isPair = (each: unknown): boolean =>
    Array.isArray(each) && each.length === 2 && each.every((fd) => Number.isInteger(fd) && fd >= 0);
  return Array.isArray(value) && value.every(isPair);
}

function nameOf(given: unknown): string {
  return given === null || given === undefined ? String(given) : Array.isArray(given) ? 'a list' : `a ${typeof given}`;
}
