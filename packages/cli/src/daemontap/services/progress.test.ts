import { describe, expect, test } from 'vitest';
import { advance, beginProgress, doneAtMs, noteEnd, remainsText } from './progress.ts';
import type { Moment, Progress, Verb } from './progress.ts';
import { stateOf } from './service-view.ts';
import type { ServiceView } from './service-view.ts';

const directory = Buffer.from('./a');
const service = {
  label: 'a',
  role: 'service',
  shown: 'a',
  directory,
  mainDirectory: directory,
  scanDir: Buffer.from('.'),
} as const;
const moment = (atMs: number): Moment => ({ atMs, wallNs: BigInt(atMs) * 1_000_000n });

/** A service as its kernel shows it; `sinceMs` on the wall clock, which shows the same as the other here. */
function seen(status: {
  readonly pid?: number;
  readonly want: 'up' | 'down' | 'once';
  readonly sinceMs: number;
  readonly by?: 'files';
}): ServiceView {
  const { pid, want, sinceMs, by = 'kernel' } = status;
  const sinceNs = BigInt(sinceMs) * 1_000_000n;
  return { service, state: stateOf({ pid, paused: false, want }), pid, paused: false, want, sinceNs, by };
}

/** What a verb has come to after these views. */
function after(verb: Verb, first: ServiceView, ...later: readonly (readonly [atMs: number, ServiceView])[]): Progress {
  return later.reduce(
    (progress, [atMs, view]) => advance(progress, view, moment(atMs)),
    beginProgress(verb, first, moment(10_000)),
  );
}

describe('stop', () => {
  const up = seen({ pid: 7, want: 'up', sinceMs: 0 });

  test('is done when it is down and wanted so', () => {
    expect(doneAtMs(after('stop', up))).toBe(undefined);
    expect(doneAtMs(after('stop', up, [10_100, seen({ pid: 7, want: 'down', sinceMs: 0 })]))).toBe(undefined);
    expect(doneAtMs(after('stop', up, [10_200, seen({ want: 'down', sinceMs: 10_150 })]))).toBe(10_200);
  });

  test('is not done by an end that was no stop', () => {
    const ended = after('stop', up, [10_200, seen({ want: 'up', sinceMs: 10_150 })]);
    expect(doneAtMs(ended)).toBe(undefined);
    expect(remainsText(ended, 1000)).toBe('down, and wanted up');
  });

  test('is done at once for one that rests', () => {
    expect(doneAtMs(after('stop', seen({ want: 'down', sinceMs: 0 })))).toBeLessThanOrEqual(10_000);
    expect(doneAtMs(after('stop', seen({ want: 'once', sinceMs: 0 })))).toBe(undefined);
  });

  test('says who does not end', () => {
    expect(remainsText(after('stop', up), 10_000)).toBe('still up (pid 7) after 10 seconds');
    expect(remainsText(after('stop', up), 1000)).toBe('still up (pid 7) after 1 second');
  });
});

describe('start', () => {
  const down = seen({ want: 'down', sinceMs: 0 });

  test('is done when a process has run for a second', () => {
    const started = after('start', down, [10_100, seen({ pid: 8, want: 'up', sinceMs: 10_090 })]);
    expect(doneAtMs(started)).toBe(11_100);
    expect(remainsText(started, 500)).toBe('up (pid 8) for less than a second');
  });

  test('waits a little longer where files tell: a supervise of C sleeps for a second after each start', () => {
    const started = after('start', down, [10_100, seen({ pid: 8, want: 'up', sinceMs: 10_090, by: 'files' })]);
    expect(doneAtMs(started)).toBe(11_300);
  });

  test('is done at once for one that has run for long, also when the clock was set back meanwhile', () => {
    expect(doneAtMs(after('start', seen({ pid: 7, want: 'up', sinceMs: 0 })))).toBeLessThanOrEqual(10_000);
    expect(doneAtMs(after('start', seen({ pid: 7, want: 'up', sinceMs: 20_000 })))).toBe(11_000);
  });

  test('counts anew with each process', () => {
    const flapping = after(
      'start',
      down,
      [10_100, seen({ pid: 8, want: 'up', sinceMs: 10_090 })],
      [10_200, seen({ want: 'up', sinceMs: 10_190 })],
      [11_100, seen({ pid: 9, want: 'up', sinceMs: 11_090 })],
    );
    expect(doneAtMs(flapping)).toBe(12_100);
    expect(remainsText(flapping, 1500)).toBe('it was started 2 times in 1.5 seconds and does not stay up');
    expect(remainsText({ ...flapping, trouble: 'it ended with exit code 1' }, 1500)).toBe(
      'it was started 2 times in 1.5 seconds and does not stay up: it ended with exit code 1',
    );
  });

  test('takes no process that was told to end before', () => {
    const stopping = after('start', seen({ pid: 7, want: 'down', sinceMs: 0 }), [
      10_100,
      seen({ pid: 7, want: 'up', sinceMs: 0 }),
    ]);
    expect(doneAtMs(stopping)).toBe(undefined);
    expect(doneAtMs(advance(stopping, seen({ pid: 8, want: 'up', sinceMs: 10_200 }), moment(10_200)))).toBe(11_200);
  });

  test('takes one that a service goes on as, but where that was told to end, too', () => {
    const stopping = seen({ pid: 7, want: 'down', sinceMs: 0 });
    const moved = (want: 'up' | 'down'): Progress =>
      after('start', stopping, [10_100, seen({ pid: 8, want, sinceMs: 10_100 })]);
    expect(doneAtMs(moved('up'))).toBe(11_100);
    expect(doneAtMs(advance(moved('down'), seen({ pid: 8, want: 'up', sinceMs: 0 }), moment(10_200)))).toBe(undefined);
  });

  test('says why there is no process', () => {
    const failed = { ...after('start', down), trouble: 'file does not exist' };
    expect(remainsText(failed, 3000)).toBe('still down after 3 seconds: file does not exist');
    expect(remainsText(advance(failed, { service, state: 'unsupervised', by: 'files' }, moment(11_000)), 3000)).toBe(
      'supervise not running',
    );
  });
});

describe('restart', () => {
  const up = seen({ pid: 7, want: 'up', sinceMs: 0 });

  test('is done when another process has run for a second', () => {
    expect(doneAtMs(after('restart', up))).toBe(undefined);
    expect(doneAtMs(after('restart', up, [10_100, seen({ want: 'up', sinceMs: 10_090 })]))).toBe(undefined);
    const next = seen({ pid: 8, want: 'up', sinceMs: 10_090 });
    expect(doneAtMs(advance(noteEnd(after('restart', up), 'it ended by SIGTERM'), next, moment(10_100)))).toBe(11_100);
    const upByFiles = { ...up, by: 'files' as const };
    expect(doneAtMs(after('restart', upByFiles, [10_100, { ...next, by: 'files' }]))).toBe(11_300);
  });

  test('is not done by a service that goes on as another process, but by the next start', () => {
    const moved = after('restart', up, [10_100, seen({ pid: 8, want: 'up', sinceMs: 10_090 })]);
    expect(doneAtMs(moved)).toBe(undefined);
    expect(remainsText(moved, 1000)).toBe('still up (pid 8) after 1 second');
    const next = seen({ pid: 9, want: 'up', sinceMs: 12_000 });
    expect(doneAtMs(advance(noteEnd(moved, 'it ended by SIGTERM'), next, moment(12_000)))).toBe(13_000);
  });

  test('is done by a new process that goes on as another one', () => {
    const started = advance(
      noteEnd(after('restart', up), ''),
      seen({ pid: 8, want: 'up', sinceMs: 1 }),
      moment(10_100),
    );
    expect(doneAtMs(advance(started, seen({ pid: 9, want: 'up', sinceMs: 1 }), moment(10_200)))).toBe(11_200);
  });

  test('says who does not end', () => {
    expect(remainsText(after('restart', up), 10_000)).toBe('still up (pid 7) after 10 seconds');
  });

  test('is a start for one that is down', () => {
    const down = seen({ want: 'down', sinceMs: 0 });
    expect(doneAtMs(after('restart', down, [10_100, seen({ pid: 8, want: 'up', sinceMs: 10_090 })]))).toBe(11_100);
  });
});
