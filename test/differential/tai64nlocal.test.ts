/** tai64nlocal, ours and djb's: transcripts T57 to T62 and section 10 of the behaviour reference. */
import { existsSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { daemontap, daemontools, implementations } from '../e2e/support/implementations.ts';
import { cleanEnvironment, run } from '../e2e/support/run.ts';
import type { Outcome } from '../e2e/support/run.ts';
import { slowPipe } from '../e2e/support/slow-pipe.ts';
import { start } from '../e2e/support/start.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import { until } from '../e2e/support/until.ts';

const LABEL = '@4000000037c219bf2ef02e94';
const EPOCH = 2n ** 62n + 10n;
const silent = { code: 0, signal: undefined, stdout: '', stderr: '' };
/** The first and the last second whose year C can count, in UTC. */
const FIRST_SECOND = -67_768_040_609_740_800n;
const LAST_SECOND = 67_768_036_191_676_799n;

const hasZones = existsSync('/usr/share/zoneinfo/Europe/Berlin');
const hasLeapSeconds = existsSync('/usr/share/zoneinfo/right/UTC');
if (!hasZones) console.log('skipped: zones by name; there is no /usr/share/zoneinfo');
if (!hasLeapSeconds) console.log('skipped: zones with leap seconds; there is no /usr/share/zoneinfo/right');

/** `undefined` for an environment without the variable. */
const zones: readonly (string | undefined)[] = [
  undefined,
  '',
  'UTC',
  'EST5EDT,M3.2.0,M11.1.0',
  '<+0330>-3:30',
  'XXX-24:59:59',
  'AAA167BBB,J60/167,300/-167',
  'no such zone',
  ...(hasZones
    ? ['America/Los_Angeles', ':Europe/Berlin', 'Africa/Monrovia', 'Asia/Kathmandu', 'Australia/Lord_Howe']
    : []),
  ...(hasZones ? ['/usr/share/zoneinfo/Pacific/Apia', 'America/Caracas', 'Europe/Dublin', 'Antarctica/Troll'] : []),
  ...(hasLeapSeconds ? ['right/UTC', 'right/America/New_York'] : []),
];

describe.each(implementations)('tai64nlocal ($name)', (implementation) => {
  const path = implementation.path('tai64nlocal');
  const isOurs = implementation.name === 'daemontap';
  const tai64nlocal = (input: string | Uint8Array, zone: string | undefined = 'UTC'): Promise<Outcome> =>
    convertIn(zone, { path, input });

  test.each([
    ['a label', `${LABEL} mark\n`, '1999-08-24 04:04:05.787492500 mark\n'],
    ['a label alone in its line', '@400000000000000a00000001\n', '1970-01-01 00:00:00.000000001\n'],
    ['the sample of the FAQ', '@4000000039c97bf53afbe444\n', '2000-09-21 03:09:31.989586500\n'],
    ['a last line without a newline', `${LABEL} a`, '1999-08-24 04:04:05.787492500 a'],
    ['a label that ends the input: it is lost', LABEL, ''],
    ['such a label behind lines', `a\n${LABEL} b\n${LABEL}`, 'a\n1999-08-24 04:04:05.787492500 b\n'],
    ['no label', `x ${LABEL}\nabc`, `x ${LABEL}\nabc`],
    ['no label behind a NUL', `\0${LABEL}\n`, `\0${LABEL}\n`],
    ['a NUL behind a label', `${LABEL}\0x\n`, '1999-08-24 04:04:05.787492500\0x\n'],
    ['a second label in a line', `${LABEL}${LABEL}\n`, `1999-08-24 04:04:05.787492500${LABEL}\n`],
    ['more digits than 24, zeros', `@${'0'.repeat(100)}${LABEL.slice(1)} x\n`, '1999-08-24 04:04:05.787492500 x\n'],
    ['more digits than 24, others', `@fedc${LABEL.slice(1)} x\n`, '1999-08-24 04:04:05.787492500 x\n'],
    ['nanoseconds of more than a second', '@4000000037c219bfffffffff\n', '1999-08-24 04:04:05.4294967295\n'],
    ['a thousand million of them', '@4000000037c219bf3b9aca00 x\n', '1999-08-24 04:04:05.1000000000 x\n'],
    ['one less', '@4000000037c219bf3b9ac9ff x\n', '1999-08-24 04:04:05.999999999 x\n'],
    ['bytes that are no UTF-8', Uint8Array.of(0xff, 0xfe, 0x0a), '\xff\xfe\n'],
  ])('%s', async (_, input, stdout) => {
    expect(await tai64nlocal(input)).toEqual({ ...silent, stdout });
  });

  test.each([
    [-1n, '1969-12-31 23:59:59'],
    [-2_147_483_649n, '1901-12-13 20:45:51'],
    [2_147_483_648n, '2038-01-19 03:14:08'],
    [4_294_967_296n, '2106-02-07 06:28:16'],
    [253_402_300_799n, '9999-12-31 23:59:59'],
    [253_402_300_800n, '10000-01-01 00:00:00'],
    [-62_135_596_801n, '0-12-31 23:59:59'],
    [-62_167_219_200n, '0-01-01 00:00:00'],
    [-62_167_219_201n, '18446744073709551615-12-31 23:59:59'],
    [FIRST_SECOND, '18446744071562069868-01-01 00:00:00'],
    [LAST_SECOND, '18446744071562069867-12-31 23:59:59'],
  ])('the second %i of Unix time is %s', async (second, text) => {
    expect(await tai64nlocal(`${labelOf(second, 7n)} x\n`)).toEqual({ ...silent, stdout: `${text}.000000007 x\n` });
  });

  test.runIf(hasZones)('TZ tells the zone', async () => {
    const local = async (zone: string): Promise<string> => (await tai64nlocal(`${LABEL}\n`, zone)).stdout;
    expect(await local('America/Los_Angeles')).toBe('1999-08-23 21:04:05.787492500\n');
    expect(await local('Asia/Kathmandu')).toBe('1999-08-24 09:49:05.787492500\n');
  });

  test.runIf(hasLeapSeconds)('a zone with leap seconds gives what the manual has, and a 60th second', async () => {
    const { stdout } = await tai64nlocal(`${LABEL}\n${labelOf(915_148_821n, 0n)}\n`, 'right/America/Los_Angeles');
    expect(stdout).toBe('1999-08-23 21:03:43.787492500\n1998-12-31 15:59:60.000000000\n');
  });

  test.each([
    ['an @ alone', '@\n'],
    ['an @ and a space', '@ x\n'],
    ['capital digits', `${LABEL.toUpperCase()}\n`],
    ['eight digits', '@12345678 x\n'],
    ['16 digits', '@4000000037c219bf\n'],
    ['27 digits', `${LABEL}000\n`],
    ['the second before the first', `${labelOf(FIRST_SECOND - 1n, 0n)}\n`],
    ['the second after the last', `${labelOf(LAST_SECOND + 1n, 0n)}\n`],
    ['all ones', `@${'f'.repeat(24)}\n`],
  ])('%s is no moment: the line goes through, where C crashes', async (_, line) => {
    const expected = isOurs
      ? { ...silent, stdout: `before\n${line}1999-08-24 04:04:05.787492500 after\n` }
      : { ...silent, code: undefined, signal: 'SIGSEGV' };
    expect(await tai64nlocal(`before\n${line}${LABEL} after\n`)).toEqual(expected);
  });

  test('a label of more than 4096 digits goes through, where C goes on counting', async () => {
    const line = (zeros: number): string => `@${'0'.repeat(zeros)}${LABEL.slice(1)} x\n`;
    const converted = '1999-08-24 04:04:05.787492500 x\n';
    expect((await tai64nlocal(line(4072))).stdout).toBe(converted);
    for (const zeros of [4073, 300_000])
      expect((await tai64nlocal(line(zeros))).stdout === (isOurs ? line(zeros) : converted)).toBe(true);
  });

  test('what has come is passed on at once, but a label waits for its end', async () => {
    await using here = temporaryDirectory();
    using pipe = slowPipe(here);
    await using program = start([path], { cwd: here.path, stdin: pipe.reader });
    const says = (text: string): Promise<unknown> =>
      until(() => program.stdout() === text, { describe: `it says ${text}`, state: program.stdout });
    pipe.write('par');
    await says('par');
    pipe.write(`tial\nx\n${LABEL.slice(0, 10)}`);
    await says('partial\nx\n');
    pipe.write(LABEL.slice(10));
    pipe.write('!');
    await says('partial\nx\n1999-08-24 04:04:05.787492500!');
    pipe[Symbol.dispose]();
    expect(await program.exit).toEqual({ code: 0, signal: undefined });
    expect(program.stderr()).toBe('');
  });
});

describe.runIf(daemontools.has('tai64nlocal'))('tai64nlocal of both', () => {
  const near = fc.bigInt({ min: -3_000_000_000n, max: 8_000_000_000n });
  // A zone may move a second out of the years that C can count, where it crashes.
  const anywhere = fc.bigInt({ min: FIRST_SECOND + 10_000_000n, max: LAST_SECOND - 10_000_000n });
  const nanoseconds = fc.bigInt({ min: 0n, max: 2n ** 32n - 1n });
  const label = fc.tuple(fc.oneof({ weight: 4, arbitrary: near }, anywhere), nanoseconds).map((of) => labelOf(...of));
  const bytes = fc.uint8Array({ max: 60 }).map((each) => Buffer.from(each).toString('latin1').replaceAll('\n', '\r'));
  const line = fc.oneof(
    { weight: 3, arbitrary: fc.tuple(label, bytes).map(([each, rest]) => each + rest.replace(/^[0-9a-f]+/, '')) },
    fc.tuple(fc.stringMatching(/^[0-9a-f]{0,9}$/), label).map(([digits, each]) => `@${digits}${each.slice(1)}`),
    bytes.map((each) => each.replace(/^@+/, '')),
    fc.nat({ max: 20_000 }).map((length) => ' '.repeat(length)),
  );
  const text = fc
    .array(line, { minLength: 100, maxLength: 400 })
    .map((lines) => Buffer.from(lines.join('\n'), 'latin1'));

  test.each(zones)('write the same for any lines where TZ is %j', async (zone) => {
    await fc.assert(
      fc.asyncProperty(text, async (input) => {
        const [ours, theirs] = await Promise.all(
          [daemontap, daemontools].map((each) => convertIn(zone, { path: each.path('tai64nlocal'), input })),
        );
        expect(ours).toEqual(theirs);
        expect(ours).toMatchObject({ code: 0, stderr: '' });
      }),
      { numRuns: 5 },
    );
  });
});

/** Runs a tai64nlocal in a time zone. */
function convertIn(
  zone: string | undefined,
  { path, input }: { readonly path: string; readonly input: string | Uint8Array },
): Promise<Outcome> {
  const { TZ: _, ...rest } = cleanEnvironment;
  return run([path], { input, env: zone === undefined ? rest : { ...rest, TZ: zone } });
}

function labelOf(unixSecond: bigint, nanoseconds: bigint): string {
  const digits = (value: bigint, count: number): string => value.toString(16).padStart(count, '0');
  return `@${digits(BigInt.asUintN(64, EPOCH + unixSecond), 16)}${digits(nanoseconds, 8)}`;
}
