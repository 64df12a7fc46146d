/** Directories that a test has for itself. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { chmodSync } from 'node:fs';

/** A directory that is gone after the test. */
export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string;
  /** The path of something in it. */
  join(...names: readonly string[]): string;
  /** Makes a directory in it, and those above, and returns its path. */
  makeDirectory(name: string): string;
  /** Makes a service directory whose `run` is a sh script of this one line, and returns its path. */
  makeService(name: string, command?: string): string;
}

/** Makes an empty directory that every account may enter and read. */
export function temporaryDirectory(): TemporaryDirectory {
  const path = mkdtempSync(join(tmpdir(), 'daemontap-test-'));
  chmodSync(path, 0o755);
  const inside = (...names: readonly string[]): string => join(path, ...names);
  return {
    path,
    join: inside,
    makeDirectory(name) {
      mkdirSync(inside(name), { recursive: true });
      return inside(name);
    },
    makeService(name, command = 'exec sleep 1000') {
      const file = inside(name, 'run');
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, `#!/bin/sh\n${command}\n`, { mode: 0o755 });
      return inside(name);
    },
    async [Symbol.asyncDispose]() {
      rmSync(path, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
