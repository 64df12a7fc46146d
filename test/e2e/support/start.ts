/** Programs that run in the background of a test, and the promise that nothing of them is left afterwards. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, constants, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { cleanEnvironment, commandLine } from './run.ts';
import type { Argument } from './run.ts';
import { until } from './until.ts';

/** How a process ended. */
export interface Exit {
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

/** A program that runs in the background; it and all that it has started are ended with the test. */
export interface StartedProgram extends AsyncDisposable {
  readonly pid: number;
  readonly exit: Promise<Exit>;
  /** What it and its descendants have written until now, one character for each byte. */
  stdout(): string;
  stderr(): string;
  /** The processes that live: itself and its descendants, as long as these keep its environment. */
  pids(): readonly number[];
}

/** What a program runs with. Its service directories are looked for below `cwd`. */
export interface StartOptions {
  readonly cwd: string;
  /** In place of {@link cleanEnvironment}. */
  readonly env?: Readonly<Record<string, string>>;
  /** Standard input: a descriptor; /dev/null by default. */
  readonly stdin?: number;
}

const MARK = 'DAEMONTAP_TEST_MARK';
const GRACE_MS = 3000;

/** Starts a program in the background. */
export function start(argv: readonly Argument[], { cwd, env = cleanEnvironment, stdin }: StartOptions): StartedProgram {
  const mark = `${MARK}=${randomUUID()}`;
  // To files: pipes would stay open as long as any service does.
  const outputDir = mkdtempSync(join(tmpdir(), 'daemontap-output-'));
  const stdoutPath = join(outputDir, 'stdout');
  const stderrPath = join(outputDir, 'stderr');
  const [stdout, stderr] = [openSync(stdoutPath, 'a'), openSync(stderrPath, 'a')];
  const [file = '', ...words] = commandLine(argv);
  const child = spawn(file, words, {
    cwd,
    env: { ...env, [MARK]: mark.slice(MARK.length + 1) },
    stdio: [stdin ?? 'ignore', stdout, stderr],
  });
  closeSync(stdout);
  closeSync(stderr);
  const exit = new Promise<Exit>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined }));
  });
  if (child.pid === undefined) throw new Error(`unable to start ${file}`);
  const isSupervise = argv.some((word) => basename(String(word)) === 'supervise');
  return {
    pid: child.pid,
    exit,
    stdout: () => readFileSync(stdoutPath, 'latin1'),
    stderr: () => readFileSync(stderrPath, 'latin1'),
    pids: () => markedPids(mark),
    async [Symbol.asyncDispose]() {
      try {
        // supervise leaves its service behind when it gets TERM: it is asked on its control FIFO, with its service.
        if (!isSupervise && child.exitCode === null) child.kill('SIGTERM');
        await endAll(mark, cwd);
      } finally {
        rmSync(outputDir, { recursive: true, force: true });
      }
    },
  };
}

/** Politely, then with KILL to the services, then with KILL to everything. */
async function endAll(mark: string, cwd: string): Promise<void> {
  const isOver = (): boolean => markedPids(mark).length === 0;
  for (const commands of ['dcx', 'dcxk']) {
    try {
      await until(() => isOver() || commandAll(cwd, commands), { describe: '', timeoutMs: GRACE_MS, everyMs: 100 });
      return;
    } catch {
      // They will not go this way.
    }
  }
  await until(
    () => {
      for (const pid of markedPids(mark)) killQuietly(pid);
      return isOver();
    },
    { describe: 'nothing of the test runs any more', state: () => markedPids(mark).map(describeProcess).join('; ') },
  );
}

/** Writes to every control FIFO with a reader, up to four directories down. */
function commandAll(directory: string, commands: string, depth = 4): undefined {
  for (const entry of readdirSync(directory, { withFileTypes: true, encoding: 'buffer' })) {
    // Names of other bytes are left to the last resort.
    const name = entry.name.toString();
    if (name === 'supervise') write(join(directory, name, 'control'), commands);
    else if (depth > 0 && entry.isDirectory()) commandAll(join(directory, name), commands, depth - 1);
  }
}

function write(path: string, text: string): void {
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return; // nobody there
  }
  try {
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
}

/** The live processes that have the mark in their environment, or in the one that is noted there in base64. */
function markedPids(mark: string): readonly number[] {
  const needles = [Buffer.from(mark), ...inBase64(mark)];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`);
        return needles.some((needle) => environment.includes(needle));
      } catch {
        return false; // ended meanwhile, or somebody else's
      }
    })
    .map(Number);
}

/** What is the same of a text in base64, whatever comes before and after it: it may begin at each of three places. */
function inBase64(text: string): readonly Buffer[] {
  return [0, 1, 2].map((before) => {
    const all = Buffer.from('-'.repeat(before) + text)
      .toString('base64')
      .replaceAll('=', '');
    return Buffer.from(all.slice(Math.ceil((before * 4) / 3), -1));
  });
}

function describeProcess(pid: number): string {
  try {
    return `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')}`;
  } catch {
    return String(pid);
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}
