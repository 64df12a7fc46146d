/**
 * What hooks cost: a thousand services under `daemontap up`, with ten plugins that tap every hook and do nothing, and
 * with the same ten that tap none. Prints medians and ratios; with --write puts them into docs/benchmarks.md.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { median, publish } from './report.ts';
import { manyServices, runTime } from './services.ts';

const SERVICES = 1000;
const PLUGINS = 10;
const RUNS = Number(process.env['RUNS'] ?? 9);

const rootDir = join(import.meta.dirname, '../..');
const daemontap = join(rootDir, 'packages/cli/bin/daemontap');

interface Figures {
  /** Milliseconds from the start of the supervisor until all services run. */
  readonly allUp: number;
  /** Milliseconds that the supervisor has computed by then. */
  readonly computed: number;
}

const services = manyServices(SERVICES);
try {
  writePlugins();
  const figures: Record<'with' | 'without', Figures[]> = { with: [], without: [] };
  for (let run = 0; run <= RUNS; run++) {
    // Who is first profits from nothing: the order changes each time.
    const sides = run % 2 === 0 ? (['with', 'without'] as const) : (['without', 'with'] as const);
    for (const side of sides) {
      const measured = await measure(side);
      if (run > 0) figures[side].push(measured); // the first run warms caches
      process.stderr.write(`${side}: ${JSON.stringify(measured)}\n`);
    }
  }
  const of = (side: 'with' | 'without', key: keyof Figures): number => median(figures[side].map((each) => each[key]));
  const row = (title: string, key: keyof Figures): string => {
    const [a, b] = [of('with', key), of('without', key)];
    return `| ${title} | ${a.toFixed(0)} ms | ${b.toFixed(0)} ms | ${(((a - b) / b) * 100).toFixed(1)} % |`;
  };
  publish('hooks', [
    `| ${SERVICES} services, ${PLUGINS} plugins besides the preset, median of ${RUNS} runs in turn | tapping every hook | tapping none | cost |`,
    '|---|---|---|---|',
    row('from the start of `daemontap up` until all services run', 'allUp'),
    row('processor time of the supervisor by then', 'computed'),
  ]);
} finally {
  services.remove();
}

async function measure(side: 'with' | 'without'): Promise<Figures> {
  await services.forget();
  const begun = performance.now();
  const supervisor = spawn(daemontap, ['up', services.scanDir, '--config', join(services.workDir, `${side}.json`)], {
    env: { PATH: '/usr/bin:/bin', DAEMONTAP_RUNTIME_DIR: join(services.workDir, 'run') },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const isGone = new Promise((resolve) => supervisor.on('exit', resolve));
  await services.allStarted();
  const figures = { allUp: performance.now() - begun, computed: runTime(supervisor.pid ?? 0) };
  supervisor.kill('SIGTERM');
  await isGone;
  return figures;
}

/** Ten factories in one module, and a configuration for each side. */
function writePlugins(): void {
  const modules = join(services.workDir, 'node_modules/@daemontap');
  mkdirSync(modules, { recursive: true });
  symlinkSync(join(rootDir, 'packages/kernel'), join(modules, 'kernel'));
  const names = Array.from({ length: PLUGINS }, (_, index) => `idle${index}`);
  const plugin = (name: string): string => `export const ${name} = definePlugin({
  name: '${name}', apiVersion: 1, schema,
  apply({ hooks }, { taps }) {
    if (!taps) return;
    const { prepareSpawn, ...others } = hooks;
    prepareSpawn.tap('${name}', (plan) => plan);
    for (const hook of Object.values(others)) hook.tap('${name}', () => undefined);
  },
});`;
  writeFileSync(
    join(services.workDir, 'idle.mjs'),
    `import { definePlugin } from '@daemontap/kernel';
const schema = { '~standard': { version: 1, vendor: 'bench', validate: (value) => ({ value }) } };
${names.map(plugin).join('\n')}\n`,
  );
  for (const side of ['with', 'without']) {
    const plugins = names.map((name) => [`./idle.mjs#${name}`, { taps: side === 'with' }]);
    writeFileSync(join(services.workDir, `${side}.json`), JSON.stringify({ plugins }));
  }
}
