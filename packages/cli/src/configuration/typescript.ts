/**
 * Loads plugins that are TypeScript where Node cannot: it strips types by WebAssembly, which the supervisor's V8 does
 * without to be small. So another Node strips them, a file at a time.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nearestManifest } from './resolve.ts';

const EXTENSIONS: ReadonlySet<string> = new Set(['.ts', '.mts', '.cts']);
const DEADLINE_MS = 10_000;
/** The source on standard input, without its types on standard output; positions stay as they are. */
const SCRIPT = `
  const { stripTypeScriptTypes } = require('node:module');
  const { readFileSync, writeFileSync } = require('node:fs');
  writeFileSync(1, stripTypeScriptTypes(readFileSync(0, 'utf8')));`;

let areHooksThere = false;

/** Makes sure that a module and what it imports can be loaded, if they are TypeScript. */
export function prepareTypeScript(file: string): void {
  if (areHooksThere || !EXTENSIONS.has(extname(file)) || 'WebAssembly' in globalThis) return;
  areHooksThere = true;
  registerHooks({
    load(url, context, nextLoad) {
      const path = url.startsWith('file:') ? fileURLToPath(url) : '';
      // As everywhere in Node, packages are to be published compiled.
      if (!EXTENSIONS.has(extname(path)) || path.includes('/node_modules/')) return nextLoad(url, context);
      const source = withoutTypes(path);
      return { format: formatOf(path, source), source, shortCircuit: true };
    },
  });
}

/** @throws what the other Node says of a file that is not well-formed */
function withoutTypes(path: string): string {
  const { status, stdout, stderr, error } = spawnSync(process.execPath, ['--no-warnings', '--eval', SCRIPT], {
    input: readFileSync(path),
    env: {},
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    timeout: DEADLINE_MS,
  });
  if (status === 0) return stdout;
  if (error !== undefined) throw error;
  const [, reason = 'its types cannot be stripped'] = /^\w*Error(?: \[\w+\])?: (.*)$/m.exec(stderr) ?? [];
  // Where in this program it is thrown is of no interest.
  throw Object.assign(new SyntaxError(`${path}: ${reason}`), { stack: '' });
}

/** As Node decides for JavaScript: by the ending, the package, or what the text looks like. */
function formatOf(path: string, source: string): 'module' | 'commonjs' {
  if (extname(path) === '.mts') return 'module';
  if (extname(path) === '.cts') return 'commonjs';
  const type = nearestManifest(path, 'type');
  if (type === 'module' || type === 'commonjs') return type;
  return /^\s*(import|export)\b/m.test(source) ? 'module' : 'commonjs';
}
