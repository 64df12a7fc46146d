/**
 * The same service with a log service, `exec setuidgid … multilog …`, and in a stack with log-multilog, setuidgid and
 * softlimit: what is in the log directories, whose it is, and what the service finds itself to be.
 */
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Implementation } from './support/implementations.ts';
import { logFiles, logged, maskStamps, modeOf, multilogs } from './support/multilog.ts';
import { asNobody, canBeNobody } from './support/nobody.ts';
import { stack } from './support/stack.ts';
import type { StackOptions } from './support/stack.ts';
import { linesOf } from './support/supervised.ts';
import { PERL, tellsIn, throughCaller } from './support/tells.ts';
import { until } from './support/until.ts';

const NOBODY = 65534;
const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.log('skipped: logs under an account of their own; they need root');

/** Lines of all lengths and bytes, one that is longer than any buffer, and a last one that is not finished. */
const LINES = `$| = 1; my $bytes = join '', map { chr $_ % 256 } 11 .. 3000; $bytes =~ s/\\n/./g;
print substr($bytes, $_ % 200, $_ * 37 % 300) . " $_\\n" for 1 .. 800;
print 'long ' . $bytes x 60 . "\\n", "\\n" x 3, "last\\n", 'unfinished'; sleep 1000;
`;

/** The services: one whose log has room for everything, one whose log is always full. */
const names = ['all', 'few'] as const;
type Name = (typeof names)[number];
const bounds = { all: { size: 16_384, count: 999 }, few: { size: 4096, count: 3 } } as const;
const scriptOf = (name: Name): readonly string[] => ['t', `s${bounds[name].size}`, `n${bounds[name].count}`, './main'];

/** A log directory as it is seen from outside: modes, owners, names. */
interface Found {
  readonly directory: string;
  readonly files: readonly string[];
}

/** What came of running both services until all that they write was in their logs, and stopping everything. */
interface Outcome {
  readonly processes: number;
  /** What the first service has found itself to be. */
  readonly report: readonly string[];
  readonly running: Readonly<Record<Name, Found>>;
  readonly stopped: Readonly<Record<Name, Found>>;
  readonly lines: string;
  readonly sizes: Readonly<Record<Name, readonly number[]>>;
}

async function outcomeOf(options: StackOptions, logDir: string): Promise<Outcome> {
  await using up = stack(options);
  const dirOf = (name: Name): string => up.path(name, logDir);
  const each = <T>(of: (dir: string) => T): Record<Name, T> => ({ all: of(dirOf('all')), few: of(dirOf('few')) });
  for (const name of names) {
    const isThere = (): boolean => existsSync(dirOf(name)) && logged(dirOf(name)).endsWith(' last\n');
    await until(isThere, { describe: `all that ${name} writes is logged`, state: up.said });
  }
  const running = each(find);
  const processes = up.pids().length;
  expect(await up.stop()).toEqual({ code: 0, signal: undefined });
  expect([up.pids(), up.left(), up.said()]).toEqual([[], [], '']);
  const sizesIn = (dir: string): readonly number[] =>
    logFiles(dir).flatMap(({ name, text }) => (name === 'current' || name.startsWith('@') ? [text.length] : []));
  return {
    processes,
    report: linesOf(up.path('all/told/report'))
      .map((line) => line.replaceAll(up.here.path, 'HERE').replace(/^DAEMONTAP_TEST_MARK=.*/, 'MARK'))
      .toSorted(), // perl, which the programs are run by, gives the environment in an order of its own
    running,
    stopped: each(find),
    lines: maskStamps(logged(dirOf('all'))),
    sizes: each(sizesIn),
  };
}

function find(dir: string): Found {
  const describeFile = (path: string): string => {
    const { uid, gid } = statSync(path);
    return `${modeOf(path)} ${uid}:${gid}`;
  };
  const files = readdirSync(dir).map((name) => `${describeFile(join(dir, name))} ${maskStamps(name)}`);
  return { directory: describeFile(dir), files: [...new Set(files)].toSorted() };
}

type Prepared = Parameters<NonNullable<StackOptions['prepare']>>[0];

/** Makes a service whose `run` is this, and where it may tell of itself. */
function makeTelling({ make, here }: Prepared, { name, run }: { readonly name: Name; readonly run: string }): void {
  const path = make(name);
  writeFileSync(join(path, 'run'), run, { mode: 0o755 });
  writeFileSync(join(path, 'tells'), TELLS, { mode: 0o755 });
  chmodSync(here.makeDirectory(join('service', name, 'told')), 0o777);
}

const TELLS = `${tellsIn('told')}${LINES}`;

/** Who hands much down: root's caller. Or it is nobody. */
function caller(account: string | undefined): Pick<StackOptions, 'through' | 'owner' | 'env'> {
  if (account === undefined) return { through: asNobody([]).map(String), owner: NOBODY };
  return { through: throughCaller, env: { 'FOO-BAR': 'two\nlines', NODE_OPTIONS: '--no', PWD: '/wrong' } };
}

/** With a log service for each. */
function withLogServices(programs: Implementation, account?: string): Promise<Outcome> {
  const become = account === undefined ? '' : `${programs.path('setuidgid')} ${account} `;
  const words = `${become}${programs.path('softlimit')} -c0 -o77 -p500 ./tells`;
  return outcomeOf(
    {
      ...caller(account),
      plugins: [],
      prepare(prepared) {
        for (const name of names) {
          makeTelling(prepared, { name, run: `#!${PERL}\nexec @{[qw(${words})]};\n` }); // a shell changes the environment
          prepared.make(join(name, 'log'), `exec ${become}${programs.path('multilog')} ${scriptOf(name).join(' ')}`);
          if (account === undefined) continue;
          const dir = prepared.path(name, 'log/main');
          mkdirSync(dir, { mode: 0o700 });
          chownSync(dir, NOBODY, NOBODY);
        }
      },
    },
    'log/main',
  );
}

/** With plugins. */
function withPlugins(account?: string): Promise<Outcome> {
  const writer = account === undefined ? {} : { account };
  return outcomeOf(
    {
      ...caller(account),
      plugins: [
        ...(account === undefined ? [] : [['setuidgid', { account }] as const]),
        ['softlimit', { coreBytes: 0, openFiles: 77, processes: 500 }],
        ['log-multilog', { script: scriptOf('all'), ...writer }],
      ],
      services: { few: { 'log-multilog': { script: scriptOf('few') } } },
      prepare(prepared) {
        for (const name of names) makeTelling(prepared, { name, run: TELLS });
      },
    },
    'main',
  );
}

const callers = [
  { who: 'as root, under the account nobody', account: 'nobody', isThere: isRoot },
  { who: 'as nobody', account: undefined, isThere: canBeNobody },
];

describe.concurrent.each(callers)('$who', ({ account, isThere }) => {
  test.runIf(isThere).each(multilogs)(
    'a log is the same as with a log service ($name), and so is the service',
    async (programs) => {
      const [asService, asPlugin] = await Promise.all([withLogServices(programs, account), withPlugins(account)]);
      expect(asPlugin.report).toEqual(asService.report);
      expect(asPlugin.report).toEqual(expect.arrayContaining(['Uid:\t65534\t65534\t65534\t65534', 'output pipe']));
      expect(asPlugin.running).toEqual(asService.running);
      expect(asPlugin.stopped).toEqual(asService.stopped);
      const whole = ['600 N lock', '644 N state', '744 N @STAMP.s', '744 N current'];
      for (const name of names) {
        expect(asPlugin.stopped[name]).toEqual({
          directory: '700 65534:65534',
          files: whole.map((each) => each.replace('N', '65534:65534')),
        });
      }
      expect(asPlugin.lines).toBe(asService.lines);
      expect(asPlugin.lines.split('\n').slice(-3)).toEqual(['@STAMP last', '@STAMP unfinished', '']);
      for (const { sizes, processes } of [asService, asPlugin]) {
        for (const name of names) expect(Math.max(...sizes[name])).toBeLessThanOrEqual(bounds[name].size);
        expect(sizes.few).toHaveLength(bounds.few.count);
        // The kernel, two services, and a log service for each, or one log host.
        expect(processes).toBe(1 + 2 + (sizes === asService.sizes ? 2 : 1));
      }
    },
  );
});
