/** What a client may take of the kernel. docs/control-socket.md names these, and a test compares. */

/** Connections at a time. */
export const MOST_CONNECTIONS = 64;
/** Further ones at a time that are told that there are too many, or that they may not; more are closed at once. */
export const MOST_REFUSED = 16;
/** Requests on one connection that wait for answers; with more it is closed. */
export const MOST_UNANSWERED = 16;
/** Waits at a time, those for commands included. */
export const MOST_WAITS = 256;
/** Streams of events at a time. */
export const MOST_STREAMS = 32;
/** Of a request line and all headers. */
export const MOST_HEAD_BYTES: number = 16 * 1024;
/** Of a body. */
export const MOST_BODY_BYTES: number = 64 * 1024;
/** Of events that a client has not taken. */
export const MOST_WAITING_BYTES: number = 1024 * 1024;
/** Until the head of a request is there. */
export const HEAD_TIMEOUT_MS = 5000;
/** Until all of a request is there. */
export const REQUEST_TIMEOUT_MS = 10_000;
/** Until the next request on a connection begins. */
export const KEEP_ALIVE_MS = 5000;
/** In which nothing of an answer is taken. */
export const STUCK_MS = 10_000;
/** Between two lines that are no events. */
export const COMMENT_EVERY_MS = 15_000;
