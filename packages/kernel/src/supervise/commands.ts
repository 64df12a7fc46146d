/** What each command of a control transport means to the machine. */
import type { Event } from './machine.ts';

/** One letter on a control transport, as `svc` sends them. */
export type Command = 'u' | 'd' | 'o' | 'p' | 'c' | 'h' | 'a' | 'i' | 't' | 'k' | 'x';

/** The event that a command is, at a time of the monotonic clock. */
export function commandEvent(command: Command, atNs: bigint): Event {
  switch (command) {
    case 'u':
      return { type: 'want', want: 'up', atNs };
    case 'd':
      return { type: 'want', want: 'down', atNs };
    case 'o':
      return { type: 'want', want: 'once', atNs };
    case 'p':
      return { type: 'pause' };
    case 'c':
      return { type: 'continue' };
    case 'h':
      return { type: 'signal', signal: 'SIGHUP' };
    case 'a':
      return { type: 'signal', signal: 'SIGALRM' };
    case 'i':
      return { type: 'signal', signal: 'SIGINT' };
    case 't':
      return { type: 'signal', signal: 'SIGTERM' };
    case 'k':
      return { type: 'signal', signal: 'SIGKILL' };
    case 'x':
      return { type: 'leave' };
  }
}
