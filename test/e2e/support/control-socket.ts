/** A `daemontap up` in a directory of a test's own, and the ways to its control socket. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, events } from '../../../plugins/control-socket/src/client.test-support.ts';
import type { CheckedAnswer, CheckedEvent, Question } from '../../../plugins/control-socket/src/client.test-support.ts';
import { daemontap } from './implementations.ts';
import type { Argument } from './run.ts';
import { start } from './start.ts';
import type { StartedProgram } from './start.ts';
import { clientsIn, serverEnvironment } from './supervised.ts';
import type { Clients } from './supervised.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import type { TemporaryDirectory } from './temporary-directory.ts';
import { until } from './until.ts';

/** A scan directory, and whoever supervises it. */
export interface SocketPlace extends AsyncDisposable {
  readonly here: TemporaryDirectory;
  readonly scanDir: string;
  /** svc, svstat and svok, called in the scan directory. */
  readonly clients: Clients;
  /** Starts another `daemontap up`. */
  up(): StartedProgram;
  /** The socket's path, once somebody listens there. */
  socketPath(): Promise<string>;
  ask<T = unknown>(asked: string | Omit<Question, 'socketPath'>): Promise<CheckedAnswer<T>>;
  events(target?: string): Promise<AsyncGenerator<CheckedEvent>>;
  /** Waits until a service runs: the first start comes once its directory has been quiet. */
  runs(name: string): Promise<void>;
}

/** What is in the place. */
export interface SocketPlaceOptions {
  /** Of the plugin; `undefined`: there is no configuration. */
  readonly socket?: (here: TemporaryDirectory) => object;
  /** What each service runs, by its name, `/log` included. */
  readonly services?: Readonly<Record<string, string>>;
  /** Words in front of `daemontap up`. */
  readonly through?: readonly Argument[];
}

/** Makes a scan directory; nobody supervises it yet. */
export function socketPlace({
  socket,
  services = { finger: 'exec sleep 1000' },
  through = [],
}: SocketPlaceOptions = {}): SocketPlace {
  const here = temporaryDirectory();
  const scanDir = here.makeDirectory('service');
  for (const [name, command] of Object.entries(services)) here.makeService(join('service', name), command);
  const options = socket?.(here);
  if (options !== undefined) {
    const config = { plugins: [['control-socket', options]] };
    writeFileSync(join(scanDir, 'daemontap.config.json'), JSON.stringify(config));
  }
  const env = serverEnvironment(daemontap, here);
  const started: StartedProgram[] = [];
  const find = (): string | undefined => {
    if (options !== undefined && 'path' in options) return String(options.path);
    const root = here.join('runtime');
    const [kernel] = existsSync(root) ? readdirSync(root) : [];
    return kernel === undefined ? undefined : join(root, kernel, 'control-socket/http');
  };
  const socketPath = (): Promise<string> =>
    until(
      async () => {
        const path = find();
        if (path === undefined) return undefined;
        return ask({ socketPath: path, target: '/v1' }).then(
          () => path,
          () => undefined,
        );
      },
      { describe: 'the control socket answers', state: () => started.map((each) => each.stderr()) },
    );
  const place: SocketPlace = {
    here,
    scanDir,
    clients: clientsIn(daemontap, scanDir),
    up() {
      const program = start([...through, join(daemontap.programDir, 'daemontap'), 'up', scanDir], {
        cwd: here.path,
        env,
      });
      started.push(program);
      return program;
    },
    socketPath,
    async ask(asked) {
      const question = typeof asked === 'string' ? { target: asked } : asked;
      return ask({ ...question, socketPath: await socketPath() });
    },
    async runs(name) {
      const target = `/v1/services/${name}/wait?for=up`;
      await until(async () => (await place.ask(target)).status === 200, { describe: `${name} runs` });
    },
    events: async (target = '/v1/events') => events({ target, socketPath: await socketPath() }),
    async [Symbol.asyncDispose]() {
      for (const program of started) await program[Symbol.asyncDispose]();
      await here[Symbol.asyncDispose]();
    },
  };
  return place;
}
