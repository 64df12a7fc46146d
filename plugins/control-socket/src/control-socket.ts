/**
 * An HTTP API on a unix socket, for whoever may ask and tell a kernel's services: what they are, what becomes of them,
 * and commands. It is a control transport as any other; nothing that it fails in stops a service.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { definePlugin } from '@daemontap/kernel';
import type { Closeable, PluginFactory, ScanWatch } from '@daemontap/kernel';
import { isAccountName } from '@daemontap/posix';
import { lookUpAdmission, refusalOf } from './admission.ts';
import type { Admission } from './admission.ts';
import { Api } from './api.ts';
import { ApiServer } from './api-server.ts';
import { EventStreams } from './event-streams.ts';
import { ExitHistory } from './exit-history.ts';
import { Listener } from './listener.ts';
import { Services } from './services.ts';
import { isoTime } from './shown.ts';

/** Where the socket is, and who may use it. */
export interface ControlSocketOptions {
  /** Its path, absolute; the directory must be there. Default: `control-socket/http` in the kernel's runtime directory. */
  readonly path?: string;
  /** The mode of its file, as octal digits. Default: `0600`; `0660` with `group`; `0666` with `users`. */
  readonly mode?: string;
  /** The name of the group that its file belongs to, and whose members may use it. Default: none. */
  readonly group?: string;
  /** Names of accounts that may use it besides root and the kernel's own. Default: none. */
  readonly users?: string[];
}

/** What the socket is called in the plugin's state directory. */
export const SOCKET_NAME: string = 'http';

const name = v.pipe(v.string(), v.check(isAccountName, 'it must be the name of an account or group'));
const schema = v.strictObject({
  path: v.optional(v.pipe(v.string(), v.regex(/^\/[^\0]+$/, 'it must be an absolute path'))),
  mode: v.optional(
    v.pipe(v.string('it must be octal digits in quotes'), v.regex(/^0?[0-7]{3}$/, "it must be octal digits: '0660'")),
  ),
  group: v.optional(name),
  users: v.optional(v.array(name), []),
});

/** Answers requests on a socket. Where it cannot listen that is said, and tried again. */
export const controlSocket: PluginFactory<ControlSocketOptions> = definePlugin({
  name: 'control-socket',
  apiVersion: 1,
  meetsHelpers: true,
  schema,
  apply({ hooks, log, clock, readiness, stateDir, profiles }, options) {
    let scan: ScanWatch | undefined;
    let admission: Admission = { uids: new Set(), gid: undefined };
    let servers: readonly ApiServer[] = [];
    let hasFailed = false;
    const warn = (message: string, cause: unknown): void => log.warning(message, { cause });
    const streams = new EventStreams(clock);
    const history = new ExitHistory({ clock, stateDir, warn });
    const services = new Services({ clock, history, listener: streams });
    let ownRelease: string | undefined;
    const about = () => ({
      release: (ownRelease ??= releaseOf(import.meta.filename)),
      pid: process.pid,
      scanDir: scanDirOf(scan),
      ...began(),
    });
    const api = new Api({ clock, services, history, streams, about, profiles });
    const serve = (fd: number): Closeable => {
      const made = new ApiServer({
        fd,
        refusalOf: (client) => refusalOf(client, admission),
        handle: (call) => api.handle(call),
        onError(error) {
          if (!hasFailed) warn('unable to finish a request', error); // a client could repeat it without end
          hasFailed = true;
        },
      });
      servers = [...servers.filter(({ isIdle }) => !isIdle), made];
      return { close: () => made.stopListening() };
    };
    const listener = new Listener({
      ...{ clock, readiness, serve, warn },
      place() {
        const { path = join(stateDir(), SOCKET_NAME), mode, group, users } = options;
        admission = lookUpAdmission({ users, group });
        return { path, mode: modeOf({ mode, group, users }), gid: admission.gid };
      },
      isOfUse: () => services.all.some(({ directory }) => directory.role !== 'helper'),
    });
    /** Once nobody needs the socket any more, all that is under way ends. */
    const release = (): void => {
      listener.release();
      // What is told right now is for those who listen still.
      if (!listener.isHeld) queueMicrotask(end);
    };
    const end = (): void => {
      if (listener.isHeld) return;
      api.close();
      for (const server of servers) server.close();
      servers = [];
      history.close({ isOver: services.isOver });
    };

    hooks.watchScanDirectory.tap('control-socket', (watch) => {
      scan = watch;
      listener.hold();
      watch.opened(once(release));
    });
    hooks.openControl.tap('control-socket', (service, control) => {
      history.open(); // not before: another kernel may still write it
      listener.hold();
      services.open(service, control);
      const closed = (): void => {
        services.closed(service);
        release();
      };
      control.opened(once(closed));
    });
    hooks.statusChanged.tap('control-socket', (service, status) => services.statusChanged(service, status));
    hooks.serviceStarted.tap('control-socket', (service, pid) => services.serviceStarted(service, pid));
    hooks.startFailed.tap('control-socket', (service, error) => services.startFailed(service, error));
    hooks.serviceEnded.tap('control-socket', (service, pid, how) => services.serviceEnded(service, pid, how));
    hooks.serviceReleased.tap('control-socket', (service) => services.serviceReleased(service));
    hooks.reported.tap('control-socket', (report) => streams.reported(report));
  },
});

function once(close: () => void): Closeable {
  let isOpen = true;
  return {
    close() {
      if (isOpen) close();
      isOpen = false;
    },
  };
}

function modeOf({ mode, group, users }: Pick<v.InferOutput<typeof schema>, 'mode' | 'group' | 'users'>): number {
  if (mode !== undefined) return parseInt(mode, 8);
  if (users.length > 0) return 0o666;
  return group === undefined ? 0o600 : 0o660;
}

/** Of the package that this is in, or of the programs that it is bundled with: all have the same. */
function releaseOf(module: string): string {
  const manifest: unknown = JSON.parse(readFileSync(join(dirname(module), '../package.json'), 'utf8'));
  return String((manifest as { readonly version?: unknown }).version); // of our own making
}

function scanDirOf(watch: ScanWatch | undefined): string | null {
  try {
    const path = watch === undefined ? undefined : readlinkSync(watch.path);
    return path === undefined || path.endsWith(' (deleted)') ? null : path;
  } catch {
    return null;
  }
}

function began(): { readonly since: string; readonly sinceNs: string } {
  const sinceNs = BigInt(Math.round(performance.timeOrigin * 1000)) * 1000n;
  return { since: isoTime(sinceNs), sinceNs: String(sinceNs) };
}
