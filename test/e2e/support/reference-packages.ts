/**
 * Before the end-to-end tests: puts the programs in place that they compare with and look through, where that is
 * possible (Debian, as root), and says which are missing, so that no skip is silent.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Each Debian package with a program of it, and what cannot be tested without it. */
const packages = [
  { name: 'daemontools', program: 'supervise', skipped: 'every comparison with the C programs' },
  { name: 'ucspi-tcp', program: 'tcpserver', skipped: 'services under tcpserver' },
  { name: 'strace', program: 'strace', skipped: 'tests that watch system calls' },
  { name: 'procps', program: 'ps', skipped: 'tests that read ps' },
  { name: 'curl', program: 'curl', skipped: 'the control socket as docs/control-socket.md asks it' },
] as const;

/** Vitest calls this once, before the first file. */
export function setup(): void {
  const wanted = missing();
  if (wanted.length > 0 && process.getuid?.() === 0 && isInstalled('apt-get')) {
    const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const apt = (seconds: number, ...words: readonly string[]): void => {
      spawnSync('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=60', ...words], {
        env: environment,
        stdio: 'ignore',
        timeout: seconds * 1000,
      });
    };
    apt(120, 'update');
    // One by one: a package that does not exist here must not keep the others away.
    for (const { name } of wanted) apt(120, 'install', '-y', '--no-install-recommends', name);
  }
  for (const { name, program, skipped } of missing()) {
    console.log(`not installed: ${program} (Debian package ${name}); skipped: ${skipped}`);
  }
}

function missing(): (typeof packages)[number][] {
  return packages.filter(({ name, program }) => {
    if (name === 'daemontools' && process.env['DAEMONTOOLS_BIN'] !== undefined) return false;
    return !isInstalled(program);
  });
}

function isInstalled(program: string): boolean {
  const path = process.env['PATH'] ?? '';
  return [...path.split(delimiter).filter((each) => !each.includes('node_modules')), '/usr/bin', '/usr/sbin'].some(
    (directory) => {
      try {
        accessSync(join(directory, program), constants.X_OK);
        return true;
      } catch {
        return false;
      }
    },
  );
}
