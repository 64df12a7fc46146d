/**
 * WebAssembly's memory takes 8 GB of address space, or as much as it needs where there is less: a limit does not end the
 * process. Its vectors and its calls with several results are there on every Node that is supported.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const stamper = join(import.meta.dirname, '../../packages/multilog/src/stamp-lines.ts');
const program = `
  import { readFileSync } from 'node:fs';
  import { LineStamper } from ${JSON.stringify(stamper)};
  const addressSpace = () => Number(/VmSize:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))[1]);
  const before = addressSpace();
  const labels = { second: Buffer.from('@4000000000000000'), us: 0, mostUs: 0 };
  const target = Buffer.alloc(1000);
  const { length } = new LineStamper().stamp(Buffer.from('a line\\n'), 0, target, 1000, labels);
  console.log(JSON.stringify([target.toString('latin1', 0, length), addressSpace() - before]));`;

/** What it has stamped, and how many KB of address space that took. */
function stamped(limitKb: number | 'unlimited'): readonly [text: string, tookKb: number] {
  const script = `ulimit -v ${limitKb}; exec "$0" --conditions=@daemontap/source --input-type=module -e "$1"`;
  return JSON.parse(execFileSync('/bin/sh', ['-c', script, process.execPath, program], { encoding: 'utf8' })) as [
    string,
    number,
  ];
}

test('its memory takes the address space that there is, and does without', () => {
  const line = '@4000000000000000000001f4 a line\n';
  const [wide, narrow] = [stamped('unlimited'), stamped(2_000_000)];
  expect([wide[0], narrow[0]]).toEqual([line, line]);
  expect(wide[1]).toBeGreaterThan(4_000_000);
  expect(narrow[1]).toBeLessThan(500_000);
});
