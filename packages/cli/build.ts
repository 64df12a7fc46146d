/**
 * Bundles each group of programs into one file: dist/GROUP.cjs from src/bin/GROUP.ts. Straight from the sources, so it
 * needs no compiler before it. What loads native code or files of its own stays outside of the bundles.
 */
import { chmodSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const packageDir = import.meta.dirname;
const sourceDir = join(packageDir, 'src/bin');
const outputDir = join(packageDir, 'dist');
const programDir = join(packageDir, 'bin');
const sources = readdirSync(sourceDir).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));

for (const name of existsSync(outputDir) ? readdirSync(outputDir) : []) {
  if (name.endsWith('.cjs')) rmSync(join(outputDir, name)); // of a source that may be gone
}

await build({
  entryPoints: sources.map((name) => join(sourceDir, name)),
  outdir: outputDir,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node22',
  conditions: ['@daemontap/source'],
  define: { 'import.meta.filename': '__filename' },
  external: ['koffi'],
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'warning',
});

// git keeps the mode, but an archive or a copy may not.
for (const name of readdirSync(programDir)) chmodSync(join(programDir, name), 0o755);
