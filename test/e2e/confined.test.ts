/**
 * Services that `daemontap up` starts under an account, under limits, and with a directory's environment: what they find,
 * the same as behind the programs of those names in `run`, and when they must not be started.
 */
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { daemontap as ours, implementations } from './support/implementations.ts';
import { asNobody, canBeNobody } from './support/nobody.ts';
import { cleanEnvironment } from './support/run.ts';
import { start } from './support/start.ts';
import type { StartedProgram } from './support/start.ts';
import { linesOf } from './support/supervised.ts';
import { PERL, tellsIn, throughCaller } from './support/tells.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import type { TemporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

const NOBODY = 65534;
const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.log('skipped: services under other accounts; they need root');

/** The programs that vouch for the plugins: those in C where they are installed. */
const programs = implementations.at(-1) ?? ours;

/** A program that tells all about itself, and stays. */
const TELLS_AND_STAYS = `${tellsIn('.')}sleep 1000;\n`;

/** A scan directory with services that anybody may write to. */
function scanDirectory(): TemporaryDirectory & { readonly service: (name: string, run: string) => string } {
  const here = temporaryDirectory();
  here.makeDirectory('service');
  return {
    ...here,
    [Symbol.asyncDispose]: () => here[Symbol.asyncDispose](),
    service(name, run) {
      const path = here.makeDirectory(join('service', name));
      writeFileSync(join(path, 'run'), run, { mode: 0o755 });
      chmodSync(path, 0o777);
      return path;
    },
  };
}

interface Up {
  readonly plugins: readonly unknown[];
  readonly services?: object;
  /** Words in front of the program. */
  readonly caller?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

function up(here: TemporaryDirectory, { plugins, services = {}, caller = [], env = {} }: Up): StartedProgram {
  writeFileSync(here.join('service/daemontap.config.json'), JSON.stringify({ plugins, services }));
  return start([...caller, join(ours.programDir, 'daemontap'), 'up', here.join('service')], {
    cwd: here.path,
    env: { ...cleanEnvironment, ...env, DAEMONTAP_RUNTIME_DIR: here.join('run') },
  });
}

const told = async (path: string, program: StartedProgram): Promise<readonly string[]> => {
  await until(() => existsSync(join(path, 'report')), { describe: `${path} has told`, state: program.stderr });
  return linesOf(join(path, 'report'));
};

/** A line of `id` of each: user, group, all groups. */
const WHO = '#!/bin/sh\n(id -u; id -g; id -G) >report.new; mv report.new report; exec sleep 1000\n';

const said = (program: StartedProgram, text: string): Promise<unknown> =>
  until(() => program.stderr().includes(text), { describe: `it says "${text}"`, state: program.stderr });

describe.runIf(isRoot)('as root', () => {
  test.runIf(existsSync(PERL))(
    `a service finds itself the same as behind the programs (${programs.name})`,
    async () => {
      const limits = ['-c0', '-f1000000', '-s900000', '-l8192', '-o77', '-p500', '-t='];
      const words = [
        programs.path('envdir'),
        'env',
        programs.path('setuidgid'),
        'nobody',
        programs.path('softlimit'),
        ...limits,
      ];
      const variables = {
        PATH: '/usr/bin:/bin',
        'FOO-BAR': 'two\nlines',
        PWD: '/wrong',
        GONE: '1',
        NODE_OPTIONS: '--no',
      };
      const report = async (run: string, plugins: readonly unknown[]): Promise<readonly string[]> => {
        await using here = scanDirectory();
        const path = here.service('a', run);
        writeFileSync(join(path, 'tells'), TELLS_AND_STAYS, { mode: 0o755 });
        mkdirSync(join(path, 'env'));
        writeFileSync(join(path, 'env/NAME'), Buffer.from('\xff value \nmore\n', 'latin1'));
        writeFileSync(join(path, 'env/GONE'), '');
        await using program = up(here, { plugins, caller: throughCaller, env: variables });
        const lines = await told(path, program);
        // perl, which the programs are run by, gives the environment in an order of its own.
        return lines
          .toSorted()
          .map((line) => line.replaceAll(here.path, 'HERE').replace(/^DAEMONTAP_TEST_MARK=.*/, 'MARK'));
      };
      const asProgram = await report(`#!${PERL}\nexec @{[qw(${words.join(' ')} ./tells)]};\n`, []);
      const asPlugins = await report(TELLS_AND_STAYS, [
        ['envdir', { dir: 'env' }],
        ['setuidgid', { account: 'nobody' }],
        [
          'softlimit',
          {
            coreBytes: 0,
            fileBytes: 1e6,
            stackBytes: 9e5,
            lockedBytes: 8192,
            openFiles: 77,
            processes: 500,
            cpuSeconds: 'hard',
          },
        ],
      ]);
      expect(asPlugins).toEqual(asProgram);
      expect(asPlugins).toEqual(
        expect.arrayContaining([
          'fds 0 1 2 9 30',
          'Uid:\t65534\t65534\t65534\t65534',
          expect.stringMatching(/^Max open files +77 +500 /),
          expect.stringMatching(/^Max cpu time +2000 +2000 /),
          'NAME=\xff value',
          'NODE_OPTIONS=--no',
        ]),
      );
      expect(asPlugins.some((line) => line.startsWith('GONE='))).toBe(false);
    },
  );

  test('a service is in the groups that are named, its log under an account of its own and in none of them', async () => {
    await using here = scanDirectory();
    const [path, other] = [here.service('a', WHO), here.service('b', WHO)];
    const [log, otherLog] = [here.service('a/log', WHO), here.service('b/log', WHO)];
    await using program = up(here, {
      plugins: [['setuidgid', { account: 'nobody', groups: ['daemon'], logAccount: 'daemon' }]],
      services: { b: { setuidgid: { account: 'root', groups: [] } }, 'b/log': { setuidgid: { account: 'nobody' } } },
    });
    expect(await told(path, program)).toEqual(['65534', '65534', '65534 1']);
    expect(await told(log, program)).toEqual(['1', '1', '1']);
    expect(await told(other, program)).toEqual(['0', '0', '0']);
    expect(await told(otherLog, program)).toEqual(['65534', '65534', '65534']);
  });

  test('an account or group that there is not starts nothing, and leaves other services alone', async () => {
    await using here = scanDirectory();
    const paths = ['a', 'b', 'b/log', 'c'].map((name) => here.service(name, WHO));
    await using program = up(here, {
      plugins: [['setuidgid', { account: 'nobody' }]],
      services: {
        a: { setuidgid: { account: 'no-such-account' } },
        b: { setuidgid: { groups: ['no-such-group'] } },
        'b/log': { setuidgid: { account: 'no-such-account' } },
      },
    });
    expect(await told(here.join('service/c'), program)).toEqual(['65534', '65534', '65534']);
    for (const [label, reason] of [
      ['a', 'unable to change to account no-such-account: unknown account'],
      ['b', 'unable to change to account nobody: unknown group no-such-group'],
      ['b/log', 'unable to change to account no-such-account: unknown account'],
    ] as const) {
      await said(program, `supervise: warning: unable to start ${label}/run: `);
      await said(program, `refuses in prepareSpawn for ${label}: ${reason}\n`);
    }
    expect(paths.map((path) => existsSync(join(path, 'report')))).toEqual([false, false, false, true]);
  });

  test('what a service has in its environment reaches nothing that runs as root', async () => {
    await using here = scanDirectory();
    const path = here.service('a', WHO);
    // Whoever runs one of these tells who runs it.
    const trap = here.join('trap.cjs');
    writeFileSync(trap, `require('fs').appendFileSync('${here.join('trapped')}', process.geteuid() + '\\n');\n`);
    mkdirSync(here.join('bin'));
    for (const name of ['node', 'setuidgid', 'softlimit', 'base64', 'cat', 'run']) {
      writeFileSync(here.join('bin', name), `#!/bin/sh\nid -u >>${here.join('trapped')}\n`, { mode: 0o755 });
    }
    writeFileSync(here.join('trapped'), '');
    chmodSync(here.join('trapped'), 0o666);
    mkdirSync(join(path, 'env'));
    for (const [name, value] of [
      ['NODE_OPTIONS', `--require=${trap}`],
      ['PATH', `${here.join('bin')}:/usr/bin:/bin`],
      ['DAEMONTAP_NAME', 'setuidgid'],
      ['DAEMONTAP_INHERITED', '1'],
      ['DAEMONTAP_ENVIRON0', ''],
    ] as const) {
      writeFileSync(join(path, 'env', name), value);
    }
    writeFileSync(join(path, 'run'), '#!/bin/sh\nenv >report.new; mv report.new report; exec sleep 1000\n');
    const plugins = [
      ['setuidgid', { account: 'nobody' }],
      ['envdir', { dir: 'env' }],
      ['softlimit', { coreBytes: 0 }],
    ];
    await using program = up(here, { plugins });
    expect(await told(path, program)).toEqual(
      expect.arrayContaining([`NODE_OPTIONS=--require=${trap}`, 'DAEMONTAP_NAME=setuidgid']),
    );
    expect(readFileSync(here.join('trapped'), 'utf8')).toBe('');
  });

  test('a directory that the account may not enter is said by what was to enter it, and run is not run', async () => {
    await using here = scanDirectory();
    const path = here.service('a', WHO);
    chmodSync(path, 0o700);
    await using program = up(here, { plugins: [['setuidgid', { account: 'nobody' }]] });
    await said(program, 'setuidgid: fatal: unable to run ./run: access denied\n');
    expect(existsSync(join(path, 'report'))).toBe(false);
  });

  test('limits that no Node can live under are those of the service', async () => {
    await using here = scanDirectory();
    const path = here.service(
      'a',
      '#!/bin/sh\n(ulimit -Sd; ulimit -Ss; ulimit -Sv; ulimit -Sn) >report; exec sleep 1000\n',
    );
    await using program = up(here, { plugins: [['softlimit', { memoryBytes: 20_480_000, openFiles: 20 }]] });
    await until(() => linesOf(join(path, 'report')).length === 4, { describe: 'it has told', state: program.stderr });
    expect(linesOf(join(path, 'report'))).toEqual(['20000', '20000', '20000', '20']);
  });

  test('what is refused at a later start keeps a service from being started again', async () => {
    await using here = scanDirectory();
    const path = here.service('a', '#!/bin/sh\necho started >>report; exec sleep 1000\n');
    await using program = up(here, { plugins: [['envdir', { dir: 'env', optional: true }]] });
    await told(path, program);
    writeFileSync(join(path, 'env'), 'no directory');
    await using _ = start([ours.path('svc'), '-t', path], { cwd: here.path });
    await said(program, 'refuses in prepareSpawn for a: unable to switch to directory env: not a directory\n');
    expect(linesOf(join(path, 'report'))).toEqual(['started']);
  });
});

describe.runIf(canBeNobody)('as nobody', () => {
  test('a service is started under the own account, and under no other', async () => {
    await using here = scanDirectory();
    const paths = ['a', 'b', 'c'].map((name) => here.service(name, WHO));
    for (const path of [here.path, here.join('service'), ...paths]) chownSync(path, NOBODY, NOBODY);
    await using program = up(here, {
      plugins: [['setuidgid', { account: 'nobody' }]],
      services: { b: { setuidgid: { account: 'root' } }, c: { setuidgid: { groups: ['daemon'] } } },
      caller: asNobody([]).map(String),
    });
    expect(await told(here.join('service/a'), program)).toEqual(['65534', '65534', '65534']);
    await said(program, 'for b: unable to change to account root: only root may do that\n');
    await said(program, 'for c: unable to change to account nobody: only root may do that\n');
    expect(paths.map((path) => existsSync(join(path, 'report')))).toEqual([true, false, false]);
  });

  test('limits can be had by anybody, and files of root stay unread', async () => {
    await using here = scanDirectory();
    const [path, other] = [
      here.service('a', '#!/bin/sh\nulimit -Sc >report; exec sleep 1000\n'),
      here.service('b', WHO),
    ];
    mkdirSync(join(other, 'env'));
    writeFileSync(join(other, 'env/A'), 'secret', { mode: 0o600 });
    for (const each of [here.path, here.join('service'), path, other]) chownSync(each, NOBODY, NOBODY);
    await using program = up(here, {
      plugins: [
        ['softlimit', { coreBytes: 0 }],
        ['envdir', { dir: 'env', optional: true }],
      ],
      caller: asNobody([]).map(String),
    });
    await until(() => linesOf(join(path, 'report')).length === 1, { describe: 'a has told', state: program.stderr });
    expect(linesOf(join(path, 'report'))).toEqual(['0']);
    await said(program, 'for b: unable to read env/A: access denied\n');
    expect(existsSync(join(other, 'report'))).toBe(false);
  });
});
