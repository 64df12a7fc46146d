/**
 * How long each program takes from its start to its end, beside `node -e 0` and beside C's program, all in turn. Prints
 * medians and ratios; with --write puts them into docs/benchmarks.md.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median, publish } from './report.ts';

const RUNS = Number(process.env['RUNS'] ?? 5) * 8;
const binDir = join(import.meta.dirname, '../../packages/cli/bin');
const cDir = process.env['DAEMONTOOLS_BIN'] ?? '/usr/bin';
const node = realpathSync(join(import.meta.dirname, `../../node_modules/node-linux-${process.arch}/bin/node`));

/** What each program is called with: the least that it can do. Every chain ends with the same small program. */
const calls: Readonly<Record<string, readonly string[]>> = {
  svc: ['service'],
  svok: ['service'],
  svstat: ['service'],
  tai64n: [],
  tai64nlocal: [],
  readproctitle: ['.....'],
  multilog: ['t', './log'],
  envdir: ['variables', '/bin/true'],
  envuidgid: ['root', '/bin/true'],
  fghack: ['/bin/true'],
  pgrphack: ['/bin/true'],
  setlock: ['lock', '/bin/true'],
  setuidgid: ['root', '/bin/true'],
  softlimit: ['-c', '=', '/bin/true'],
};
/** A chain of five: each word that is a program's name becomes its path. */
const chain = [
  'setlock',
  'lock',
  'softlimit',
  '-o',
  '100',
  'envdir',
  'variables',
  'envuidgid',
  'root',
  'setuidgid',
  'root',
];

interface Command {
  readonly name: string;
  readonly argv: readonly string[];
  /** Milliseconds, one for each run. */
  readonly times: number[];
}

const command = (name: string, argv: readonly string[]): Command => ({ name, argv, times: [] });
const inDir = (dir: string, words: readonly string[]): readonly string[] =>
  words.map((word) => (word in calls ? join(dir, word) : word));
const withBoth = (name: string, words: readonly string[]): readonly Command[] => [
  command(`daemontap ${name}`, inDir(binDir, words)),
  ...(existsSync(join(cDir, 'svc')) ? [command(`C ${name}`, inDir(cDir, words))] : []),
];

const nothing = command('node -e 0', [node, '-e', '0']);
const names = [...Object.keys(calls), 'a chain of five'];
const commands = [
  nothing,
  ...Object.entries(calls).flatMap(([name, words]) => withBoth(name, [name, ...words])),
  ...withBoth('a chain of five', [...chain, '/bin/true']),
];

const workDir = mkdtempSync(join(tmpdir(), 'daemontap-bench-'));
try {
  mkdirSync(join(workDir, 'service/supervise'), { recursive: true });
  mkdirSync(join(workDir, 'variables'));
  for (let run = 0; run <= RUNS; run++) {
    for (const { argv, times } of commands) {
      const [file = '', ...words] = argv;
      const begun = performance.now();
      spawnSync(file, words, { cwd: workDir, stdio: 'ignore', env: { PATH: '/usr/bin:/bin' } });
      if (run > 0) times.push(performance.now() - begun); // the first run warms caches
    }
  }
} finally {
  rmSync(workDir, { recursive: true, force: true });
}

const medianOf = (name: string): number => median(commands.find((each) => each.name === name)?.times ?? []);
const reference = medianOf('node -e 0');
publish('starts', [
  `\`node -e 0\`: ${reference.toFixed(1)} ms. Medians of ${RUNS} runs of each command, in turn.`,
  '',
  '| program | ms | × `node -e 0` | C, ms |',
  '|---|---|---|---|',
  ...names.map((name) => {
    const own = medianOf(`daemontap ${name}`);
    return `| ${name} | ${own.toFixed(1)} | ${(own / reference).toFixed(2)} | ${medianOf(`C ${name}`).toFixed(1)} |`;
  }),
]);
