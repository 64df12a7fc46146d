/** What is wrong with a plugin's answer: types hold for who compiles, and plugins are also written in JavaScript. */
import type { LimitedResource, SpawnPlan } from '../ports.ts';

const PLAN: ReadonlySet<string> = new Set<keyof SpawnPlan>([
  'file',
  'argv',
  'environment',
  'descriptors',
  'ignoredSignals',
  'blockedSignals',
  'descriptorLimit',
  'account',
  'softLimits',
  'markFd',
]);

const LIMITED: ReadonlySet<string> = new Set<LimitedResource>([
  'as',
  'core',
  'cpu',
  'data',
  'fsize',
  'memlock',
  'nproc',
  'rss',
  'stack',
]);

/** What a service is confined by: another plugin may change it, and never lose it. */
const CONFINES = ['account', 'softLimits'] as const;

/** What is wrong with an answer of `prepareSpawn` about a plan; `undefined`: nothing. */
export function faultOfPlan(given: unknown, before: unknown): string | undefined {
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
    account: [given['account'] === undefined || isAccount(given['account']), 'numbers of a user and of groups'],
    softLimits: [given['softLimits'] === undefined || areLimits(given['softLimits']), 'bigints by their resources'],
  };
  for (const [key, [right, what]] of Object.entries(isRight)) {
    if (!right) return `the plan's ${key} must be ${what}, and is ${nameOf(given[key])}`;
  }
  const lost = CONFINES.find((key) => given[key] === undefined && isObject(before) && before[key] !== undefined);
  return lost === undefined ? undefined : `its answer must keep the plan's ${lost}, which another plugin has set`;
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

function isAccount(value: unknown): boolean {
  const isId = (id: unknown): boolean => Number.isInteger(id) && Number(id) >= 0 && Number(id) < 2 ** 32 - 1;
  if (!isObject(value)) return false;
  const { uid, gid, groups } = value;
  return isId(uid) && isId(gid) && Array.isArray(groups) && groups.every(isId);
}

function areLimits(value: unknown): boolean {
  const isLimit = (soft: unknown): boolean => typeof soft === 'bigint' && soft >= 0n && soft < 2n ** 64n;
  return isObject(value) && Object.entries(value).every(([name, soft]) => LIMITED.has(name) && isLimit(soft));
}

function nameOf(given: unknown): string {
  return given === null || given === undefined ? String(given) : Array.isArray(given) ? 'a list' : `a ${typeof given}`;
}
