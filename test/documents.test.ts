/** That the TypeScript in documents is some: each block is compiled as a file of its own. */
import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const rootDir = join(import.meta.dirname, '..');
/** What hooks.md shows of types by themselves is compiled where it comes from; writing-a-plugin.md has a test of its own. */
const pages = globSync(['README.md', '{packages,plugins}/*/README.md', 'docs/configuration.md'], { cwd: rootDir });
/** Plugins that a reader would have. */
const own = `
import { definePlugin } from '@daemontap/kernel';
import type { PluginFactory, StandardSchema } from '@daemontap/kernel';
interface Options { readonly dir?: string; readonly increment?: number; readonly program?: string }
declare const schema: StandardSchema<Options, Options>;
export const logFile: PluginFactory<Options> = definePlugin({ name: 'log-file', apiVersion: 1, schema, apply() {} });
export const nice: PluginFactory<Options> = definePlugin({ name: 'nice', apiVersion: 1, schema, apply() {} });
`;
const compilerOptions = {
  ...{ target: 'es2024', lib: ['es2024', 'esnext.disposable'], module: 'nodenext', types: ['node'] },
  ...{ strict: true, skipLibCheck: true, noEmit: true, allowImportingTsExtensions: true },
};

test('every block of TypeScript compiles', () => {
  const dir = mkdtempSync(join(tmpdir(), 'daemontap-documents-'));
  try {
    mkdirSync(join(dir, 'src'));
    symlinkSync(join(rootDir, 'node_modules'), join(dir, 'node_modules'));
    writeFileSync(join(dir, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['src'] }));
    writeFileSync(join(dir, 'src/index.ts'), own);
    let count = 0;
    for (const page of pages) {
      const blocks = readFileSync(join(rootDir, page), 'utf8').matchAll(/^```ts\n(.*?)^```$/gms);
      for (const [, text = ''] of blocks) {
        const name = `${page.replaceAll('/', '_')}_${++count}.ts`;
        writeFileSync(join(dir, 'src', name), `${text}\nexport {};\n`);
      }
    }
    expect(count).toBeGreaterThan(15);
    const said = compile(dir);
    expect(said).toBe('');
  } finally {
    rmSync(dir, { recursive: true });
  }
});

/** What the compiler says. */
function compile(cwd: string): string {
  try {
    const words = [join(rootDir, 'node_modules/typescript/bin/tsc')];
    return execFileSync(process.execPath, words, { cwd, encoding: 'utf8' });
  } catch (error) {
    if (error instanceof Error && 'stdout' in error) return String(error.stdout);
    throw error;
  }
}
