/**
 * A kernel whose control socket is asked by everybody and for everything: it lives, services can be told by svc, and
 * whoever asks properly is answered. `SOCKET_SEED` repeats a run, `SOCKET_SECONDS` makes it longer.
 */
import { closeSync, constants, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { ServicesAnswer } from '../../plugins/control-socket/src/index.ts';
import { rawConnection } from '../../plugins/control-socket/src/raw.test-support.ts';
import { socketPlace } from './support/control-socket.ts';
import type { SocketPlace } from './support/control-socket.ts';
import { fuzzClients, luckOf, VICTIM } from './support/socket-fuzz.ts';
import { readRecord } from './support/supervised.ts';
import { until } from './support/until.ts';

const seed = Number(process.env['SOCKET_SEED'] ?? Date.now() % 1_000_000);
const runMs = Number(process.env['SOCKET_SECONDS'] ?? 15) * 1000;
/** At a time; each has at most three connections, so that there is one left for who asks properly. */
const CLIENTS = 16;
/** What a command on the FIFO may take while everybody else asks; on one machine with all these clients. */
const SVC_WITHIN_MS = 1500;
const ANSWER_WITHIN_MS = 2000;
/** What the heap may have grown by: garbage that was not collected yet. */
const GROWTH_KB = 64 * 1024;

interface Cost {
  readonly descriptors: number;
  readonly anonKb: number;
}

function costOf(pid: number): Cost {
  const [, anon] = /^Pss_Anon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')) ?? [];
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length, anonKb: Number(anon) };
}

/** Pauses and continues a service as svc does, and says how long the slower of the two took. */
async function svcTakesMs({ scanDir }: SocketPlace): Promise<number> {
  const service = join(scanDir, 'steady');
  const times: number[] = [];
  for (const [command, paused] of [
    ['p', true],
    ['c', false],
  ] as const) {
    const beginMs = performance.now();
    const fd = openSync(join(service, 'supervise/control'), constants.O_WRONLY | constants.O_NONBLOCK);
    writeSync(fd, command);
    closeSync(fd);
    await until(() => readRecord(service)?.paused === paused, {
      describe: `${command} is carried out`,
      timeoutMs: SVC_WITHIN_MS,
      everyMs: 2,
    });
    times.push(performance.now() - beginMs);
  }
  return Math.max(...times);
}

async function answerTakesMs(place: SocketPlace): Promise<number> {
  const beginMs = performance.now();
  const { status, body } = await place.ask<ServicesAnswer>('/v1/services');
  expect([status, body.services.length]).toEqual([200, 2]);
  return performance.now() - beginMs;
}

test(`clients of every kind harm nobody (seed ${seed})`, { timeout: runMs + 120_000 }, async () => {
  await using place = socketPlace({ services: { [VICTIM]: 'exec sleep 1000', steady: 'exec sleep 1000' } });
  const up = place.up();
  const socketPath = await place.socketPath();
  await place.runs('steady');
  // Whatever is opened once is open then, the file of exits, too.
  await place.ask({ target: `/v1/services/${VICTIM}/commands`, body: { command: 'restart', wait: true } });
  await svcTakesMs(place);
  const before = costOf(up.pid);

  const deadlineMs = performance.now() + runMs;
  const luck = luckOf(seed);
  const kinds = Object.entries(fuzzClients);
  const failures: string[] = [];
  const client = async (own: number): Promise<void> => {
    for (const luckOfOne = luckOf(own); performance.now() < deadlineMs;) {
      const [kind, run] = luckOfOne.one(kinds);
      await run(socketPath, luckOfOne).catch((error: unknown) => failures.push(`${kind}: ${String(error)}`));
    }
  };
  const all = Promise.all(Array.from({ length: CLIENTS }, () => client(luck.below(2 ** 31))));
  const [svcMs, answerMs]: [number[], number[]] = [[], []];
  while (performance.now() < deadlineMs) {
    svcMs.push(await svcTakesMs(place));
    answerMs.push(await answerTakesMs(place));
    await sleep(100);
  }
  await all;
  expect(failures).toEqual([]);
  expect(Math.max(...svcMs)).toBeLessThan(SVC_WITHIN_MS);
  expect(Math.max(...answerMs)).toBeLessThan(ANSWER_WITHIN_MS);

  await until(() => costOf(up.pid).descriptors <= before.descriptors, {
    describe: 'no descriptor is left',
    state: () => [before, costOf(up.pid)],
  });
  expect(costOf(up.pid).anonKb).toBeLessThan(before.anonKb + GROWTH_KB);
  expect(up.stderr()).not.toContain('warning');
  expect(await answerTakesMs(place)).toBeLessThan(ANSWER_WITHIN_MS);
  await place.clients.says('steady', 'up (pid N) N seconds');
});

test('thousands of connections at once harm nobody', async () => {
  await using place = socketPlace({ services: { [VICTIM]: 'exec sleep 1000', steady: 'exec sleep 1000' } });
  const up = place.up();
  const socketPath = await place.socketPath();
  await place.runs('steady');
  const before = costOf(up.pid);
  for (let round = 0; round < 3; round++) {
    const connections = Array.from({ length: 1000 }, () => rawConnection(socketPath));
    const took = await svcTakesMs(place);
    expect(took).toBeLessThan(SVC_WITHIN_MS);
    // Served are 64, told that there are too many 16: nobody else has a descriptor.
    expect(costOf(up.pid).descriptors).toBeLessThanOrEqual(before.descriptors + 128);
    for (const { socket } of connections) socket.destroy();
    await Promise.all(connections.map(({ closed }) => closed));
  }
  await until(async () => (await place.ask('/v1')).status === 200, { describe: 'a good request is answered' });
  await until(() => costOf(up.pid).descriptors <= before.descriptors, { describe: 'no descriptor is left' });
  expect(costOf(up.pid).anonKb).toBeLessThan(before.anonKb + GROWTH_KB);
  expect(up.stderr()).not.toContain('warning');
});
