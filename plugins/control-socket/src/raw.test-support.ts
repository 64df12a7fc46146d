/** A client for tests that sends bytes, right or wrong, and takes what comes for HTTP. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { checkAnswer } from './client.test-support.ts';

/** A connection. */
export interface RawConnection {
  readonly socket: Socket;
  send(bytes: string | Buffer): void;
  /** Says that nothing follows. */
  end(): void;
  /** What has come until now, one character a byte. */
  received(): string;
  /** Resolves with all that has come once the other side has closed the connection. */
  readonly closed: Promise<string>;
}

/** An answer among bytes. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** Connects. With `isPaused` nothing is ever taken. */
export function rawConnection(
  socketPath: string,
  { isPaused = false }: { readonly isPaused?: boolean } = {},
): RawConnection {
  const socket = connect({ path: socketPath, allowHalfOpen: true });
  let text = '';
  socket.setEncoding('latin1');
  if (isPaused) socket.pause();
  else socket.on('data', (piece: string) => (text += piece));
  socket.on('error', () => {}); // it may be cut off
  const closed = new Promise<string>((resolve) => {
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve(text));
  });
  return {
    socket,
    send: (bytes) => void socket.write(bytes),
    end: () => void socket.end(),
    received: () => text,
    closed,
  };
}

/** Sends bytes, and resolves with all answers once the other side has closed the connection. */
export async function exchange(socketPath: string, bytes: string | Buffer): Promise<readonly RawAnswer[]> {
  const connection = rawConnection(socketPath);
  connection.send(bytes);
  return answersIn(await connection.closed);
}

/** The answers among bytes, each compared with the schema. @throws where there is anything else */
export function answersIn(text: string): readonly RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = text.replaceAll('HTTP/1.1 100 Continue\r\n\r\n', '');
  while (rest !== '') {
    const [, status = '', fields = '', more] = /^HTTP\/1\.1 (\d{3}) [^\r\n]+\r\n(.*?)\r\n\r\n([^]*)$/s.exec(rest) ?? [];
    if (more === undefined) throw new Error(`no answer: ${rest}`);
    const headers = Object.fromEntries(
      fields.split('\r\n').map((line) => {
        const [name = '', ...value] = line.split(': ');
        return [name.toLowerCase(), value.join(': ')];
      }),
    );
    const length = Number(headers['content-length']);
    const body: unknown = JSON.parse(Buffer.from(more.slice(0, length), 'latin1').toString());
    if (Number(status) >= 300) checkAnswer({ target: 'raw', status: Number(status), body });
    if (headers['content-type'] !== 'application/json') throw new Error(`content-type ${headers['content-type']}`);
    answers.push({ status: Number(status), headers, body });
    rest = more.slice(length);
  }
  return answers;
}
