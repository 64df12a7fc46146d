/** Runs a program to its end. */
import { spawn } from 'node:child_process';

/** An argument; bytes for what is not UTF-8. */
export type Argument = string | Uint8Array;

/** What a program runs with. */
export interface RunOptions {
  readonly cwd?: string;
  /** In place of {@link cleanEnvironment}. */
  readonly env?: Readonly<Record<string, string>>;
  /** Standard input; empty by default. */
  readonly input?: string | Uint8Array;
  /** After this it is killed; 30,000 by default. */
  readonly timeoutMs?: number;
}

/** How a program ended, and what it has written: one character for each byte. */
export interface Outcome {
  /** `undefined` when a signal ended it. */
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** What the transcripts of the contract were made with. */
export const cleanEnvironment: Readonly<Record<string, string>> = {
  PATH: '/usr/bin:/bin',
  TZ: 'UTC',
  LC_ALL: 'C',
  HOME: '/',
};

/** Runs a program and returns how it ended. */
export async function run(argv: readonly Argument[], options: RunOptions = {}): Promise<Outcome> {
  const [file = '', ...words] = commandLine(argv);
  const child = spawn(file, words, {
    cwd: options.cwd,
    env: options.env ?? cleanEnvironment,
    timeout: options.timeoutMs ?? 30_000,
    killSignal: 'SIGKILL',
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes));
  child.stdin.on('error', () => {}); // a program need not read its input
  child.stdin.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      resolve({
        code: code ?? undefined,
        signal: signal ?? undefined,
        stdout: Buffer.concat(stdout).toString('latin1'),
        stderr: Buffer.concat(stderr).toString('latin1'),
      });
    });
  });
}

/** Node passes arguments on as UTF-8 only: a shell makes other bytes of them. */
export function commandLine(argv: readonly Argument[]): readonly string[] {
  if (argv.every((word) => typeof word === 'string')) return argv;
  const bytes = (word: Argument): string =>
    [...Buffer.from(word)].map((each) => `\\${each.toString(8).padStart(3, '0')}`).join('');
  // The x keeps what a command substitution would strip: newlines at the end.
  const script = argv.map((word) => `w=$(printf '${bytes(word)}x'); set -- "$@" "\${w%x}"`);
  return ['/bin/sh', '-c', [...script, 'exec "$@"'].join('\n'), 'sh'];
}
