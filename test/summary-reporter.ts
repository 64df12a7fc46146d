/** Ends a test run with one line of figures that is easy to find, for people and for machines. */
import type { Reporter, TestModule } from 'vitest/node';

/** Prints `tests: N passed, N failed, N skipped`, alone on its line, after everything else. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0, pending: 0 };
    for (const module of modules) {
      // A file that could not be loaded, or a hook that failed, is a failure even where no test has run.
      counts.failed += module.errors().length;
      for (const test of module.children.allTests()) counts[test.result().state]++;
      for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
    }
    const skipped = counts.skipped + counts.pending;
    process.stdout.write(`\ntests: ${counts.passed} passed, ${counts.failed} failed, ${skipped} skipped\n`);
  }
}
