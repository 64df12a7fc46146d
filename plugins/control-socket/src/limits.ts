/** What a client may take of the kernel. docs/control-socket.md names these, and a test compares. */

/** At a time. */
export const MOST_CONNECTIONS = 64;
/** Further ones at a time that are told that there are too many, or that they may not; more are closed at once. */
export const MOST_REFUSED = 16;
/** On one connection without an answer; with more it is closed. */
export const MOST_UNANSWERED = 16;
/** At a time, those for commands included. */
export const MOST_WAITS = 256;
/** At a time. */
export const MOST_STREAMS = 32;
/** The request line and all headers. */
export const MOST_HEAD_BYTES: number = 16 * 1024;
/** Of a command: others have none. */
export const MOST_BODY_BYTES: number = 64 * 1024;
/** Events that it has not taken, the first one not counted; with more it is disconnected. */
export const MOST_WAITING_BYTES: number = 1024 * 1024;
/** Of a request; later it is answered with 408. */
export const HEAD_TIMEOUT_MS = 5000;
/** With its body; as above. */
export const REQUEST_TIMEOUT_MS = 10_000;
/** On one connection, which is closed then. */
export const KEEP_ALIVE_MS = 5000;
/** In which a client takes nothing of an answer; then it is disconnected. */
export const STUCK_MS = 10_000;
/** Of a stream of events: a line that is none comes then. */
export const COMMENT_EVERY_MS = 15_000;
