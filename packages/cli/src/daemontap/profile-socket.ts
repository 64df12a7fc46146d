/**
 * The socket through which `daemontap plugins` asks a running kernel what its plugins have cost: who connects is told,
 * as JSON, and that is all. It lies in the runtime directory and is the kernel's user's alone.
 */
import { chmodSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { definePlugin } from '@daemontap/kernel';
import type { Plugin } from '@daemontap/kernel';
import { fileIdentity, hasCode } from '@daemontap/posix';
import type { ShownPlugin } from './stack-profile.ts';

const NAME = 'profile-socket';
const ANSWER_TIMEOUT_MS = 5000;
/** Where there is none: nothing runs, or what runs was not started by `daemontap up`. */
const NOBODY: readonly string[] = ['ENOENT', 'ECONNREFUSED'];

/** What is said of a running kernel. */
export interface RunningStack {
  readonly version: 1;
  readonly pid: number;
  readonly plugins: readonly ShownPlugin[];
}

/** A plugin that tells whoever connects about the stack. */
export function profileSocket(stack: () => readonly ShownPlugin[]): Plugin {
  return definePlugin({
    name: NAME,
    apiVersion: 1,
    apply({ hooks, log, stateDir, opened }) {
      // The one hook that is called once for each kernel of a scan directory, before anything is supervised.
      hooks.watchScanDirectory.tap(NAME, () => {
        const dir = stateDir();
        for (const { path: left, pid } of socketsIn(dir)) if (!isAlive(pid)) rmSync(left, { force: true });
        // Another kernel may wait for this scan directory, and has one, too.
        const path = join(dir, `${process.pid}.socket`);
        rmSync(path, { force: true });
        const server = createServer((client) => {
          const answer: RunningStack = { version: 1, pid: process.pid, plugins: stack() };
          client.on('error', () => {}); // it has gone away, and needs no answer
          client.setTimeout(ANSWER_TIMEOUT_MS, () => client.destroy());
          client.end(JSON.stringify(answer));
        });
        server.on('error', (cause) => log.warning(`unable to listen on ${path}`, { cause }));
        server.listen(path, () => chmodSync(path, 0o600));
        server.unref();
        opened({
          close() {
            server.close();
            rmSync(path, { force: true });
          },
        });
      });
    },
  })();
}

/**
 * Asks the kernel of a scan directory; `undefined`: no `daemontap up` runs there.
 * @throws the system's error when one may run and cannot be asked
 */
export async function askRunning(scanDir: string, runtimeRoot: string): Promise<RunningStack | undefined> {
  const sockets = socketsIn(join(runtimeRoot, fileIdentity(scanDir), NAME));
  const answers = (await Promise.all(sockets.map(({ path }) => ask(path)))).filter((answer) => answer !== undefined);
  // One that finds every service taken only waits.
  return answers.find(isSupervising) ?? answers[0];
}

function isSupervising({ plugins }: RunningStack): boolean {
  return plugins.some(({ hooks }) => hooks.some(({ hook, calls }) => hook === 'statusChanged' && calls > 0));
}

function socketsIn(dir: string): readonly { readonly path: string; readonly pid: number }[] {
  const names = existsSync(dir) ? readdirSync(dir) : [];
  return names.flatMap((name) => {
    const [, pid] = /^(\d+)\.socket$/.exec(name) ?? [];
    return pid === undefined ? [] : [{ path: join(dir, name), pid: Number(pid) }];
  });
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

async function ask(path: string): Promise<RunningStack | undefined> {
  const socket = connect(path);
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy(new Error(`${path} does not answer`)));
  const pieces: Buffer[] = [];
  try {
    for await (const piece of socket) pieces.push(piece as Buffer);
  } catch (error) {
    if (NOBODY.some((code) => hasCode(error, code))) return undefined;
    throw error;
  }
  return JSON.parse(Buffer.concat(pieces).toString()) as RunningStack; // of our own making, and our own user's
}
