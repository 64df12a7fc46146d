/** What svscan and supervise say, in each of the ways that `DAEMONTAP_LOG` names. */
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { daemontap } from './support/implementations.ts';
import { cleanEnvironment, run } from './support/run.ts';
import { linesOf, ourScanners, scanDirectory } from './support/supervised.ts';
import type { Driven, ScanDirectory } from './support/supervised.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

/** A scan directory with the service `finger`, which ends with 7 once there is a file `go`. */
const scanWith = (driven: Driven, log: string): ScanDirectory =>
  scanDirectory(driven, {
    env: { DAEMONTAP_LOG: log },
    prepare({ make }) {
      make('finger', 'until test -e go; do sleep 0.02; done; rm go; exit 7');
    },
  });
/** One start, an end with 7, another start, and the end of all; returns what was said and both pids. */
async function story(scan: ScanDirectory): Promise<{ readonly stderr: string; readonly pids: readonly number[] }> {
  const first = await scan.up('finger');
  writeFileSync(scan.path('finger/go'), '');
  const second = await scan.up('finger', first);
  process.kill(scan.svscan.pid, 'SIGTERM');
  expect(await scan.svscan.exit).toEqual({ code: 0, signal: undefined });
  return { stderr: scan.svscan.stderr(), pids: [first, second] };
}

describe.concurrent.each(ourScanners)('svscan ($name)', (ours) => {
  const fingerScan = (log: string): ScanDirectory => scanWith(ours, log);

  test('with DAEMONTAP_LOG=json says one JSON object a line, with service and pid at every start and end', async () => {
    await using scan = fingerScan('json');
    const { stderr, pids } = await story(scan);
    const lines = stderr.split('\n');
    expect(lines.pop()).toBe('');
    const common = { level: 30, name: 'daemontap', pid: scan.svscan.pid, service: 'finger' };
    const [first, second] = pids.map((servicePid) => ({ ...common, servicePid }));
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { ...first, msg: 'started' },
      { ...first, msg: 'ended', exitCode: 7 },
      { ...second, msg: 'started' },
      { ...second, msg: 'ended', signal: 15 },
      { ...common, msg: 'no longer supervised' },
    ]);
  });

  test('with DAEMONTAP_LOG=json gives a complaint its level, its service and its reason', async () => {
    await using scan = fingerScan('json');
    await scan.up('finger');
    scan.here.makeDirectory('service/empty');
    const complaint = await until(() => linesOfError(scan).find(({ service }) => service === 'empty'), {
      describe: 'it is said that it cannot be started',
      state: scan.svscan.stderr,
    });
    expect(complaint).toMatchObject({
      level: 50,
      program: 'supervise',
      msg: 'unable to start empty/run',
      reason: 'file does not exist',
    });
  });

  test('with DAEMONTAP_LOG=pretty says lines for people, without colours where no terminal is', async () => {
    await using scan = fingerScan('pretty');
    const { stderr, pids } = await story(scan);
    const [first, second] = pids;
    expect(stderr.replaceAll(/^\[\d\d:\d\d:\d\d\.\d{3}\] /gm, '[TIME] '))
      .toBe(`[TIME] INFO: finger: started (pid ${first})
[TIME] INFO: finger: ended (exit code 7)
[TIME] INFO: finger: started (pid ${second})
[TIME] INFO: finger: ended (signal 15)
[TIME] INFO: finger: no longer supervised
`);
  });

  test.each(['plain', ''])('with DAEMONTAP_LOG=%s says nothing while all goes well', async (log) => {
    await using scan = fingerScan(log);
    const { stderr } = await story(scan);
    expect([stderr, scan.svscan.stdout()]).toEqual(['', '']);
  });
});

describe.concurrent.each(['svscan', 'supervise'] as const)('%s (daemontap)', (name) => {
  test.each([
    ['DAEMONTAP_LOG', 'loud', 'plain, json or pretty'],
    ['DAEMONTAP_ON_TERM', 'never', 'stop or leave'],
    ['DAEMONTAP_STOP_TIMEOUT', 'soon', 'a number of seconds, or 0 for never'],
  ])('with %s=%s starts nothing, says what would be right, and exits 100', async (variable, value, right) => {
    await using here = temporaryDirectory();
    here.makeService('finger', ': >started');
    const directory = name === 'svscan' ? here.path : here.join('finger');
    expect(await run([daemontap.path(name), directory], { env: { ...cleanEnvironment, [variable]: value } })).toEqual({
      code: 100,
      signal: undefined,
      stdout: '',
      stderr: `${name}: fatal: unable to use ${variable}=${value}: it must be ${right}\n`,
    });
    expect(linesOf(here.join('finger/started'))).toEqual([]);
    expect((await run([daemontap.path('svok'), here.join('finger')])).code).toBe(100);
  });
});

function linesOfError({ svscan }: ScanDirectory): readonly Readonly<Record<string, unknown>>[] {
  const lines = svscan.stderr().split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>); // a line that is none fails the test
}
