/** A disk with little room, in a mount namespace that is gone with its last process: nothing has to be unmounted. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { run } from './run.ts';
import { start } from './start.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { until } from './until.ts';

/** A mounted disk. */
export interface SmallDisk extends AsyncDisposable {
  /** Where it is, for who is within the namespace. */
  readonly path: string;
  /** The same place, for who is not. */
  readonly seen: string;
  /** Words in front of a program that is to see it. */
  readonly through: readonly string[];
  /** Gives it more room. */
  grow(size: string): Promise<void>;
}

/** True where that can be had. */
export const canMount: boolean = process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0;

if (!canMount) console.log('skipped: full disks; they need root, and a mount namespace');

/** Mounts a disk of this size for an account. */
export async function smallDisk({ size, uid }: { readonly size: string; readonly uid: number }): Promise<SmallDisk> {
  const here = temporaryDirectory();
  const mounted = here.join('mounted');
  const script = `mount -t tmpfs -o size=${size},uid=${uid},mode=755 none "$1" && : >"$1/.there" && exec sleep 1000`;
  here.makeDirectory('mounted');
  const holder = start(['unshare', '-m', 'sh', '-c', script, 'sh', mounted], { cwd: here.path });
  const seen = `/proc/${holder.pid}/root${mounted}`;
  const disk: SmallDisk = {
    path: mounted,
    seen,
    through: ['nsenter', '-t', String(holder.pid), '-m'],
    async grow(larger) {
      const { code, stderr } = await run([...disk.through, 'mount', '-o', `remount,size=${larger}`, mounted]);
      if (code !== 0) throw new Error(stderr);
    },
    async [Symbol.asyncDispose]() {
      await holder[Symbol.asyncDispose]();
      await here[Symbol.asyncDispose]();
    },
  };
  await until(() => existsSync(`${seen}/.there`), { describe: 'a disk is mounted', state: holder.stderr });
  return disk;
}
