/**
 * What a kernel and a log host say to each other: one JSON object a packet, on the socket in the host's directory. Of
 * whatever version they are, both understand `hello`, and a host `leave`: so a kernel replaces a host that is too old.
 */

/** The version of all messages but `hello` and `leave`. */
export const PROTOCOL = 1;

/** The host's socket, in its directory. */
export const SOCKET = 'socket';

/** What a kernel tells a host. */
export type Order =
  | { readonly type: 'hello'; readonly protocol: number }
  /** Two descriptors come with it: the pipe to read from, and the service's directory. Again, it is the same stream. */
  | {
      readonly type: 'open';
      readonly id: string;
      /** For messages. */
      readonly label: string;
      /** What the program's `open` is to make a sink of. */
      readonly options: unknown;
      readonly isEnding: boolean;
    }
  /** No output will follow what is in the pipe. */
  | { readonly type: 'ending'; readonly id: string }
  /** Leave what is in the pipe to another host. */
  | { readonly type: 'yield'; readonly id: string }
  /** Finish what is at hand, and end. */
  | { readonly type: 'leave' };

/** What keeps a stream from going on. */
export interface Trouble {
  readonly text: string;
  /** What an error says of itself, and the system's name for it. */
  readonly reason?: string;
  readonly code?: string;
}

/** What a host tells each kernel that has connected. */
export type Answer =
  | { readonly type: 'hello'; readonly protocol: number; readonly generation: string }
  /** A stream cannot go on for now, and nothing of it is lost. */
  | ({ readonly type: 'trouble'; readonly id: string } & Trouble)
  | { readonly type: 'recovered'; readonly id: string }
  /** The host had no room for the stream's descriptors. */
  | { readonly type: 'refused'; readonly id: string }
  /** All that was in the pipe is where it belongs, and everything of the stream is closed. */
  | { readonly type: 'ended'; readonly id: string };

const TYPES: ReadonlySet<unknown> = new Set<Order['type'] | Answer['type']>([
  'hello',
  'open',
  'ending',
  'yield',
  'leave',
  'trouble',
  'recovered',
  'refused',
  'ended',
]);

/** A message's bytes. */
export function encode(message: Order | Answer): Buffer {
  return Buffer.from(JSON.stringify(message));
}

/** A message of the other side; `undefined`: it is none of this version. Both sides are ours, so no more is looked at. */
export function decode<M extends Order | Answer>(bytes: Buffer): M | undefined {
  try {
    const message: unknown = JSON.parse(bytes.toString());
    const isKnown = typeof message === 'object' && message !== null && 'type' in message && TYPES.has(message.type);
    return isKnown ? (message as M) : undefined; // what both sides send is typed
  } catch {
    return undefined;
  }
}
