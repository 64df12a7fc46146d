/** The packages of this repository as npm would publish them, and the npm of the machine. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** What the tests look at in a manifest. */
export interface Manifest {
  readonly name: string;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** What `npm pack --json` says of a package. */
export interface Packed {
  readonly name: string;
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string; readonly mode: number }[];
}

/** A package of this repository. */
export interface Workspace {
  readonly dir: string;
  readonly manifest: Manifest;
}

const rootDir = join(import.meta.dirname, '../../..');

/** How long one run of npm may take: three Nodes, over a slow line. */
export const NPM_TIMEOUT_MS = 300_000;

/** All packages of this repository. */
export const workspaces: readonly Workspace[] = ['packages', 'plugins'].flatMap((kind) =>
  readdirSync(join(rootDir, kind)).map((folder) => {
    const dir = join(rootDir, kind, folder);
    return { dir, manifest: JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as Manifest }; // our own files
  }),
);

/** The package of that name. @throws Error when there is none */
export function workspaceCalled(name: string): Workspace {
  const found = workspaces.find(({ manifest }) => manifest.name === name);
  if (found === undefined) throw new Error(`there is no workspace ${name}`);
  return found;
}

/** The packages that must be packed so that these can be installed, as their manifests say; these among them. */
export function neededBy(...names: readonly string[]): readonly string[] {
  const found = new Set(names);
  for (const each of found) {
    // walks what is added meanwhile, too
    for (const dependency of Object.keys(workspaceCalled(each).manifest.dependencies ?? {})) {
      if (workspaces.some(({ manifest }) => manifest.name === dependency)) found.add(dependency);
    }
  }
  return [...found].toSorted();
}

/** Packs packages as `npm publish` would, into a directory that is there. */
export async function packInto(directory: string, names: readonly string[]): Promise<readonly Packed[]> {
  const chosen = names.flatMap((name) => ['--workspace', name]);
  const json = await npm(['pack', ...chosen, '--pack-destination', directory, '--ignore-scripts', '--json']);
  return Object.values(JSON.parse(json) as readonly Packed[]); // npm's own
}

/** Packs a package that is not of this repository, and returns the path of its tarball. */
export async function packDir(dir: string, directory: string): Promise<string> {
  const json = await npm(['pack', '--pack-destination', directory, '--ignore-scripts', '--json'], { cwd: dir });
  const [packed] = Object.values(JSON.parse(json) as readonly Packed[]); // npm's own
  if (packed === undefined) throw new Error(`${dir} was not packed`);
  return join(directory, packed.filename);
}

/** The PATH without what npm has put in front of it: the machine's own Node and npm come first. */
export function machinePath(): string {
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((each) => !each.includes('node_modules'));
  return path.join(delimiter);
}

/**
 * Runs the machine's npm, on the machine's Node, with the caller's environment: it may have to know proxies and
 * certificates. Returns what it has written to standard output.
 * @throws Error with its standard error when it fails
 */
export async function npm(words: readonly string[], { cwd = rootDir } = {}): Promise<string> {
  const retries = [
    '--fetch-retries=2',
    '--fetch-retry-mintimeout=1000',
    '--fetch-retry-maxtimeout=5000',
    '--fetch-timeout=30000',
  ];
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--no-update-notifier', '--ignore-scripts'];
  // Modes follow the umask, and a test is no place to find out that the developer's is 077.
  const child = spawn('/bin/sh', ['-c', 'umask 022; exec npm "$@"', 'npm', ...words, ...quiet, ...retries], {
    cwd,
    env: { ...process.env, PATH: machinePath() },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: NPM_TIMEOUT_MS,
  });
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(`unable to run npm ${words[0]} (${code}): ${Buffer.concat(stderr).toString()}`);
  return Buffer.concat(stdout).toString();
}

/** Asks once whether npm reaches the registry; it would try each of many packages for a while. `undefined`: it does. */
export async function registryObstacle(): Promise<string | undefined> {
  try {
    await npm(['ping']);
    return undefined;
  } catch (error) {
    const [code] =
      /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT)\b/.exec(
        String(error),
      ) ?? [];
    // Any other failure is no reason to skip: the installation shows it.
    return code === undefined ? undefined : `npm cannot reach the registry (${code})`;
  }
}

/** Does something and says how long it took. */
export async function timed<T>(what: string, action: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  try {
    return await action();
  } finally {
    console.log(`${what}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  }
}
