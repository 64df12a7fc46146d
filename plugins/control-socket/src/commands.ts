/** What each command is made of, and when it is done: decisions alone. */
import type { Command } from '@daemontap/kernel';
import { commandWords } from './schema.ts';
import type { CommandWord, WaitedState } from './schema.ts';
import type { Supervised } from './services.ts';

/** What is looked at. */
export type Observed = Pick<Supervised, 'starts' | 'isReleased'> & {
  readonly status: Pick<Supervised['status'], 'pid' | 'paused' | 'want' | 'startDue'>;
};

/** True once it is so. What a service is in the end, when it is released, may be what was waited for. */
export type Condition = (now: Observed) => boolean;

/** What to send to a service, and how to tell that it is done. */
export interface PlannedCommand {
  readonly letters: readonly Command[];
  readonly isDone: Condition;
}

/** Plans a command for a service as it is now. */
export function planCommand(word: CommandWord, before: Observed): PlannedCommand {
  return { letters: lettersOf(word, before), isDone: doneCondition(word, before) };
}

/** What is true once a service is as it is waited for. */
export function conditionOf(state: WaitedState, before: Observed): Condition {
  const { pid: pidBefore } = before.status;
  const { starts } = before;
  const conditions: Readonly<Record<WaitedState, Condition>> = {
    up: isUp,
    running: ({ status }) => status.pid !== undefined && !status.paused,
    paused: ({ status }) => status.pid !== undefined && status.paused,
    down: isDown,
    exited: (now) => pidBefore === undefined || now.status.pid === undefined || now.starts > starts,
    released: ({ isReleased }) => isReleased,
  };
  return conditions[state];
}

function lettersOf(word: CommandWord, { status: { pid, want } }: Observed): readonly Command[] {
  if (word !== 'restart') return [commandWords[word]];
  // Who is to be up afterwards is wanted up; who was told to end already is not told again.
  if (pid === undefined || want === 'down') return ['u'];
  return want === 'up' ? ['t', 'c'] : ['u', 't', 'c'];
}

function doneCondition(word: CommandWord, before: Observed): Condition {
  const { pid, want } = before.status;
  const isStarted: Condition = ({ starts }) => starts > before.starts;
  switch (word) {
    case 'up':
      // A process that was told to end is not the one that is asked for.
      return pid !== undefined && want === 'down' ? isStarted : (now) => isUp(now) || isStarted(now);
    case 'once':
      return (now) => isUp(now) || isStarted(now);
    case 'restart':
      return isStarted;
    case 'down':
      return isDown;
    case 'pause':
      return ({ status }) => status.pid === undefined || status.paused;
    case 'continue':
      return ({ status }) => !status.paused;
    case 'exit':
      return ({ isReleased }) => isReleased;
    case 'hangup':
    case 'alarm':
    case 'interrupt':
    case 'terminate':
    case 'kill':
      return () => true;
  }
}

function isUp({ status }: Observed): boolean {
  return status.pid !== undefined;
}

function isDown({ status }: Observed): boolean {
  return status.pid === undefined && !status.startDue;
}
