import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BLOCK_MAX } from './areas.ts';
import { giveBatchBack, Lines } from './lines.ts';
import { parseScript } from './script.ts';
import { LineStamper } from './stamp-lines.ts';
import { Stamps, STAMP_SIZE } from './stamps.ts';

const NOON = 1_700_000_000_000_000; // microseconds
const LONGEST = 65_536;
const labelOf = /@4[0-9a-f]{23} /y;

/** Lines of these lengths, without what ends them; a last one is not finished. */
function block(lengths: readonly number[], isFinished = true): Buffer {
  const lines = lengths.map((length, index) => `${String.fromCharCode(97 + (index % 26)).repeat(length)}\n`).join('');
  return Buffer.from(isFinished ? lines : `${lines}the rest`, 'latin1');
}

/** What one label after the other gives. */
function stampedOneByOne(stamps: Stamps, lines: Buffer): Buffer {
  const label = Buffer.from(new ArrayBuffer(STAMP_SIZE), 0);
  const parts: Buffer[] = [];
  for (let at = 0, end = 0; (end = lines.indexOf('\n', at) + 1) > 0; at = end) {
    stamps.write(new DataView(label.buffer), 0);
    parts.push(Buffer.from(label), lines.subarray(at, end));
  }
  return Buffer.concat(parts);
}

/** The same, as many as there are at once. */
function stampedAtOnce(stamps: Stamps, lines: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < lines.length;) {
    const target = Buffer.alloc(4 * LONGEST);
    const { taken = 0, length = 0 } = stamps.writeLines(lines, at, target, 100_000) ?? {};
    if (taken === 0) break;
    parts.push(target.subarray(0, length));
    at += taken;
  }
  return Buffer.concat(parts);
}

describe('whole lines', () => {
  test.each([
    ['early in a second', NOON + 5],
    ['over the end of a second', NOON + 999_990],
    ['more than there are microseconds', NOON + 999_500],
  ])('get the labels that they get one by one: %s', (_, us) => {
    const lines = block(Array.from({ length: 3000 }, (_unused, index) => (index * 7) % 90));
    const [one, other] = [new Stamps(), new Stamps()];
    for (const stamps of [one, other]) stamps.setClock(BigInt(us) * 1000n);
    expect(stampedAtOnce(one, lines).equals(stampedOneByOne(other, lines))).toBe(true);
    const [next, otherNext] = [one, other].map((stamps) => stampedOneByOne(stamps, Buffer.from('next\n')));
    expect(next).toEqual(otherNext);
  });

  test('of any lengths, in any clock', () => {
    const lengths = fc.array(fc.oneof(fc.nat(40), fc.nat(2000), fc.constantFrom(0, 15, 16, 17, LONGEST - 1)), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(lengths, fc.nat(999_999), fc.boolean(), (each, us, isFinished) => {
        const lines = block(each, isFinished);
        const [one, other] = [new Stamps(), new Stamps()];
        for (const stamps of [one, other]) stamps.setClock(BigInt(NOON + us) * 1000n);
        return stampedAtOnce(one, lines).equals(stampedOneByOne(other, lines));
      }),
    );
  });

  test('that are too long, or are none, are left', () => {
    const stamper = new LineStamper();
    const labels = { second: new Uint8Array(17), us: 7, mostUs: 1000 };
    const stamp = (text: Buffer): unknown => stamper.stamp(text, 0, Buffer.alloc(4 * LONGEST), 1000, labels);
    const nothing = { taken: 0, length: 0, us: 7 };
    expect(stamp(block([]))).toEqual(nothing);
    expect(stamp(block([], false))).toEqual(nothing);
    expect(stamp(block([LONGEST]))).toEqual(nothing);
    expect(stamp(block([LONGEST - 1]))).toEqual({ taken: LONGEST, length: LONGEST + STAMP_SIZE, us: 8 });
  });

  test('stop behind the line with which there is enough', () => {
    const stamper = new LineStamper();
    const labels = { second: new Uint8Array(17), us: 0, mostUs: 1000 };
    const stamp = (enough: number): number =>
      stamper.stamp(block([10, 10, 10, 10]), 0, Buffer.alloc(500), enough, labels).taken;
    expect([0, 36, 37, 1000].map(stamp)).toEqual([11, 11, 22, 44]);
  });
});

describe('a block', () => {
  const [stamped, plain] = [['t', './d'], ['./d']].map((words) => parseScript(words.map((word) => Buffer.from(word))));
  const taken = (script: typeof stamped, blocks: readonly Buffer[]): Buffer => {
    const parts: Buffer[] = [];
    if (script === undefined) throw new Error('no script');
    const lines = new Lines(script, () => {});
    for (const each of [...blocks, Buffer.from('\n')]) {
      for (const batch of lines.take(each)) {
        for (const { area, length } of batch.outputs) {
          expect(length).toBeLessThanOrEqual(area.bytes.length);
          parts.push(Buffer.from(area.bytes.subarray(0, length)));
        }
        giveBatchBack(batch);
      }
    }
    return Buffer.concat(parts);
  };
  /** Takes every label away, and looks at it. */
  const withoutLabels = (text: Buffer): string => {
    const latin1 = text.toString('latin1');
    const lines: string[] = [];
    let last = '';
    for (let at = 0; at < latin1.length;) {
      labelOf.lastIndex = at;
      const label = labelOf.exec(latin1)?.[0];
      if (label === undefined || label < last)
        throw new Error(`no label, or an earlier one: ${latin1.slice(at, at + 60)}`);
      const end = latin1.indexOf('\n', at) + 1;
      lines.push(latin1.slice(at + STAMP_SIZE, end));
      [last, at] = [label, end];
    }
    return lines.join('');
  };

  test('of whole and other lines, however it is cut, comes out as it went in', () => {
    const lengths = fc.array(
      fc.oneof(fc.nat(120), fc.nat(3000), fc.constantFrom(0, 973, 974, 975, LONGEST - 1, LONGEST, LONGEST + 1)),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(lengths, fc.array(fc.integer({ min: 1, max: BLOCK_MAX }), { maxLength: 30 }), (each, sizes) => {
        const all = block(each, false);
        const blocks: Buffer[] = [];
        for (let at = 0, index = 0; at < all.length; index++) {
          const size = sizes[index] ?? BLOCK_MAX;
          blocks.push(all.subarray(at, at + size));
          at += size;
        }
        const expected = `${all.toString('latin1')}\n`;
        expect(taken(plain, blocks).toString('latin1')).toBe(expected);
        expect(withoutLabels(taken(stamped, blocks))).toBe(expected);
      }),
      { numRuns: 60 },
    );
  });

  test('of lines that something is decided about comes out as line by line, and is shown and kept alike', () => {
    const scripts = [
      ['-*a*', './d'],
      ['-b*', './d', '-*', '+*c', './e', './f'],
      ['./d', '-*x*', './e', 'e', '=status'],
      ['-*', '+*d*', 'e', '=status'],
    ].map((words) => parseScript(words.map((word) => Buffer.from(word))));
    /** Blocks of less than a kilobyte are taken line by line. */
    const outcome = (script: typeof stamped, all: Buffer, blockSize: number): readonly string[] => {
      if (script === undefined) throw new Error('no script');
      const seen = Array.from({ length: 5 }, () => '');
      const lines = new Lines(script, (line) => (seen[3] += line.toString('latin1')));
      for (let at = 0; at < all.length; at += blockSize) {
        for (const batch of lines.take(all.subarray(at, at + blockSize))) {
          for (const [index, { area, length }] of batch.outputs.entries()) {
            expect(length).toBeLessThanOrEqual(area.bytes.length);
            seen[index] += area.bytes.toString('latin1', 0, length);
          }
          for (const { line } of batch.kept) seen[4] = line.toString('latin1');
          giveBatchBack(batch);
        }
      }
      return seen;
    };
    const lengths = fc.array(fc.oneof(fc.nat(60), fc.nat(3000), fc.constantFrom(0, 999, 1000, 1001, LONGEST)), {
      maxLength: 200,
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...scripts),
        lengths,
        fc.integer({ min: 1024, max: BLOCK_MAX }),
        (script, each, size) => {
          const all = block(each);
          expect(outcome(script, all, size)).toEqual(outcome(script, all, 1000));
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each([4096, LONGEST, BLOCK_MAX])('of %i empty lines, the most that labels can make of it', (count) => {
    const onlyToSecond = parseScript(['t', '-*', './d', '+*', './e'].map((word) => Buffer.from(word)));
    for (const script of [stamped, onlyToSecond]) {
      expect(withoutLabels(taken(script, [Buffer.alloc(count, '\n')]))).toBe('\n'.repeat(count + 1));
    }
  });

  test('is stamped line by line where WebAssembly has no room', () => {
    const program = (flag: string): string => `
      import { setFlagsFromString } from 'node:v8';
      import { Stamps } from ${JSON.stringify(join(import.meta.dirname, 'stamps.ts'))};
      setFlagsFromString('${flag}');
      const stamps = new Stamps();
      stamps.setClock(${NOON}000n);
      process.stdout.write(String(stamps.writeLines(Buffer.alloc(5000, 10), 0, Buffer.alloc(5000), 100)?.taken));`;
    const run = (flag: string): string => {
      const words = ['--conditions=@daemontap/source', '--input-type=module', '-e', program(flag)];
      return execFileSync(process.execPath, words, { encoding: 'utf8' });
    };
    expect(['--wasm-max-mem-pages=100', '--wasm-max-mem-pages=1'].map(run)).toEqual(['4', 'undefined']);
  });
});
