/**
 * A start with an intent before it, a mark that the new process empties, and the pid behind it: a starter that is killed
 * at any of its system calls leaves enough to tell whether there is a process, and which.
 */
import { closeSync, existsSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { ancestorPids, bootTicks, findOrphan, readProcess } from '@daemontap/posix';
import { expect, test } from 'vitest';
import { makeFifo } from '../e2e/support/fifo.ts';
import { start } from '../e2e/support/start.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import { until } from '../e2e/support/until.ts';

const NODE = [process.execPath, '--conditions=@daemontap/source', '--input-type=module', '--eval'];
/** Waits for a byte, then starts ./run: first the mark, then the intent, in the end the pid. */
const STARTER = `import { spawn } from '${import.meta.resolve('@daemontap/posix')}';
  import { openSync, readSync, writeSync } from 'node:fs';
  const [mark, record] = ['mark', 'record'].map((name) => openSync(name, 'w+'));
  const [run, environment] = [Buffer.from('./run'), Object.entries(process.env).map((each) => Buffer.from(each.join('=')))];
  const request = { file: run, argv: [run], environment, directoryFd: openSync('service', 'r'), descriptors: [],
    ignoredSignals: 0n, blockedSignals: 0n, descriptorLimit: undefined, markFd: mark };
  const gate = openSync('gate', 'r+');
  writeSync(record, 'ready   ', 0);
  readSync(gate, Buffer.alloc(1));
  writeSync(mark, 'x', 0);
  writeSync(record, 'starting', 0);
  writeSync(record, String(spawn(request)).padEnd(8), 0);
  writeSync(record, 'over', 8);
  readSync(gate, Buffer.alloc(1));`;

/** One start, under strace with these options: what it leaves, and the process that can be told from that. */
async function startUnder(options: readonly string[], command: string): Promise<string> {
  await using here = temporaryDirectory();
  here.makeService('service', `echo $$ >>../ran; ${command}exec sleep 1000`);
  makeFifo(here.join('gate'));
  // For reading, too: a starter that is killed before it reads must not keep the test waiting for a reader.
  const gate = openSync(here.join('gate'), 'r+');
  const from = bootTicks();
  // In a session of its own: what other tests leave at the same moment is none of its business.
  await using starter = start(['setsid', ...NODE, STARTER], { cwd: here.path });
  const record = (): string => (existsSync(here.join('record')) ? readFileSync(here.join('record'), 'latin1') : '');
  const ran = (): string => (existsSync(here.join('ran')) ? readFileSync(here.join('ran'), 'latin1').trim() : '');
  await until(() => record() === 'ready   ', { describe: 'it is ready', state: starter.stderr, everyMs: 5 });
  const { pid: parentPid } = starter;
  const { sessionId = 0 } = readProcess(parentPid) ?? {};
  const known = { parentPid, sessionId, ancestorPids: ancestorPids(parentPid), except: new Set<number>() };
  let isOver = false;
  void starter.exit.then(() => (isOver = true));
  await using strace = start(['strace', '-qq', '-p', String(parentPid), ...options], { cwd: '/' });
  const statusPath = `/proc/${parentPid}/status`;
  // Attaching lets it read anew, which may be the call that it is killed at.
  const isAttached = (): boolean =>
    isOver || !existsSync(statusPath) || /^TracerPid:\s+[1-9]/m.test(textOf(statusPath));
  await until(isAttached, { describe: 'strace is attached', state: strace.stderr, everyMs: 2 });
  writeSync(gate, 'x');
  closeSync(gate);
  await until(() => isOver || record().endsWith('over'), { describe: 'it has started or is killed', everyMs: 5 });
  if (!isOver) process.kill(parentPid, 'SIGKILL');
  await Promise.all([starter.exit, strace.exit]);
  const [text, { dev, ino }] = [record().slice(0, 8).trim(), statSync(here.join('service'), { bigint: true })];
  if (text === 'ready' || (text === 'starting' && statSync(here.join('mark')).size > 0)) {
    expect(ran()).toBe('');
    return text;
  }
  const startTicks = { from, to: bootTicks() };
  const wasFound = text === 'starting';
  const pid = wasFound ? findOrphan({ ...known, startTicks, directory: `${dev}-${ino}` })?.pid : Number(text);
  await until(() => ran() !== '', { describe: 'it runs' });
  expect(ran()).toBe(String(pid));
  if (pid !== undefined) process.kill(pid, 'SIGKILL');
  return wasFound ? 'found' : 'recorded';
}

/** A file of /proc; nothing when its process has ended meanwhile. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** The system calls from the gate to the end, as strace counts them: `openat`, the third. */
function countedCalls(trace: string): readonly (readonly [name: string, count: number])[] {
  const counts = new Map<string, number>();
  return [...trace.matchAll(/^(\w+)\(/gm)].map(([, name = '']) => {
    counts.set(name, (counts.get(name) ?? 0) + 1);
    return [name, counts.get(name) ?? 0];
  });
}

const canTrace = existsSync('/usr/bin/strace');
if (!canTrace) console.log('skipped: a start that is killed at each system call; it needs strace');

test.runIf(canTrace).each([
  ['in its directory', ''],
  ['in another one', 'cd /; '],
])(
  'killed at each system call of a start, it leaves a service that works %s found or not begun',
  async (_, command) => {
    await using here = temporaryDirectory();
    expect(await startUnder(['-o', here.join('trace')], command)).toBe('recorded');
    const calls = countedCalls(readFileSync(here.join('trace'), 'latin1'));
    const outcomes = new Set<string>();
    for (const [name, count] of calls) {
      const inject = `inject=${name}:signal=KILL:when=${count}`;
      outcomes.add(await startUnder(['-o', '/dev/null', '-e', `trace=${name}`, '-e', inject], command));
    }
    expect([...outcomes].toSorted()).toEqual(['found', 'ready', 'recorded', 'starting']);
  },
  120_000,
);
