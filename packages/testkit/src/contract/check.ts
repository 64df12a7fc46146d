/** What a contract is made of, and how it becomes tests. It is the testkit's only place that knows a test framework. */

/** One thing that every plugin of a kind keeps. It can be run by itself, under any test framework or none. */
export interface ContractCheck {
  /** What is kept, as a sentence whose subject is the plugin. */
  readonly title: string;
  /** Rejects with what was not kept. */
  run(): Promise<void>;
}

/** Above every deadline within a check, so that the check can say what it waited for. */
const TEST_TIMEOUT_MS = 60_000;

/** vitest where it is installed: it is asked for by those who declare tests, and by nobody else. */
const found: { readonly vitest: Vitest } | { readonly cause: unknown } = await import('vitest').then(
  (vitest) => ({ vitest }),
  (cause: unknown) => ({ cause }),
);

interface Vitest {
  readonly describe: (title: string, body: () => void) => unknown;
  readonly test: (title: string, options: { readonly timeout: number }, body: () => Promise<void>) => unknown;
}

/** Makes a vitest test of each check. @throws Error when vitest is not installed */
export function declareTests(title: string, checks: readonly ContractCheck[]): void {
  if ('cause' in found) throw new Error('unable to declare tests: vitest cannot be loaded', { cause: found.cause });
  const { describe, test } = found.vitest;
  describe(title, () => {
    for (const check of checks) test(check.title, { timeout: TEST_TIMEOUT_MS }, () => check.run());
  });
}

/** A check that failed, and with what. */
export interface FailedCheck {
  /** The check's own. */
  readonly title: string;
  /** What the check has rejected with. */
  readonly reason: unknown;
}

/**
 * Runs checks one after the other, without a test framework, and tells which of them fail.
 * @example
 * const failed = await failedChecks(logSinkChecks({ name: 'log-pipe', create: () => logPipe() }));
 * for (const { title, reason } of failed) console.error(title, reason);
 */
export async function failedChecks(checks: readonly ContractCheck[]): Promise<readonly FailedCheck[]> {
  const failed: FailedCheck[] = [];
  for (const check of checks) {
    await check.run().catch((reason: unknown) => failed.push({ title: check.title, reason }));
  }
  return failed;
}
