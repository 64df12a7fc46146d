/** multilog's scripts as options of log-multilog: what they make of the same input, beside multilog itself. */
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { multilogs, finishedFiles, listing, logged, maskStamps } from './support/multilog.ts';
import { run } from './support/run.ts';
import { stack } from './support/stack.ts';
import type { Stack } from './support/stack.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

/** What multilog itself is: C's, where that is installed. */
const [multilog] = multilogs.toReversed();
const writer = process.geteuid?.() === 0 ? { account: 'nobody' } : {};

/** The input of all: every kind of line that a script tells from others. Its last line is not finished. */
const INPUT = Buffer.from(
  [
    ...['foo[1]: x', 'foo[]: y', 'foo: z', 'foo', '', 'a*b', 'axb', 'xab', 'aab', '\xff\xfe\0 bytes'],
    ...Array.from(
      { length: 300 },
      (_, index) => `line ${index} ${'wanted error show status'.split(' ')[index % 7] ?? 'other'} ${'.'.repeat(index)}`,
    ),
    ...[
      'status one',
      'show this',
      `show ${'long '.repeat(60)}`,
      `status ${'long '.repeat(300)}`,
      'status two',
      'the end',
    ],
  ].join('\n'),
  'latin1',
);

const scripts = {
  selections: ['-*', '+foo*', '-foo[*]: *', '+*ab', '-', './main'],
  'selections of stamped lines': ['t', '-*', '+* line * wanted *', '+* status*', './main'],
  'several directories': ['t', './one', '-*', '+* line * error *', 's4096', 'n99', './two', '+*', './three'],
  'status files': ['-*', '+status*', '=out/last', '+*', '=out/any', './main'],
  'lines on standard error': ['-*', '+show*', 'e', './main'],
  'a processor': ['s4096', 'n99', '!tr a-z A-Z; { cat <&4; echo ran; } >&5', './main'],
  'numbers and words of all kinds': ['s1', 'n0', './little', 's99999999', 'n99', './large', '-*', './none'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

type Name = keyof typeof scripts;
const names = Object.keys(scripts) as Name[];

/** What a script has left in a directory: names and modes, and all that is logged, as what it depends on allows. */
function leftIn(dir: string, name: Name): Readonly<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const entry of readdirSync(dir).filter((each) => statSync(join(dir, each)).isDirectory())) {
    const path = join(dir, entry);
    if (entry === 'out') {
      for (const file of readdirSync(path)) found[`out/${file}`] = readFileSync(join(path, file), 'latin1');
      continue;
    }
    if (!scripts[name].some((word) => word === `./${entry}`)) continue; // supervise
    const text = maskStamps(logged(path));
    // Where a file ends depends on how input arrives.
    const files = finishedFiles(path).map((each) => each.text);
    if (entry === 'little') {
      found[entry] = { isEnd: `${INPUT.toString('latin1')}\n`.endsWith(text), count: files.length };
    } else if (name === 'a processor') {
      const ran = readFileSync(join(path, 'state'), 'latin1');
      found[entry] = { text: text.toUpperCase(), isProcessed: files.every((each) => each === each.toUpperCase()) };
      found[`${entry}/state`] = files.length > 10 && ran === 'ran\n'.repeat(files.length);
    } else found[entry] = text;
    found[`${entry}/`] = [...new Set(listing(path))];
  }
  return found;
}

function prepare({ here, make }: Parameters<NonNullable<Parameters<typeof stack>[0]['prepare']>>[0]): void {
  for (const name of names) {
    const path = make(name, 'cat input && : >out/.done; exec sleep 1000');
    writeFileSync(join(path, 'input'), INPUT);
    chmodSync(here.makeDirectory(join('service', name, 'out')), 0o777);
  }
}

const isWritten = ({ path }: Stack, name: Name): boolean => readdirSync(path(name, 'out')).includes('.done');

test.runIf(multilog !== undefined)('a script does what it does as multilog`s arguments', async () => {
  if (multilog === undefined) return;
  const services = Object.fromEntries(names.map((name) => [name, { 'log-multilog': { script: scripts[name] } }]));
  await using up = stack({ plugins: [['log-multilog', writer]], services, prepare });
  for (const name of names) await until(() => isWritten(up, name), { describe: `${name} has written`, state: up.said });
  expect(await up.stop()).toEqual({ code: 0, signal: undefined });
  let shown = '';
  for (const name of names) {
    await using here = temporaryDirectory();
    here.makeDirectory('out');
    writeFileSync(here.join('out/.done'), '');
    const { code, stderr } = await run([multilog.path('multilog'), ...scripts[name]], { cwd: here.path, input: INPUT });
    expect([name, code]).toEqual([name, 0]);
    shown += stderr;
    expect([name, leftIn(up.path(name), name)]).toEqual([name, leftIn(here.path, name)]);
  }
  expect(up.said()).toBe(shown);
});
