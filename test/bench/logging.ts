/**
 * From a service's standard output to a rotated log directory, end to end: a stack with log-multilog beside C's svscan
 * with multilog and PM2, all in turn; then what a flood does to others, and what a thousand logged services take.
 * Prints medians and ratios; with --write puts them into docs/benchmarks.md.
 */
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { chownSync, readSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeLines } from './lines.ts';
import { median, publish } from './report.ts';
import { rollup, runTime, sum } from './services.ts';

const RUNS = Number(process.env['RUNS'] ?? 5);
const BYTES = 200_000_000;
const ACCOUNT = { name: 'nobody', uid: 65534, gid: 65534 };
const SCRIPT = ['t', 's16777215', 'n50', './main'];
const PM2 = 'pm2@7.0.4';
const END = 'the-end-of-all-lines';
const COMMANDS = 400;
const IDLE_MS = 10_000;

const binDir = join(import.meta.dirname, '../../packages/cli/bin');
const cDir = process.env['DAEMONTOOLS_BIN'] ?? '/usr/bin';
const workDir = mkdtempSync(join(tmpdir(), 'daemontap-bench-'));
const input = join(workDir, 'lines');

/** A supervisor with services that wait to be told to write. */
interface Running {
  /** Where the log of a service is at its end. */
  logOf(name: string): string;
  stop(): Promise<void>;
}

try {
  if (process.geteuid?.() !== 0) throw new Error('it runs as root, as C`s setuidgid in log/run needs it');
  makeLines(input, BYTES);
  const pm2 = await installedPm2();
  publish('logging', await throughput(pm2));
  publish('logging-flood', await flood());
  publish('logging-thousand', await thousand());
} finally {
  rmSync(workDir, { recursive: true, force: true });
}

async function throughput(pm2: string): Promise<readonly string[]> {
  const ways = [
    { name: 'daemontap', begin: beginStack },
    { name: 'C daemontools', begin: beginC },
    { name: 'PM2', begin: (dir: string, names: readonly string[]) => beginPm2(pm2, dir, names) },
  ];
  const rows: string[] = [];
  for (const services of [1, 100]) {
    const seconds = ways.map((): number[] => []);
    for (let run = 0; run <= RUNS; run++) {
      for (const [index, { name, begin }] of ways.entries()) {
        const took = await timed(services, begin);
        process.stderr.write(`${services} services, ${name}: ${took.toFixed(2)} s\n`);
        if (run > 0) seconds[index]?.push(took); // the first run warms caches
      }
    }
    const [ours = NaN, c = NaN, other = NaN] = seconds.map(median);
    const title = services === 1 ? 'one service' : `${services} services at once, the same in total`;
    rows.push(
      `| ${title} | ${ours.toFixed(2)} s | ${c.toFixed(2)} s | ${(c / ours).toFixed(2)} | ${other.toFixed(2)} s | ${(other / ours).toFixed(2)} |`,
    );
  }
  return [
    `| 200 MB, \`${SCRIPT.join(' ')}\`, median of ${RUNS} runs in turn | daemontap | C daemontools | C / ours | PM2 | PM2 / ours |`,
    '|---|---|---|---|---|---|',
    ...rows,
  ];
}

/** Seconds from when the services are told to write until all of it is in their logs. */
async function timed(
  count: number,
  begin: (dir: string, names: readonly string[]) => Promise<Running>,
): Promise<number> {
  const dir = mkdtempSync(join(workDir, 'services-'));
  chmodSync(dir, 0o755);
  const names = Array.from({ length: count }, (_, index) => `s${index}`);
  const go = join(dir, '.go');
  execFileSync('mkfifo', [go]);
  const all = readFileSync(input);
  for (const [index, name] of names.entries()) {
    const share = all.subarray((index * all.length) / count, ((index + 1) * all.length) / count);
    makeService(join(dir, name), `#!/bin/sh\nread x <${go}\ncat lines\necho; echo ${END}\nexec sleep 100000\n`);
    writeFileSync(join(dir, name, 'lines'), share);
  }
  const running = await begin(dir, names);
  try {
    await sleep(1500);
    execFileSync('sync'); // what others have written is not this one's to wait for
    const fd = openSync(go, 'r+');
    const begun = performance.now();
    writeSync(fd, '\n'.repeat(count));
    for (const name of names) while (!hasEnded(running.logOf(name))) await sleep(2);
    const took = (performance.now() - begun) / 1000;
    closeSync(fd);
    return took;
  } finally {
    await running.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

function makeService(dir: string, run: string): void {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'run'), run);
  chmodSync(join(dir, 'run'), 0o755);
}

/** Whether the last line is there; the file may have been finished just now. */
function hasEnded(path: string): boolean {
  const bytes = Buffer.alloc(200);
  try {
    const fd = openSync(path, 'r');
    const { size } = statSync(path);
    const length = readSync(fd, bytes, 0, 200, Math.max(0, size - 200));
    closeSync(fd);
    return bytes.toString('latin1', 0, length).trimEnd().endsWith(END);
  } catch {
    return false;
  }
}

async function beginStack(dir: string, _names: readonly string[]): Promise<Running> {
  const { supervisor, runtimeDir } = startStack(dir);
  return {
    logOf: (name) => join(dir, name, 'main/current'),
    stop: () => stopped(supervisor, runtimeDir),
  };
}

function startStack(dir: string): { readonly supervisor: ChildProcess; readonly runtimeDir: string } {
  const runtimeDir = mkdtempSync(join(workDir, 'run-'));
  chmodSync(runtimeDir, 0o711);
  const plugins = [['log-multilog', { account: ACCOUNT.name, script: SCRIPT }]];
  writeFileSync(join(dir, 'daemontap.config.json'), JSON.stringify({ preset: 'daemontools', plugins }));
  const words = ['up', dir, '--runtime-dir', runtimeDir];
  const supervisor = spawn(join(binDir, 'daemontap'), words, { stdio: ['ignore', 'ignore', 'inherit'] });
  return { supervisor, runtimeDir };
}

async function stopped(supervisor: ChildProcess, runtimeDir: string): Promise<void> {
  const isGone = new Promise((resolve) => supervisor.on('exit', resolve));
  supervisor.kill('SIGTERM');
  await isGone;
  rmSync(runtimeDir, { recursive: true, force: true });
}

async function beginC(dir: string, names: readonly string[]): Promise<Running> {
  for (const name of names) {
    const log = join(dir, name, 'log');
    const words = ['setuidgid', ACCOUNT.name, 'multilog', ...SCRIPT].join(' ');
    makeService(log, `#!/bin/sh\nexec ${words}\n`);
    mkdirSync(join(log, 'main'));
    chownSync(join(log, 'main'), ACCOUNT.uid, ACCOUNT.gid);
  }
  const env = { ...process.env, PATH: `${cDir}:/usr/bin:/bin` }; // where npm's scripts have ours in front
  const supervisor = spawn(join(cDir, 'svscan'), [dir], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  return {
    logOf: (name) => join(dir, name, 'log/main/current'),
    async stop() {
      const isGone = new Promise((resolve) => supervisor.on('exit', resolve));
      supervisor.kill('SIGTERM');
      await isGone;
      const all = names.flatMap((name) => [join(dir, name), join(dir, name, 'log')]);
      execFileSync(join(cDir, 'svc'), ['-dx', ...all]);
      const isSupervised = (each: string): boolean => {
        try {
          execFileSync(join(cDir, 'svok'), [each]);
          return true;
        } catch {
          return false;
        }
      };
      for (const each of all) while (isSupervised(each)) await sleep(10);
    },
  };
}

async function beginPm2(pm2: string, dir: string, names: readonly string[]): Promise<Running> {
  const env = { ...process.env, PM2_HOME: join(dir, '.pm2') };
  const apps = names.map((name) => ({
    name,
    script: join(dir, name, 'run'),
    interpreter: 'none',
    cwd: join(dir, name),
    out_file: join(dir, name, 'out.log'),
    error_file: '/dev/null',
    time: true,
  }));
  writeFileSync(join(dir, 'pm2.config.json'), JSON.stringify({ apps }));
  const run = (...words: readonly string[]): void =>
    void execFileSync(pm2, words, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  run('start', join(dir, 'pm2.config.json'));
  return {
    logOf: (name) => join(dir, name, 'out.log'),
    stop: async () => run('kill'),
  };
}

/** PM2 is what we compare with, and no part of daemontap: it is installed for this run. */
async function installedPm2(): Promise<string> {
  const prefix = join(workDir, 'pm2');
  mkdirSync(prefix);
  writeFileSync(join(prefix, 'package.json'), '{}');
  execFileSync('npm', ['install', '--silent', '--no-audit', '--no-fund', PM2], { cwd: prefix, stdio: 'inherit' });
  return join(prefix, 'node_modules/.bin/pm2');
}

async function flood(): Promise<readonly string[]> {
  const dir = mkdtempSync(join(workDir, 'flood-'));
  chmodSync(dir, 0o755);
  makeService(join(dir, 'flood'), '#!/bin/sh\nexec yes "a line of a service that has much to say, again and again"\n');
  makeService(join(dir, 'calm'), '#!/bin/sh\nexec sleep 100000\n');
  writeFileSync(join(dir, 'flood/down'), '');
  const { supervisor, runtimeDir } = startStack(dir);
  const kernel = supervisor.pid ?? 0;
  try {
    while (!existsSync(join(dir, 'calm/supervise/status'))) await sleep(20);
    await sleep(4000);
    const idle = await processorTime(kernel);
    execFileSync(join(binDir, 'svc'), ['-u', join(dir, 'flood')]);
    await sleep(2000);
    const flooded = await processorTime(kernel);
    const pid = readFileSync(join(dir, 'calm/supervise/status')).readUInt32LE(12);
    const direct = await commandTimes(pid, (letter) => writeFileSync(join(dir, 'calm/supervise/control'), letter));
    const svc = join(binDir, 'svc');
    const whole = await commandTimes(pid, (letter) => {
      spawn(svc, [`-${letter}`, join(dir, 'calm')], { stdio: 'ignore' });
    });
    return [
      '| while one service writes as fast as it can | |',
      '|---|---|',
      `| a command to another service until it is carried out, median and 99th of 100 | ${direct.median.toFixed(1)} ms, ${direct.p99.toFixed(1)} ms |`,
      `| the same from the start of \`svc\` | ${whole.median.toFixed(1)} ms, ${whole.p99.toFixed(1)} ms |`,
      `| processor time of the kernel in 10 s; idle | ${flooded.toFixed(0)} ms; ${idle.toFixed(0)} ms |`,
    ];
  } finally {
    await stopped(supervisor, runtimeDir);
  }
}

async function processorTime(pid: number): Promise<number> {
  const before = runTime(pid);
  await sleep(IDLE_MS);
  return runTime(pid) - before;
}

/** How long pausing and continuing takes, in milliseconds. */
async function commandTimes(
  pid: number,
  command: (letter: 'p' | 'c') => void,
): Promise<{ readonly median: number; readonly p99: number }> {
  const times: number[] = [];
  const isStopped = (): boolean => /\) T /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  for (let count = 0; count < COMMANDS; count++) {
    const letter = count % 2 === 0 ? 'p' : 'c';
    const begun = performance.now();
    command(letter);
    while (isStopped() !== (letter === 'p')) await sleep(0);
    times.push(performance.now() - begun);
    await sleep(5);
  }
  return { median: median(times), p99: times.toSorted((a, b) => a - b)[Math.ceil(COMMANDS * 0.99) - 1] ?? NaN };
}

async function thousand(): Promise<readonly string[]> {
  const count = 1000;
  const dir = mkdtempSync(join(workDir, 'thousand-'));
  chmodSync(dir, 0o755);
  for (let index = 0; index < count; index++)
    makeService(join(dir, `s${index}`), `#!/bin/sh\necho ${END}\nexec sleep 100000\n`);
  const { supervisor, runtimeDir } = startStack(dir);
  try {
    for (let index = 0; index < count; index++)
      while (!hasEnded(join(dir, `s${index}`, 'main/current'))) await sleep(20);
    await sleep(6000);
    const kernel = supervisor.pid ?? 0;
    const host = hostOf(kernel);
    const row = (title: string, pids: readonly number[]): string =>
      `| ${title} | ${sum(pids.map((pid) => rollup(pid, 'Pss'))).toFixed(0)} MB | ${sum(pids.map((pid) => rollup(pid, 'Private_Clean') + rollup(pid, 'Private_Dirty'))).toFixed(0)} MB |`;
    return [
      `| ${count} services with logs | PSS | of it private |`,
      '|---|---|---|',
      row('the kernel', [kernel]),
      row('the log host', [host]),
      row('in all', [kernel, host]),
    ];
  } finally {
    await stopped(supervisor, runtimeDir);
  }
}

function hostOf(kernel: number): number {
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = children.find((pid) => {
    try {
      const isChild = new RegExp(`^PPid:\\s+${kernel}$`, 'm').test(readFileSync(`/proc/${pid}/status`, 'latin1'));
      return isChild && readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith('log-multilog');
    } catch {
      return false; // it has ended
    }
  });
  return Number(found);
}
