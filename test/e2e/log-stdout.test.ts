/** The lines of services on daemontap's standard output: in a file, in a pipe that may be stuck, and on a terminal. */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { makeFifo } from './support/fifo.ts';
import { asNobody, canBeNobody } from './support/nobody.ts';
import { joinBytes, oddNames } from './support/odd-names.ts';
import { compareWithSent } from './support/numbered.ts';
import { floodsNumbers, keepsLines } from './support/runs.ts';
import { stack } from './support/stack.ts';
import type { Stack, StackOptions } from './support/stack.ts';
import { start } from './support/start.ts';
import type { StartedProgram } from './support/start.ts';
import { childrenOf, isWriting, linesOf } from './support/supervised.ts';
import { until } from './support/until.ts';

const NOBODY = 65534;
const isRoot = process.geteuid?.() === 0;
const canScript = existsSync('/usr/bin/script');
if (!canScript) console.log('skipped: lines on a terminal; they need script of util-linux');

/**
 * Writes so many numbered lines of up to so many bytes, each of one letter, in pieces of at most so many bytes, then
 * stays: `NUMBER LENGTH xxx`.
 */
const floods = ({ lines, most, piece }: Record<'lines' | 'most' | 'piece', number>): string => `exec perl -e '
  srand 7; my ($lines, $most, $piece) = (${lines}, ${most}, ${piece}); my $text = "";
  my $put = sub { while (length $text >= $_[0]) { my $n = syswrite STDOUT, $text, $piece or die; substr $text, 0, $n, "" } };
  for my $n (1 .. $lines) {
    my $length = $n == 2 ? $most : int rand $most;
    $text .= "$n $length " . chr(97 + $n % 26) x $length . "\\n"; $put->($piece);
  }
  $put->(1); sleep 1000'`;

const flooders = {
  short: { lines: 15_000, most: 60, piece: 4096 },
  pieces: { lines: 300, most: 5000, piece: 777 },
  single: { lines: 3000, most: 200, piece: 65_536 },
} as const;

/** What is wrong with the lines of such services behind their names. */
function wrongLines(text: string, expected: Readonly<Record<string, { readonly lines: number }>>): readonly string[] {
  const problems: string[] = [];
  const counts = new Map<string, number>();
  for (const line of text.split('\n').slice(0, -1)) {
    const [, name = '', number = '', length = '', letters = ''] = /^([^:]*): (\d+) (\d+) ([a-z]*)$/.exec(line) ?? [];
    const isNext = Number(number) === (counts.get(name) ?? 0) + 1;
    const isWhole = letters === String.fromCharCode(97 + (Number(number) % 26)).repeat(Number(length));
    if (!isNext || !isWhole) problems.push(line.slice(0, 100));
    counts.set(name, Number(number));
  }
  for (const [name, { lines }] of Object.entries(expected)) {
    if (counts.get(name) !== lines) problems.push(`${counts.get(name)} lines of ${name}`);
  }
  return problems;
}

/** Has standard output go to a FIFO in the scan directory, and what comes out of it to a file. */
interface Piped extends AsyncDisposable {
  readonly up: Stack;
  readonly reader: StartedProgram;
}

function piped(options: StackOptions): Piped {
  let reader: StartedProgram | undefined;
  const up = stack({
    ...options,
    through: ['sh', '-c', 'exec "$@" >out', 'sh', ...(options.through ?? [])],
    prepare(given) {
      makeFifo(given.here.join('out'));
      reader = start(['cat', given.here.join('out')], { cwd: given.here.path });
      options.prepare?.(given);
    },
  });
  if (reader === undefined) throw new Error('nobody reads');
  const { [Symbol.asyncDispose]: endReader } = reader;
  return {
    up,
    reader,
    async [Symbol.asyncDispose]() {
      await up[Symbol.asyncDispose]();
      await endReader();
    },
  };
}

const makeFlooders =
  (all: Readonly<Record<string, Parameters<typeof floods>[0]>>): NonNullable<StackOptions['prepare']> =>
  ({ make }) => {
    for (const [name, each] of Object.entries(all)) make(name, floods(each));
  };

describe('log-stdout', { concurrent: true }, () => {
  // Longer lines than half of the pipe are cut; root's are larger.
  const long = { lines: 40, most: isRoot ? 100_000 : 30_000, piece: 1e6 };

  test('of services that flood, each line is whole and behind its name, in a file', async () => {
    const all = { ...flooders, long };
    await using up = stack({ plugins: ['log-stdout'], prepare: makeFlooders(all) });
    const wrong = (): readonly string[] => wrongLines(up.up.stdout(), all);
    await until(() => wrong().length === 0, {
      describe: 'all lines are there',
      state: () => [wrong().slice(0, 5), up.said()],
      everyMs: 200,
    });
    expect(await up.stop()).toEqual({ code: 0, signal: undefined });
    expect([wrong(), up.said(), up.pids(), up.left()]).toEqual([[], '', [], []]);
  });

  test('and in a pipe', async () => {
    const all = { ...flooders, long };
    await using both = piped({ plugins: ['log-stdout'], prepare: makeFlooders(all) });
    const { up, reader } = both;
    const wrong = (): readonly string[] => wrongLines(reader.stdout(), all);
    await until(() => wrong().length === 0, {
      describe: 'all lines are there',
      state: () => [wrong().slice(0, 5), up.said()],
      everyMs: 200,
    });
    expect(await up.stop()).toEqual({ code: 0, signal: undefined });
    expect(await reader.exit).toEqual({ code: 0, signal: undefined });
    expect([wrong(), up.said()]).toEqual([[], '']);
  });

  test.runIf(canBeNobody)('as nobody, with the pipes that anybody gets', async () => {
    const all = { ...flooders, long: { ...long, most: 30_000 } };
    await using up = stack({
      plugins: ['log-stdout'],
      through: asNobody([]).map(String),
      owner: NOBODY,
      prepare: makeFlooders(all),
    });
    const wrong = (): readonly string[] => wrongLines(up.up.stdout(), all);
    await until(() => wrong().length === 0, {
      describe: 'all lines are there',
      state: () => [wrong().slice(0, 5), up.said()],
      everyMs: 200,
    });
    expect(await up.stop()).toEqual({ code: 0, signal: undefined });
    expect([wrong(), up.said(), up.left()]).toEqual([[], '', []]);
  });

  test('names of any bytes are shown on one line, and a service with a log/ of its own is left alone', async () => {
    await using up = stack({
      plugins: ['log-stdout'],
      prepare({ here, path, make }) {
        const service = make('run-of-all', 'echo hello; exec sleep 1000');
        for (const [, name] of oddNames) {
          const dir = joinBytes(`${here.path}/service/`, name);
          mkdirSync(dir);
          symlinkSync(`${service}/run`, joinBytes(dir, '/run'));
        }
        make('logged', 'echo hello; exec sleep 1000');
        make('logged/log', keepsLines);
        writeFileSync(path('run-of-all/down'), '');
      },
    });
    const shown = (): readonly string[] => up.up.stdout().split('\n').slice(0, -1);
    await until(() => shown().length === oddNames.length, {
      describe: 'all have spoken',
      state: () => [shown(), up.said()],
    });
    await until(() => linesOf(up.path('logged/log/lines')).length === 1, { describe: 'the log service has its line' });
    expect(
      shown()
        .map((line) => Buffer.from(line, 'latin1').toString())
        .toSorted(),
    ).toEqual(
      ['a\\nb', 'a\\n', ` a 'b" $c\\ *`, 'a\\xff\\xfe\\xc3(', 'dienst-ü-サービス', '-a']
        .map((label) => `${label}: hello`)
        .toSorted(),
    );
  });

  test('without prefixes lines are as they were, and colours are shown where they are asked for', async () => {
    const speaks: StackOptions['prepare'] = ({ make }) => {
      for (const name of ['a', 'b']) make(name, 'echo hello; exec sleep 1000');
    };
    await using plain = stack({ plugins: [['log-stdout', { prefix: false }]], prepare: speaks });
    await using colored = stack({ plugins: [['log-stdout', { color: 'always' }]], prepare: speaks });
    await until(() => plain.up.stdout().length >= 12, { describe: 'both have spoken' });
    await until(() => colored.up.stdout().split('\n').length === 3, { describe: 'both have spoken' });
    expect(plain.up.stdout()).toBe('hello\nhello\n');
    const shown = colored.up.stdout();
    expect(stripVTControlCharacters(shown).split('\n').toSorted()).toEqual(['', 'a: hello', 'b: hello']);
    expect(shown.split('\n').filter((line) => line !== stripVTControlCharacters(line))).toHaveLength(2);
  });

  test.runIf(canScript).each([
    { where: 'on a terminal', env: {}, isColored: true },
    { where: 'on a terminal with NO_COLOR', env: { NO_COLOR: '1' }, isColored: false },
    { where: 'on a terminal with an empty NO_COLOR', env: { NO_COLOR: '' }, isColored: true },
  ])('names $where have colours: $isColored', async ({ env, isColored }) => {
    await using up = stack({
      plugins: ['log-stdout'],
      env,
      through: ['sh', '-c', 'exec script -qefc "exec $*" /dev/null', 'sh'],
      prepare: ({ make }) => void make('a', 'echo hello; exec sleep 1000'),
    });
    await until(() => up.up.stdout().includes('hello\r\n'), {
      describe: 'it has spoken',
      state: () => [up.up.stdout(), up.said()],
    });
    const [kernel = 0] = childrenOf(up.up.pid);
    process.kill(kernel, 'SIGTERM');
    expect(await up.up.exit).toEqual({ code: 0, signal: undefined });
    expect(stripVTControlCharacters(up.up.stdout())).toBe('a: hello\r\n');
    expect(up.up.stdout() !== 'a: hello\r\n').toBe(isColored);
  });

  test('nobody reads for a while: supervising goes on, and no line is lost', async () => {
    await using both = piped({
      plugins: ['log-stdout'],
      prepare({ make }) {
        make('quiet');
        make('numbers', floodsNumbers);
        make('many', floods(flooders.short));
      },
    });
    const { up, reader } = both;
    await until(() => reader.stdout().includes('numbers: '), { describe: 'lines come', state: up.said });
    process.kill(reader.pid, 'SIGSTOP');
    const sent = (): number => Number(linesOf(up.path('numbers', `sent.${up.record('numbers')?.pid}`))[0] ?? 0);
    const flood = await up.runs('numbers');
    await until(() => isWriting(flood), { describe: 'the service waits' });
    const before = sent();
    const pid = await up.runs('quiet');
    await up.svc('-t', 'quiet');
    await up.runs('quiet', pid);
    expect(await up.svstat('numbers')).toEqual(['numbers: up (pid N) N seconds']);
    process.kill(reader.pid, 'SIGCONT');
    await until(() => sent() > before + 100, { describe: 'the service writes on' });
    expect(await up.stop()).toEqual({ code: 0, signal: undefined });
    await reader.exit;
    const numbers = reader
      .stdout()
      .split('\n')
      .filter((line) => line.startsWith('numbers: '));
    expect(
      compareWithSent(
        up.path('numbers'),
        numbers.map((line) => line.slice('numbers: '.length)),
      ),
    ).toEqual({ problems: [], repeatedBytes: 0 });
    expect(up.said()).toBe('');
  });

  test('nobody reads while everything is stopped: that has its deadline', async () => {
    await using both = piped({
      plugins: ['log-stdout'],
      stopTimeout: 1,
      prepare: ({ make }) => void make('many', floodsNumbers),
    });
    const { up, reader } = both;
    await until(() => reader.stdout().includes('many: '), { describe: 'lines come', state: up.said });
    process.kill(reader.pid, 'SIGSTOP');
    const pid = await up.runs('many');
    await until(() => isWriting(pid), { describe: 'the service waits' });
    expect(await up.stop()).toEqual({ code: 0, signal: undefined });
    expect(up.pids()).toEqual([]);
    expect(up.said()).toMatch(/^svscan: warning: log-stdout\/\S+ has not ended in time: stopping it\n/);
  });

  test('a standard output that is closed hinders nothing', async () => {
    await using up = stack({
      plugins: ['log-stdout'],
      through: ['sh', '-c', 'exec "$@" >&-', 'sh'],
      prepare: ({ make }) =>
        void make(
          'many',
          `${floods(flooders.short).slice(0, -1).replace('sleep 1000', 'open my $out, ">", "done"; sleep 1000')}'`,
        ),
    });
    await until(() => existsSync(up.path('many/done')), { describe: 'all is written', state: up.said });
    expect(await up.stop()).toEqual({ code: 0, signal: undefined });
    expect([up.said(), up.pids()]).toEqual(['', []]);
  });
});
