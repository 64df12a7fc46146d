/**
 * Follows the recipes of docs/faq.md as its reader would: in a shell, in a place where nothing else runs and from which
 * nothing gets out.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Recipe, Step } from './faq-page.ts';
import type { Implementation } from './implementations.ts';
import { childrenOf, serverEnvironment } from './supervised.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { until } from './until.ts';

/** The reader's shell is the first process of a namespace: with it ends whatever it has started, and every mount. */
const unshareWords = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc'] as const;

/** Why the recipes cannot be followed here, or `undefined` when they can. */
export const obstacle: string | undefined = findObstacle();

function findObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'they need root';
  const { status } = spawnSync('unshare', [...unshareWords, '/bin/sh', '-c', 'mount --bind /etc/group /etc/passwd']);
  return status === 0 ? undefined : 'they need unshare, with namespaces of mounts and processes';
}

/** A command is waited for so long, and a whole chapter: within vitest's limit, after which nothing is cleared away. */
const COMMAND_LIMIT_MS = 60_000;
const CHAPTER_LIMIT_MS = 150_000;

/** A shell in a place of its own. */
export interface Session extends AsyncDisposable {
  /** Writes a file whose path is as on the page. */
  write(path: string, content: string): void;
  /** Types a command and returns what it prints. With `seen`, it is interrupted by Ctrl-C as soon as that is true. */
  type(command: string, seen?: (output: string) => boolean): Promise<string>;
  /** What the svscan has said that the session has started, and the services that share its output. */
  messages(): string;
  /** How long the next thing may take. */
  restMs(): number;
}

/** How a session begins. */
export interface SessionOptions {
  readonly implementation: Implementation;
  /** False when the reader starts svscan. */
  readonly startsSvscan: boolean;
}

/**
 * Opens a shell with an implementation's programs first on PATH, a `/service` and a `/srv` of its own, and an account
 * qmaill. Paths and the port are put in their places in what goes in and out.
 */
export async function openSession({ implementation, startsSvscan }: SessionOptions): Promise<Session> {
  const here = temporaryDirectory();
  for (const name of ['service', 'srv', 'output', 'etc']) mkdirSync(here.join(name));
  const port = await freePort();
  writeFileSync(here.join('etc/passwd'), `${withoutAccount('/etc/passwd')}qmaill:x:7997:7997::/:/usr/sbin/nologin\n`);
  writeFileSync(here.join('etc/group'), `${withoutAccount('/etc/group')}qmaill:x:7997:\n`);
  const unshare = spawn('unshare', [...unshareWords, '/bin/sh'], {
    cwd: here.path,
    env: serverEnvironment(implementation, here),
    stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
  });
  const [stdin, , stderr, answers] = unshare.stdio;
  if (stdin === null || stderr === null || answers === null || answers === undefined) throw new Error('no shell');
  const ended = new Promise<void>((resolve) => unshare.on('exit', () => resolve()));
  stdin.on('error', () => {}); // what it was to read is told by what it has not answered
  let complaints = '';
  stderr.on('data', (bytes: Buffer) => (complaints += bytes.toString('latin1')));
  let answered = 0;
  answers.on('data', (bytes: Buffer) => (answered += bytes.length));
  const inward = (text: string): string =>
    text.replaceAll(/(?<![\w./-])\/(?=(?:service|srv)(?![\w-]))/g, `${here.path}/`).replaceAll('7979', String(port));
  const outward = (text: string): string => text.replaceAll(here.path, '').replaceAll(String(port), '7979');

  const deadlineMs = performance.now() + CHAPTER_LIMIT_MS;
  const restMs = (): number => Math.max(0, Math.min(COMMAND_LIMIT_MS, deadlineMs - performance.now()));
  let typed = 0;
  const type = async (command: string, seen?: (output: string) => boolean): Promise<string> => {
    const file = here.join('output', String(++typed));
    writeFileSync(file, '');
    const output = (): string => outward(readFileSync(file, 'latin1'));
    const [shell] = childrenOf(unshare.pid ?? 0);
    const others = seen === undefined || shell === undefined ? [] : childrenOf(shell);
    stdin.write(`{ ${command}\n} </dev/null >>${file} 2>&1 3>&-; printf . >&3\n`);
    const limits = {
      describe: `"${command}" has ended`,
      timeoutMs: restMs(),
      state: () => output() + complaints,
    };
    if (seen !== undefined && shell !== undefined) {
      await until(() => seen(output()), { ...limits, describe: `"${command}" prints what the page shows` });
      for (const pid of childrenOf(shell)) if (!others.includes(pid)) send(pid, 'SIGINT');
    }
    await until(() => answered === typed, limits);
    return output();
  };
  const session: Session = {
    write: (path, content) => writeFileSync(inward(path), inward(content)),
    type: (command, seen) => type(inward(command), seen),
    messages: () => (startsSvscan ? outward(readFileSync(here.join('messages'), 'latin1')) : ''),
    restMs,
    async [Symbol.asyncDispose]() {
      const shells = childrenOf(unshare.pid ?? 0);
      for (const pid of shells) send(pid, 'SIGKILL');
      if (shells.length === 0) unshare.kill('SIGKILL');
      await ended;
      await here[Symbol.asyncDispose]();
    },
  };
  try {
    await type(
      `mount --bind ${here.join('etc/passwd')} /etc/passwd && mount --bind ${here.join('etc/group')} /etc/group`,
    );
    if (startsSvscan) await type(`svscan ${here.join('service')} >${here.join('messages')} 2>&1 &`);
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
  return session;
}

/** The lines of a file of accounts, but for one of our own account's name. */
function withoutAccount(path: string): string {
  return readFileSync(path, 'latin1').replaceAll(/^qmaill:.*\n/gm, '');
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo; // it listens on TCP
      server.close(() => resolve(port));
    });
  });
}

/** What differs from run to run, and what stands for it. Pids are compared by themselves. */
const masks: readonly (readonly [RegExp, string])[] = [
  [/(?<=\(pid )\d+/g, 'N'],
  [/\b\d+(?= seconds)/g, 'N'],
  [/@[0-9a-f]{24}/g, '@STAMP'],
  [/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9}\b/g, 'DATE'],
  [/\[\d\d:\d\d:\d\d\.\d{3}\]/g, '[TIME]'],
  [/[ ?]+$/gm, ''],
];

/** Compares what is printed with the page, whose pids stand for those of the run, one for one. */
export class Comparison {
  readonly #pids = new Map<string, string>();

  /** True when the output is what the page shows; the pids in it are kept in mind then. */
  agrees(output: string, expected: string): boolean {
    if (mask(output) !== mask(expected)) return false;
    const [actual, shown] = [pidsOf(output), pidsOf(expected)];
    const known = new Map(this.#pids);
    for (const [index, page] of shown.entries()) {
      const pid = actual[index] ?? '';
      const taken = [...known].some(([other, of]) => of === pid && other !== page);
      if (taken || (known.get(page) ?? pid) !== pid) return false;
      known.set(page, pid);
    }
    for (const [page, pid] of known) this.#pids.set(page, pid);
    return true;
  }

  /** A command of the page with the pids of this run. */
  translate(command: string): string {
    return command.replaceAll(/(?<=\bkill |-p )\d+\b/g, (word) => this.#pids.get(word) ?? word);
  }
}

function mask(text: string): string {
  return masks.reduce((masked, [pattern, word]) => masked.replaceAll(pattern, word), text);
}

function pidsOf(text: string): readonly string[] {
  return [...text.matchAll(/\(pid (\d+)\)/g)].map(([, pid = '']) => pid);
}

/** Follows the recipes of a chapter in order. @throws where something else is printed than the page shows */
export async function follow(recipes: readonly Recipe[], implementation: Implementation): Promise<void> {
  const steps = recipes.flatMap(({ blocks }) => blocks.flatMap((each) => (each.kind === 'file' ? [] : each.steps)));
  const startsSvscan = !steps.some(({ command }) => /\bsvscan \/service\b/.test(command));
  await using session = await openSession({ implementation, startsSvscan });
  const comparison = new Comparison();
  for (const block of recipes.flatMap(({ blocks }) => blocks)) {
    if (block.kind === 'file') session.write(block.path, block.content);
    else await followTranscript(session, comparison, block.steps);
  }
  if (session.messages() !== '') throw new Error(`svscan and its services said: ${session.messages()}`);
}

/**
 * Follows the commands of a block. Where the page sleeps and then looks, what is looked at is asked for again and again
 * instead, until it is as on the page: until the next command that prints nothing, and so may change something.
 */
async function followTranscript(session: Session, comparison: Comparison, steps: readonly Step[]): Promise<void> {
  let mayLookAgain = false;
  for (const [index, { command, expected }] of steps.entries()) {
    if (/^sleep \d+$/.test(command)) {
      mayLookAgain = steps[index + 1]?.expected !== '';
      if (mayLookAgain) continue;
    }
    const typed = comparison.translate(command).replaceAll('do sleep 1; done', 'do sleep 0.1; done');
    const isInterrupted = expected.endsWith('^C\n');
    const shown = isInterrupted ? expected.slice(0, -'^C\n'.length) : expected;
    let output = '';
    const agrees = async (): Promise<boolean> => {
      output = await session.type(typed, isInterrupted ? (text) => mask(text) === mask(shown) : undefined);
      return comparison.agrees(mayLookAgain ? withoutGrowth(output, { command, shown }) : output, shown);
    };
    await until(agrees, {
      describe: `"${command}" prints\n${shown}`,
      timeoutMs: mayLookAgain ? session.restMs() : 0,
      everyMs: 150,
      state: () => `\n${output}\nsvscan and its services: ${session.messages()}`,
    });
    if (expected === '') mayLookAgain = false;
  }
}

/** A log that is looked at later than on the page, as far as the page shows it. */
function withoutGrowth(
  output: string,
  { command, shown }: { readonly command: string; readonly shown: string },
): string {
  const lines = output.split('\n');
  const count = shown.split('\n').length - 1;
  if (/^cat \S+\/current$/.test(command) && lines.length > count) return `${lines.slice(0, count).join('\n')}\n`;
  const isCounted = /^wc -l \S+\/current$/.test(command) && Number.parseInt(output) >= Number.parseInt(shown);
  return isCounted ? output.replace(/^\d+/, String(Number.parseInt(shown))) : output;
}

/** A process that has ended by itself meanwhile needs no signal. */
function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
