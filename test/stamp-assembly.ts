/** `npm run assemble`: makes stamp-lines-code.ts of stamp-lines.wat, in the engine of multilog. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import loadWabt from 'wabt';

const engine = join(import.meta.dirname, '../packages/multilog/src');
const source = join(engine, 'stamp-lines.wat');
/** The file that is made. */
export const target: string = join(engine, 'stamp-lines-code.ts');
const CHARACTERS_A_LINE = 100;

/** What stands in the file. */
export async function assembled(): Promise<string> {
  const wabt = await loadWabt();
  const module = wabt.parseWat(source, readFileSync(source, 'utf8'), { simd: true, multi_value: true });
  const code = Buffer.from(module.toBinary({}).buffer).toString('base64');
  const lines = code.match(new RegExp(`.{1,${CHARACTERS_A_LINE}}`, 'g')) ?? [];
  return [
    '/** The program of stamp-lines.wat, assembled by `npm run assemble`. */',
    'export const code: string = [',
    ...lines.map((line) => `  '${line}',`),
    "].join('');",
    '',
  ].join('\n');
}

if (import.meta.main) writeFileSync(target, await assembled());
