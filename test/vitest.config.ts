import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const rootDir = join(import.meta.dirname, '..');
const conditions = ['@daemontap/source', 'module', 'node', 'development|production'];
// Tests see the sources of the packages; what is built is met only as programs.
const shared = { root: rootDir, resolve: { conditions }, ssr: { resolve: { conditions } } };

export default defineConfig({
  ...shared,
  test: {
    // They wait for most of the time; with one a core they would take twice as long.
    maxWorkers: 4,
    reporters: ['default', join(import.meta.dirname, 'summary-reporter.ts')],
    projects: [
      {
        ...shared,
        test: {
          name: 'unit',
          testTimeout: 60_000, // a machine that others use, too, may take its time
          hookTimeout: 180_000,
          include: ['packages/*/src/**/*.test.ts', 'plugins/*/src/**/*.test.ts', 'test/*.test.ts'],
        },
      },
      {
        ...shared,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts', 'test/differential/**/*.test.ts', 'test/probes/**/*.test.ts'],
          pool: 'forks',
          testTimeout: 180_000,
          hookTimeout: 180_000,
          globalSetup: [join(import.meta.dirname, 'e2e/support/reference-packages.ts')],
        },
      },
    ],
  },
});
