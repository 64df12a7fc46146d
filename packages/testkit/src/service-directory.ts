/** Real service directories, in a temporary place of their own. It starts nothing. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a service directory holds. */
export interface ServiceDirectoryOptions {
  /** The lines of `run` behind `#!/bin/sh`; default `exec sleep 1000`. */
  readonly run?: string;
  /** The lines of `log/run`; default: there is no log/. */
  readonly log?: string;
  /** Whether a file `down` lies in it; default false. */
  readonly down?: boolean;
  /** The directory's name; default `service`. */
  readonly name?: string;
}

/** A service directory that is gone after the test. */
export interface TemporaryService extends AsyncDisposable {
  /** The service directory itself. */
  readonly path: string;
  /** The directory that holds it and nothing else: it serves as a scan directory. */
  readonly scanPath: string;
  /** The path of something in the service directory. */
  join(...names: readonly string[]): string;
}

/**
 * Makes a service directory and removes it, with all that is in it then, when the test is done with it.
 * @throws the system's error when it cannot be made
 * @example
 * await using service = serviceDirectory({ run: 'exec sleep 1000', log: 'exec cat', down: true });
 * superviseService({ path: Buffer.from(service.path), ...options });
 */
export function serviceDirectory({
  run = 'exec sleep 1000',
  log,
  down = false,
  name = 'service',
}: ServiceDirectoryOptions = {}): TemporaryService {
  const scanPath = mkdtempSync(join(tmpdir(), 'daemontap-testkit-'));
  const path = join(scanPath, name);
  makeService(path, run);
  if (log !== undefined) makeService(join(path, 'log'), log);
  if (down) writeFileSync(join(path, 'down'), '');
  return {
    path,
    scanPath,
    join: (...names) => join(path, ...names),
    async [Symbol.asyncDispose]() {
      rmSync(scanPath, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function makeService(path: string, run: string): void {
  mkdirSync(path);
  writeFileSync(join(path, 'run'), `#!/bin/sh\n${run}\n`, { mode: 0o755 });
}
