/**
 * A thousand services under one svscan, ours and C's in turn: until all run, memory, restart of a killed one, idle
 * cost. Prints medians and ratios; with --write puts them into docs/benchmarks.md.
 */
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, publish } from './report.ts';
import { manyServices, rollup, runTime, sum } from './services.ts';

const SERVICES = 1000;
const RUNS = Number(process.env['RUNS'] ?? 5);
const RESTARTS = 20;
const IDLE_MS = 10_000;

const binDir = join(import.meta.dirname, '../../packages/cli/bin');
const implementations = [
  { name: 'daemontap', svscan: join(binDir, 'svscan') },
  { name: 'C daemontools', svscan: '/usr/bin/svscan' },
] as const;

interface Figures {
  /** Milliseconds. */
  readonly allUp: number;
  /** Megabytes: one process as if it shared nothing, or the proportional set sizes of all. */
  readonly memory: number;
  readonly private: number;
  /** Milliseconds from SIGKILL to the new process's first line. */
  readonly restart: number;
  /** Milliseconds of processor time in ten seconds of idleness. */
  readonly idle: number;
}

const services = manyServices(SERVICES);
const { scanDir, startedLines } = services;
try {
  const figures = new Map<string, Figures[]>(implementations.map(({ name }) => [name, []]));
  for (let run = 0; run <= RUNS; run++) {
    for (const { name, svscan } of implementations) {
      const measured = await measure(svscan);
      if (run > 0) figures.get(name)?.push(measured); // the first run warms caches
      process.stderr.write(`${name}: ${JSON.stringify(measured)}\n`);
    }
  }
  report(figures);
} finally {
  services.remove();
}

async function measure(svscan: string): Promise<Figures> {
  await services.forget();
  const begun = performance.now();
  // C's svscan takes its supervise from PATH, where npm's scripts have ours in front.
  const env = { ...process.env, PATH: '/usr/bin:/bin' };
  const supervisor = spawn(svscan, [scanDir], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  await services.allStarted();
  const allUp = performance.now() - begun;
  await sleep(3000);
  const supervisors = [supervisor.pid ?? 0, ...childrenNamed(supervisor.pid ?? 0, 'supervise')];
  const [only, ...others] = supervisors;
  const memory = others.length === 0 ? rollup(only ?? 0, 'Rss') : sum(supervisors.map((pid) => rollup(pid, 'Pss')));
  const own = sum(supervisors.map((pid) => rollup(pid, 'Private_Clean') + rollup(pid, 'Private_Dirty')));
  const before = sum(supervisors.map(runTime));
  await sleep(IDLE_MS);
  const idle = ((sum(supervisors.map(runTime)) - before) * 10_000) / IDLE_MS;
  const restarts: number[] = [];
  for (let index = 0; index < RESTARTS; index++) restarts.push(await restart(index));
  await stop(supervisor);
  return { allUp, memory, private: own, restart: median(restarts), idle };
}

async function restart(index: number): Promise<number> {
  const before = startedLines();
  const pid = Number(before.findLast((line) => line.endsWith(` ${index}`))?.split(' ')[0]);
  const begun = performance.now();
  process.kill(pid, 'SIGKILL');
  while (startedLines().length === before.length) await sleep(0);
  return performance.now() - begun;
}

/** C's svscan leaves its supervises behind: first they are told to go, then it is ended before it starts them again. */
async function stop(svscan: ChildProcess): Promise<void> {
  const isGone = new Promise((resolve) => svscan.on('exit', resolve));
  const pids = [...childrenNamed(svscan.pid ?? 0, 'supervise')];
  svscan.kill('SIGTERM');
  await isGone;
  if (pids.length === 0) return;
  for (let from = 0; from < SERVICES; from += 100) {
    const directories = readdirSync(scanDir).slice(from, from + 100);
    execFileSync('/usr/bin/svc', ['-dx', ...directories.map((name) => join(scanDir, name))]);
  }
  while (pids.some(isRunning)) await sleep(50);
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

function childrenNamed(parent: number, name: string): readonly number[] {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'latin1').split(' ').filter(Boolean);
  return children.map(Number).filter((pid) => readFileSync(`/proc/${pid}/comm`, 'latin1') === `${name}\n`);
}

function report(figures: ReadonlyMap<string, readonly Figures[]>): void {
  const [ours, theirs] = implementations.map(({ name }) => figures.get(name) ?? []);
  const row = (title: string, key: keyof Figures, unit: string): string => {
    const a = median((ours ?? []).map((each) => each[key]));
    const b = median((theirs ?? []).map((each) => each[key]));
    const digits = a < 10 ? 1 : 0;
    const ratio = b === 0 ? '' : (a / b).toFixed(2);
    return `| ${title} | ${a.toFixed(digits)} ${unit} | ${b.toFixed(digits)} ${unit} | ${ratio} |`;
  };
  publish('thousand-services', [
    `| ${SERVICES} services, median of ${RUNS} runs in turn | daemontap | C daemontools | ratio |`,
    '|---|---|---|---|',
    row('from the start of svscan until all services run', 'allUp', 'ms'),
    row('memory of the supervision', 'memory', 'MB'),
    row('of it private', 'private', 'MB'),
    row('SIGKILL of a service until the new one runs', 'restart', 'ms'),
    row('processor time in 10 s of idleness', 'idle', 'ms'),
  ]);
}
