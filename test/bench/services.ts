/** A scan directory of many services that note each start, for benchmarks; and how long processes have run. */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The directory and what has been started in it. */
export interface ManyServices {
  readonly workDir: string;
  readonly scanDir: string;
  /** `PID INDEX` of each start since the last {@link ManyServices.forget}. */
  startedLines(): readonly string[];
  /** Begins to count anew, once the directories count as finished and the machine has calmed down. */
  forget(): Promise<void>;
  /** Resolves once every service has started. */
  allStarted(): Promise<void>;
  remove(): void;
}

/** Makes so many services. */
export function manyServices(count: number): ManyServices {
  const workDir = mkdtempSync(join(tmpdir(), 'daemontap-bench-'));
  const scanDir = join(workDir, 'services');
  const startedPath = join(workDir, 'started');
  for (let index = 0; index < count; index++) {
    const directory = join(scanDir, `s${index}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'run'), `#!/bin/sh\necho $$ ${index} >>${startedPath}\nexec sleep 1000000\n`);
    chmodSync(join(directory, 'run'), 0o755);
  }
  const startedLines = (): readonly string[] => readFileSync(startedPath, 'latin1').split('\n').slice(0, -1);
  return {
    workDir,
    scanDir,
    startedLines,
    async forget() {
      writeFileSync(startedPath, '');
      await sleep(2500);
    },
    async allStarted() {
      while (startedLines().length < count) await sleep(2);
    },
    remove: () => rmSync(workDir, { recursive: true, force: true }),
  };
}

/** Milliseconds that all threads of a process have run: exact, where the clock ticks of /proc/PID/stat are a guess. */
export function runTime(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  return sum(
    threads.map((tid) => Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'latin1').split(' ')[0]) / 1e6),
  );
}

/** All of them together. */
export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** A figure of /proc/PID/smaps_rollup, in megabytes. */
export function rollup(pid: number, key: string): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  return Number(new RegExp(`^${key}: +(\\d+)`, 'm').exec(text)?.[1] ?? 0) / 1024;
}
