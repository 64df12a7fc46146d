/** Random scripts and random input through both multilogs: the same selection, the same content, the same bounds. */
import { writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { finishedFiles, logFiles, logged, maskStamps, modeOf, multilogs, textOf } from '../e2e/support/multilog.ts';
import { joinBytes } from '../e2e/support/odd-names.ts';
import { run } from '../e2e/support/run.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import type { TemporaryDirectory } from '../e2e/support/temporary-directory.ts';

const LIMIT_MS = 9000;
const SLACK = 2000;
const directories = ['a', 'b', 'c'] as const;
const statusFiles = ['first', 'second'] as const;

/** Few letters, so that patterns match; none that may be in a stamp by chance. */
const letters = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom('x', 'y', '*', ' ', '@', ':'), maxLength });

const patterns = fc.oneof(
  letters(4),
  fc.constantFrom('*', '', 'x*', '*x', '*x*', '@* *x*', '* *', `${'x'.repeat(1000)}*`),
);

const lines: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 8, arbitrary: letters(30).map((text) => Buffer.from(text)) },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(198, 200, 201, 973, 974, 975, 999, 1000, 1001, 1024, 3000, 9000)
      .map((n) => Buffer.alloc(n, 'x')),
  },
);

/** Lines, some of them many times, and whether the last one ends. */
const inputs: fc.Arbitrary<Uint8Array> = fc
  .tuple(fc.array(fc.tuple(lines, fc.constantFrom(1, 1, 1, 7, 100, 300)), { maxLength: 25 }), fc.boolean())
  .map(([each, ends]) => {
    const all = joinBytes(
      ...each.flatMap(([line, count]) => Array.from({ length: count }, () => joinBytes(line, '\n'))),
    );
    return ends ? all : all.subarray(0, -1);
  });

/** Actions but directories, each of which may be there once. */
const words = fc.oneof(
  { weight: 3, arbitrary: patterns.map((pattern) => `-${pattern}`) },
  { weight: 4, arbitrary: patterns.map((pattern) => `+${pattern}`) },
  { weight: 2, arbitrary: fc.constant('e') },
  fc.constantFrom('t', 'x./a', '', 'n0', 'n3', 'n5', 's', 's4096', 's5000x', 's9000', '!cat'),
  fc.constantFrom(...statusFiles.map((name) => `=${name}`)),
);

const scripts: fc.Arbitrary<readonly string[]> = fc
  .record({
    stamps: fc.constantFrom('t', 'x'),
    size: fc.constantFrom('s4096', 's4096', 's5000', 'x'),
    number: fc.constantFrom('n0', 'n0', 'n3', 'x'),
    actions: fc.array(words, { maxLength: 6 }),
    chosen: fc.shuffledSubarray([...directories], { minLength: 1 }),
    places: fc.array(fc.nat(), { minLength: 3, maxLength: 3 }),
  })
  .map(({ stamps, size, number, actions, chosen, places }) => {
    const script = [...actions];
    for (const [index, name] of chosen.entries()) {
      script.splice((places[index] ?? 0) % (script.length + 1), 0, `./${name}`);
    }
    return [stamps, size, number, ...script];
  });

/** How the bytes come: from a file, through a pipe, or through a pipe in small pieces. */
const ways = fc.oneof(
  fc.constantFrom('exec "$0" "$@" <../input', 'cat ../input | "$0" "$@"'),
  fc
    .integer({ min: 1, max: 1500 })
    .map((size) => `perl -e 'syswrite STDOUT, $_ while sysread STDIN, $_, ${size}' <../input | "$0" "$@"`),
);

/** What a multilog has left, without what differs from run to run. */
interface Left {
  readonly here: TemporaryDirectory;
  readonly outcome: unknown;
  readonly rest: unknown;
  text(directory: string): string;
}

async function leftBy(
  multilog: string,
  root: TemporaryDirectory,
  name: string,
  script: readonly string[],
  way: string,
): Promise<Left> {
  root.makeDirectory(name);
  const inside = (...names: readonly string[]): string => root.join(name, ...names);
  const { stderr, ...rest } = await run(['/bin/sh', '-c', way, multilog, ...script], { cwd: inside() });
  const present = directories.filter((each) => script.includes(`./${each}`));
  return {
    here: root,
    outcome: { ...rest, stderr: maskStamps(stderr) },
    rest: [
      statusFiles.map((each) => maskStamps(textOf(inside(each)) ?? 'none')),
      present.map((each) => [
        modeOf(inside(each)),
        logFiles(inside(each))
          .filter((file) => !file.name.startsWith('@'))
          .map((file) => [file.name, file.mode]),
      ]),
    ],
    text: (each) => maskStamps(logged(inside(each))),
  };
}

/** The size and the number that hold for a directory of a script. */
function boundsOf(script: readonly string[], directory: string): { readonly size: number; readonly old: number } {
  const before = script.slice(0, script.indexOf(`./${directory}`));
  const last = (letter: string): number =>
    Number.parseInt(before.findLast((word) => word.startsWith(letter))?.slice(1) ?? '', 10) || 0;
  const size = before.some((word) => word.startsWith('s')) ? Math.max(last('s'), 4096) : 99_999;
  const number = before.some((word) => word.startsWith('n')) ? Math.max(last('n'), 2) : 10;
  return { size, old: number - 1 };
}

test('random scripts and random input: what is left is the same', async () => {
  const seen = { runs: 0, files: 0, purged: 0, printed: 0 };
  const deadlineMs = performance.now() + LIMIT_MS;
  await fc.assert(
    fc.asyncProperty(scripts, inputs, ways, async (script, input, way) => {
      // fast-check's own limit would leave the run that it interrupts, with its files.
      if (performance.now() > deadlineMs) return;
      await using root = temporaryDirectory();
      writeFileSync(root.join('input'), input);
      const [ours, theirs = ours] = await Promise.all(
        multilogs.map((each) => leftBy(each.path('multilog'), root, each.name, script, way)),
      );
      if (ours === undefined || theirs === undefined) throw new Error('no multilog');
      expect(ours.outcome).toEqual(theirs.outcome);
      expect(ours.rest).toEqual(theirs.rest);
      // All that is logged, where nothing is removed.
      const keeping = script.filter((word) => !word.startsWith('n'));
      const stamped = script[0] === 't' ? ['t', 'n9999'] : ['n9999'];
      const whole = await leftBy(
        multilogs.at(-1)?.path('multilog') ?? '',
        root,
        'whole',
        [...stamped, ...keeping],
        way,
      );
      for (const directory of directories.filter((each) => script.includes(`./${each}`))) {
        const { size, old } = boundsOf(script, directory);
        const all = whole.text(directory);
        for (const [index, each] of [ours, theirs].entries()) {
          const path = root.join(multilogs[index % multilogs.length]?.name ?? '', directory);
          const files = finishedFiles(path);
          const where = `${path} of ${JSON.stringify(script)}`;
          expect(files.length, where).toBeLessThanOrEqual(old);
          for (const file of files) {
            expect([file.name.slice(-2), file.mode], where).toEqual(['.s', '744']);
            expect(file.text.length, where).toBeLessThanOrEqual(size);
            expect(file.text.length, where).toBeGreaterThanOrEqual(size - SLACK);
            if (!file.text.endsWith('\n')) expect(file.text.slice(size - SLACK).includes('\n'), where).toBe(false);
          }
          const text = each.text(directory);
          // What is left of more files may begin within a line, and within a stamp.
          if (files.length < old) expect(text === all, where).toBe(true);
          else expect(all.endsWith(text.slice(text.indexOf('\n') + 1)), where).toBe(true);
          seen.files += files.length;
          if (text.length < all.length) seen.purged++;
        }
      }
      seen.runs++;
      if (JSON.stringify(ours.outcome).includes('\\n')) seen.printed++;
    }),
    { numRuns: 45 },
  );
  // The cases are not all trivial; a slow machine may have had time for a few alone.
  if (seen.runs >= 30) expect(Math.min(seen.files, seen.purged, seen.printed)).toBeGreaterThan(0);
});
