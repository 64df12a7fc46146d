/** Plugins as `npm create daemontap-plugin` makes them, outside of the repository, with our packages as npm has them. */
import { writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { machinePath, neededBy, npm, packInto, timed } from './packages.ts';
import { run } from './run.ts';
import type { Outcome } from './run.ts';
import type { TemporaryDirectory } from './temporary-directory.ts';

/** A plugin that is to be created. */
export interface PluginWish {
  /** As it is given to the creator: `rotate`, `@scope/rotate`. */
  readonly name: string;
  readonly kind: string;
}

/** Packages that were created, with all that they depend on installed above them. */
export interface CreatedPlugins {
  /** What holds `node_modules` and, in `plugins/`, the packages. */
  readonly dir: string;
  /** Where the tarballs of our own packages are. */
  readonly tarballDir: string;
  /** The tarball of one of our own packages. @throws Error when it was not packed */
  tarballOf(name: string): string;
  /** The directory of a package, by the name that was given. */
  dirOf(name: string): string;
  /** Runs one of a package's scripts, with the machine's npm on the Node of {@link CreatePluginsOptions}. */
  runScript(name: string, script: string): Promise<Outcome>;
}

/** The options of {@link createPlugins}. */
export interface CreatePluginsOptions {
  readonly here: TemporaryDirectory;
  readonly wishes: readonly PluginWish[];
  /** The directory of the Node that npm, the creator and the scripts run on; default: the machine's. */
  readonly nodeDir?: string | undefined;
}

/** Installs the creator alone, from its tarball. */
export async function installCreator(here: TemporaryDirectory): Promise<void> {
  const [creator] = await packInto(here.makeDirectory('creator'), ['create-daemontap-plugin']);
  if (creator === undefined) throw new Error('create-daemontap-plugin was not packed');
  await npm(['install', '--prefix', here.join('creator'), here.join('creator', creator.filename)]);
}

/** Runs the creator that was installed. */
export function runCreator(
  here: TemporaryDirectory,
  words: readonly string[],
  { cwd = here.path, nodeDir }: { readonly cwd?: string; readonly nodeDir?: string | undefined } = {},
): Promise<Outcome> {
  const env = { PATH: pathWith(nodeDir) };
  return run([here.join('creator/node_modules/.bin/create-daemontap-plugin'), ...words], { cwd, env });
}

/** Creates plugins and installs what they and `daemontap` need: one `node_modules` for all of them. */
export async function createPlugins({ here, wishes, nodeDir }: CreatePluginsOptions): Promise<CreatedPlugins> {
  const [dir, tarballDir] = [here.makeDirectory('made'), here.makeDirectory('tarballs')];
  const needed = neededBy('@daemontap/cli', '@daemontap/testkit');
  const [packed] = await Promise.all([
    timed('npm pack of all that plugins need', () => packInto(tarballDir, needed)),
    timed('npm install of the creator', () => installCreator(here)),
  ]);
  const folderOf = (name: string): string => name.replace(/^@.*\//, '');
  const dirOf = (name: string): string => join(dir, 'plugins', folderOf(name));
  for (const { name, kind } of wishes) {
    const outcome = await runCreator(here, [name, dirOf(name), '--kind', kind], { nodeDir });
    if (outcome.code !== 0) throw new Error(`unable to create ${name}: ${outcome.stderr}`);
  }
  // They are not on npm: each of our own packages is its tarball, whoever asks for it.
  const tarballs = packed.map(({ name, filename }) => [name, `file:${join(tarballDir, filename)}`]);
  const manifest = { private: true, workspaces: ['plugins/*'], overrides: Object.fromEntries(tarballs) };
  writeFileSync(join(dir, 'package.json'), JSON.stringify(manifest, undefined, 2));
  await timed('npm install of what the plugins need', () => npm(['install'], { cwd: dir }));
  return {
    dir,
    tarballDir,
    tarballOf(name) {
      const found = packed.find((each) => each.name === name);
      if (found === undefined) throw new Error(`${name} was not packed`);
      return join(tarballDir, found.filename);
    },
    dirOf,
    runScript: (name, script) =>
      run(['npm', 'run', '--silent', script], {
        cwd: dirOf(name),
        // Without what this run of vitest has set: the scripts run another one.
        env: { PATH: pathWith(nodeDir), HOME: dir, NO_COLOR: '1' },
        timeoutMs: 120_000,
      }),
  };
}

function pathWith(nodeDir: string | undefined): string {
  return nodeDir === undefined ? machinePath() : [nodeDir, machinePath()].join(delimiter);
}
