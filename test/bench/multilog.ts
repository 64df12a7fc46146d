/**
 * How fast multilog takes 200 MB of log lines, beside C's multilog and s6-log, all in turn. Prints medians and ratios;
 * with --write puts them into docs/benchmarks.md.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commonWords, makeLines } from './lines.ts';
import { median, publish } from './report.ts';

const RUNS = Number(process.env['RUNS'] ?? 5);
const BYTES = 200_000_000;
const ours = join(import.meta.dirname, '../../packages/cli/bin/multilog');
const c = join(process.env['DAEMONTOOLS_BIN'] ?? '/usr/bin', 'multilog');
const s6 = '/usr/bin/s6-log';

const two = ['-*', '+* *status: *'];
const rotation = ['s16777215', 'n50', './d'];
const workloads = [
  { name: 'stamped: `t s16777215 n50 ./d`', words: ['t', ...rotation], s6: ['n50', 's16777215', 't', './d'] },
  { name: 'with two patterns', words: ['t', ...two, ...rotation] },
  {
    name: 'with twelve patterns',
    words: ['t', '-*', ...commonWords.map((word, index) => `${index % 3 === 2 ? '-' : '+'}* *${word}*`), ...rotation],
  },
  { name: 'as it is: `s16777215 n50 ./d`', words: rotation },
];

interface Measured {
  readonly seconds: number;
  readonly megabytes: number;
}

const workDir = mkdtempSync(join(tmpdir(), 'daemontap-bench-'));
const input = join(workDir, 'lines');
try {
  makeLines(input, BYTES);
  const rows: string[] = [];
  for (const { name, words, s6: s6Words } of workloads) {
    const commands = [
      { argv: [ours, ...words], measured: [] as Measured[] },
      { argv: [c, ...words], measured: [] as Measured[] },
      ...(s6Words !== undefined && existsSync(s6)
        ? [{ argv: [s6, '--', ...s6Words], measured: [] as Measured[] }]
        : []),
    ];
    for (let run = 0; run <= RUNS; run++) {
      for (const { argv, measured } of commands) {
        const result = measure(argv);
        if (run > 0) measured.push(result); // the first run warms caches
      }
    }
    const [own, theirs, other] = commands.map(({ measured }) => median(measured.map(({ seconds }) => seconds)));
    const ratio = (seconds: number | undefined): string =>
      seconds === undefined ? '' : (seconds / (own ?? NaN)).toFixed(2);
    const memory = Math.max(...(commands[0]?.measured ?? []).map(({ megabytes }) => megabytes));
    rows.push(
      `| ${name} | ${own?.toFixed(2)} s | ${theirs?.toFixed(2)} s | ${ratio(theirs)} | ${other === undefined ? '' : `${other.toFixed(2)} s`} | ${ratio(other)} | ${memory.toFixed(0)} MB |`,
    );
    process.stderr.write(`${rows.at(-1)}\n`);
  }
  publish('multilog', [
    `| 200 MB, lines of 85 bytes on average, median of ${RUNS} runs in turn | daemontap | C multilog | C / ours | s6-log | s6 / ours | our peak memory |`,
    '|---|---|---|---|---|---|---|',
    ...rows,
  ]);
} finally {
  rmSync(workDir, { recursive: true, force: true });
}

function measure(argv: readonly string[]): Measured {
  rmSync(join(workDir, 'd'), { recursive: true, force: true });
  // Through a pipe, as from a service. The peak memory is that of the logger alone.
  const script = 'cat "$0" | { /usr/bin/time -f %M -o memory "$@"; }';
  const begun = performance.now();
  const { status } = spawnSync('/bin/sh', ['-c', script, input, ...argv], { cwd: workDir, stdio: 'ignore' });
  const seconds = (performance.now() - begun) / 1000;
  if (status !== 0) throw new Error(`${argv.join(' ')} ended with ${status}`);
  const memory = spawnSync('cat', ['memory'], { cwd: workDir, encoding: 'utf8' }).stdout;
  return { seconds, megabytes: Number(memory) / 1024 };
}
