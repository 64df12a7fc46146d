/** Clients of the control socket that keep to nothing, made of a seed: each is one of a few kinds, with its own luck. */
import { setTimeout as sleep } from 'node:timers/promises';
import { answersIn, rawConnection } from '../../../plugins/control-socket/src/raw.test-support.ts';
import type { RawConnection } from '../../../plugins/control-socket/src/raw.test-support.ts';

/** Luck that can be had again. */
export interface Luck {
  /** A whole number from 0 to below this. */
  below(count: number): number;
  /** One of these. */
  one<T>(choices: readonly T[]): T;
}

/** Luck by a seed (mulberry32). */
export function luckOf(seed: number): Luck {
  let state = seed >>> 0;
  const below = (count: number): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % count;
  };
  return {
    below,
    one(choices) {
      const chosen = choices[below(choices.length)];
      if (chosen === undefined) throw new Error('nothing to choose from');
      return chosen;
    },
  };
}

/** What a client has seen: it is ended when this resolves. */
export type FuzzClient = (socketPath: string, luck: Luck) => Promise<void>;

/** The service that clients tell what they like. */
export const VICTIM = 'victim';

const targets = ['/v1', '/v1/services', `/v1/services/${VICTIM}`, '/v1/plugins', '/v1/services/no', '/', '/v1/%', '//'];
const words = ['up', 'down', 'once', 'pause', 'continue', 'hangup', 'kill', 'restart', 'terminate', 'stop', ''];
const waits = ['up', 'paused', 'down', 'running', 'exited', 'never'];

function goodRequest(luck: Luck): string {
  if (luck.below(3) > 0) return `GET ${luck.one(targets)} HTTP/1.1\r\nhost: x\r\n\r\n`;
  const body = JSON.stringify({ command: luck.one(words), wait: luck.below(4) === 0, timeoutMs: 1 + luck.below(1000) });
  return `POST /v1/services/${VICTIM}/commands HTTP/1.1\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

function waitRequest(luck: Luck): string {
  return `GET /v1/services/${VICTIM}/wait?for=${luck.one(waits)}&timeoutMs=${1 + luck.below(600_000)} HTTP/1.1\r\n\r\n`;
}

/** Bytes with a few of them changed, left out, doubled, or others put in between. */
function mutated(text: string, luck: Luck): Buffer {
  let bytes = Buffer.from(text, 'latin1');
  for (let count = 1 + luck.below(6); count > 0; count--) {
    const at = luck.below(bytes.length + 1);
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
    const random = Buffer.from(Array.from({ length: 1 + luck.below(8) }, () => luck.below(256)));
    bytes = Buffer.concat(
      luck.one([
        [before, random, after],
        [before, random, after.subarray(random.length)],
        [before, after.subarray(random.length)],
        [before, after.subarray(0, 20), after],
        [before, Buffer.from('\r\n\r\n'), after],
        [before],
      ]),
    );
  }
  return bytes;
}

/** Ends a connection in one of the ways there are. What was answered until then must be answers. */
async function endOf(connection: RawConnection, luck: Luck): Promise<void> {
  const way = luck.one(['destroys', 'says that it is done', 'stays']);
  if (way === 'destroys') connection.socket.destroy();
  else if (way === 'says that it is done') connection.end();
  // A wait may last for ten minutes.
  const timer = setTimeout(() => connection.socket.destroy(), luck.below(3000));
  const text = await connection.closed;
  clearTimeout(timer);
  if (!text.includes('text/event-stream')) answersIn(wholeAnswers(text));
}

/** Without an answer at the end that was cut off by the client's own doing. */
function wholeAnswers(text: string): string {
  const at = text.lastIndexOf('HTTP/1.1 ');
  const last = text.slice(at);
  const [, length] = /\r\ncontent-length: (\d+)\r\n/.exec(last) ?? [];
  const [, body = ''] = last.split('\r\n\r\n');
  return length !== undefined && body.length < Number(length) ? text.slice(0, at) : text;
}

async function sends(socketPath: string, luck: Luck, pieces: readonly (string | Buffer)[]): Promise<void> {
  const connection = rawConnection(socketPath, { isPaused: luck.below(8) === 0 });
  for (const piece of pieces) {
    connection.send(piece);
    if (luck.below(2) === 0) await sleep(luck.below(20));
  }
  connection.socket.resume();
  await endOf(connection, luck);
}

/** Every kind of client. */
export const fuzzClients: Readonly<Record<string, FuzzClient>> = {
  noise: (socketPath, luck) =>
    sends(socketPath, luck, [Buffer.from(Array.from({ length: luck.below(3000) }, () => luck.below(256)))]),
  mutation: (socketPath, luck) => sends(socketPath, luck, [mutated(goodRequest(luck).repeat(1 + luck.below(4)), luck)]),
  'large head': (socketPath, luck) => {
    const header = `x${luck.below(100)}: ${'y'.repeat(luck.below(40_000))}\r\n`;
    return sends(socketPath, luck, [
      `GET ${luck.one(targets)} HTTP/1.1\r\n`,
      header.repeat(1 + luck.below(50)),
      '\r\n',
    ]);
  },
  'large body': (socketPath, luck) => {
    const length = luck.below(1_000_000);
    const told = luck.one([length, length + 1, Math.max(length - 1, 0), 0, 2 ** 40]);
    const head = `POST /v1/services/${VICTIM}/commands HTTP/1.1\r\ncontent-length: ${told}\r\n\r\n`;
    return sends(socketPath, luck, [head, Buffer.alloc(length, luck.one([' ', '{', '0']))]);
  },
  pieces: (socketPath, luck) => {
    const piece = (): string => {
      const data = 'x'.repeat(luck.below(5000));
      return `${luck.one([data.length, data.length + 7, 0, 2 ** 31]).toString(16)}\r\n${data}\r\n`;
    };
    const head = `POST /v1/services/${VICTIM}/commands HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n`;
    return sends(socketPath, luck, [head, ...Array.from({ length: 1 + luck.below(30) }, piece)]);
  },
  'one byte after the other': async (socketPath, luck) => {
    const connection = rawConnection(socketPath);
    for (const byte of goodRequest(luck).slice(0, luck.below(60))) {
      connection.send(byte);
      await sleep(luck.below(60));
    }
    await endOf(connection, luck);
  },
  'many behind each other': (socketPath, luck) =>
    sends(
      socketPath,
      luck,
      Array.from({ length: 1 + luck.below(40) }, () => goodRequest(luck)),
    ),
  'waits that nobody waits for': (socketPath, luck) =>
    sends(
      socketPath,
      luck,
      Array.from({ length: 1 + luck.below(10) }, () => waitRequest(luck)),
    ),
  'events that nobody takes': async (socketPath, luck) => {
    const connection = rawConnection(socketPath, { isPaused: true });
    connection.send('GET /v1/events HTTP/1.1\r\n\r\n');
    await sleep(luck.below(1500));
    connection.socket.destroy();
    await connection.closed;
  },
  'many that come and go': async (socketPath, luck) => {
    const connections = Array.from({ length: luck.below(4) }, () => rawConnection(socketPath));
    if (luck.below(2) === 0) await sleep(luck.below(5));
    for (const { socket } of connections) socket.destroy();
    await Promise.all(connections.map(({ closed }) => closed));
  },
};
