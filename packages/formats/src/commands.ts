/** The command letters: one byte each on the control transport, one option each of `svc`. */

/** What can be asked of a supervise, as it is written on the control transport. */
export type Command = (typeof commandLetters)[number];

/** Every command letter, in the order of svc's usage line. */
export const commandLetters = ['u', 'd', 'o', 'x', 'p', 'c', 'h', 'a', 'i', 't', 'k'] as const;

/** Each command's name in svc's usage line. */
export const commandNames: Readonly<Record<Command, string>> = {
  u: 'up',
  d: 'down',
  o: 'once',
  x: 'exit',
  p: 'pause',
  c: 'continue',
  h: 'hup',
  a: 'alarm',
  i: 'interrupt',
  t: 'term',
  k: 'kill',
};

/** The signal of each command that does nothing else than to send one. */
export const commandSignals: Readonly<
  Partial<Record<Command, 'SIGTERM' | 'SIGHUP' | 'SIGALRM' | 'SIGINT' | 'SIGKILL'>>
> = {
  t: 'SIGTERM',
  h: 'SIGHUP',
  a: 'SIGALRM',
  i: 'SIGINT',
  k: 'SIGKILL',
};

/** Reads a byte of the control transport; one that is no command is `undefined`, and supervise passes over it. */
export function parseCommand(byte: number): Command | undefined {
  const letter = String.fromCharCode(byte);
  return commandLetters.find((command) => command === letter);
}
