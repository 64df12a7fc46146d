/** The `daemontap` command by itself: its words, what it shows, and a configuration that changes while services run. */
import {
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeFifo } from './support/fifo.ts';
import { daemontap as ours } from './support/implementations.ts';
import { cleanEnvironment, run } from './support/run.ts';
import type { Outcome } from './support/run.ts';
import { stack } from './support/stack.ts';
import { start } from './support/start.ts';
import type { StartedProgram } from './support/start.ts';
import { readRecord } from './support/supervised.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

const program = join(ours.programDir, 'daemontap');

/** A module whose plugin says what it finds: at each service's begin and start. */
const SPEAKER = `import { definePlugin } from '@daemontap/kernel';
const schema = { entries: { word: {} }, '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
export const speaker = definePlugin({ name: 'speaker', apiVersion: 1, schema, apply({ hooks, log, optionsFor }, { word }) {
  hooks.openControl.tap('speaker', (service) => log.info('meets ' + service.label + ' with ' + optionsFor(service).word));
  hooks.serviceStarted.tap('speaker', (service) => log.info(word + ', ' + typeof fetch + ', ' + typeof WebAssembly, { service }));
} });
`;

interface Place extends AsyncDisposable {
  readonly scanDir: string;
  readonly modulePath: string;
  configure(config: unknown): void;
  daemontap(...words: readonly (string | Buffer)[]): Promise<Outcome>;
  up(...words: readonly string[]): StartedProgram;
  /** Waits until a started one has written this to standard error. */
  said(up: StartedProgram, text: string): Promise<void>;
  pid(name: string): Promise<number>;
}

function place(): Place {
  const here = temporaryDirectory();
  const scanDir = here.makeDirectory('service');
  here.makeService('service/a', 'exec sleep 1000');
  mkdirSync(here.join('node_modules/@daemontap'), { recursive: true });
  symlinkSync(join(ours.programDir, '../../kernel'), here.join('node_modules/@daemontap/kernel'));
  const modulePath = here.join('speaker.mjs');
  writeFileSync(modulePath, SPEAKER);
  const env = { ...cleanEnvironment, DAEMONTAP_RUNTIME_DIR: here.join('run') };
  const configPath = join(scanDir, 'daemontap.config.json');
  return {
    scanDir,
    modulePath,
    configure: (config) =>
      writeFileSync(configPath, typeof config === 'string' ? config : `${JSON.stringify(config)}\n`),
    daemontap: (...words) => run([program, ...words], { cwd: here.path, env }),
    up: (...words) => start([program, 'up', scanDir, ...words], { cwd: here.path, env }),
    said: async (up, text) => {
      await until(() => Buffer.from(up.stderr(), 'latin1').toString().includes(text), {
        describe: `it says "${text}"`,
        state: () => up.stderr(),
      });
    },
    pid: (name) =>
      until(() => readRecord(join(scanDir, name))?.pid || undefined, {
        describe: `${name} runs`,
        state: () => readdirSync(scanDir),
      }),
    [Symbol.asyncDispose]: () => here[Symbol.asyncDispose](),
  };
}

describe('its words', () => {
  test.each([
    [['--version'], 0, /^\d+\.\d+\.\d+\n$/, ''],
    [['--help'], 0, /^Usage: daemontap \[options\] \[command\]\n[^]*\bup \[options\] \[dir\]/, ''],
    [['up', '--help'], 0, /^Usage: daemontap up \[options\] \[dir\]\n[^]*--stop-timeout <seconds>/, ''],
    [['upp'], 100, /^$/, "daemontap: fatal: unknown command 'upp'\n(Did you mean up?)\n"],
    [['up', '--lgo', 'json'], 100, /^$/, "daemontap: fatal: unknown option '--lgo'\n(Did you mean --log?)\n"],
    [['check', '/', 'and more'], 100, /^$/, /^daemontap: fatal: too many arguments/],
    [['config', '/nonexist'], 111, /^$/, 'daemontap: fatal: unable to chdir to /nonexist: file does not exist\n'],
    [['check', '/etc/passwd'], 111, /^$/, 'daemontap: fatal: unable to chdir to /etc/passwd: not a directory\n'],
    [['up', '/'], 100, /^$/, 'daemontap: fatal: unable to scan /: it is the root directory and holds no services\n'],
  ] as const)('%j', async (words, code, stdout, stderr) => {
    await using here = place();
    expect(await here.daemontap(...words)).toEqual({
      code,
      signal: undefined,
      stdout: expect.stringMatching(stdout),
      stderr: typeof stderr === 'string' ? stderr : expect.stringMatching(stderr),
    });
  });

  test('a directory whose name is not UTF-8 is refused with the reason: it is for svscan', async () => {
    await using here = place();
    const name = Buffer.concat([Buffer.from(here.scanDir), Buffer.from([0xff])]);
    mkdirSync(name);
    const { code, stderr } = await here.daemontap('check', name);
    expect([code, stderr]).toEqual([111, expect.stringMatching(/its path is not UTF-8, .* svscan takes any\n$/)]);
  });
});

test.each([['--help'], ['check'], ['config'], ['plugins'], ['status', '--dir']])(
  '%s into a pipe that nobody reads any more ends it by SIGPIPE, as daemontools',
  async (...words) => {
    await using here = temporaryDirectory();
    here.makeService('service/a');
    const script = '{ : <go; "$@"; echo $? >code; } | { exec <&-; : >go; }';
    const command = [program, ...words, ...(words[0] === '--help' ? [] : [here.join('service')])];
    makeFifo(here.join('go'));
    const outcome = await run(['/bin/sh', '-c', script, 'sh', ...command], { cwd: here.path });
    expect(outcome).toEqual({ code: 0, signal: undefined, stdout: '', stderr: '' });
    expect(readFileSync(here.join('code'), 'latin1')).toBe('141\n');
  },
);

describe('config', () => {
  test('shows every value in force with where it comes from, the highest authority first', async () => {
    await using here = place();
    here.configure({ log: 'json', stopTimeout: 7, plugins: [['../speaker.mjs', { word: 'hello' }]] });
    const { stdout } = await here.daemontap('config', here.scanDir, '--runtime-dir', '/run/x', '--json');
    const { file, values } = JSON.parse(stdout) as {
      file: string;
      values: { key: string; value: unknown; origin: string }[];
    };
    expect(file).toBe(join(here.scanDir, 'daemontap.config.json'));
    const of = (key: string): unknown => values.find((each) => each.key === key);
    expect(of('runtimeDir')).toEqual({ key: 'runtimeDir', value: '/run/x', origin: 'command line' });
    expect(of('stopTimeout')).toEqual({ key: 'stopTimeout', value: 7, origin: 'daemontap.config.json: stopTimeout' });
    expect(of('onTerm')).toEqual({ key: 'onTerm', value: 'stop', origin: 'default' });
    expect(of('plugin speaker')).toMatchObject({
      value: { word: 'hello' },
      origin: 'plugins[0] in daemontap.config.json',
    });
    const table = (await here.daemontap('config', here.scanDir)).stdout;
    expect(table).toMatch(/^log +"json" +daemontap\.config\.json: log$/m);
    expect(table).toMatch(/^runtimeDir +"[^"]+" +environment DAEMONTAP_RUNTIME_DIR$/m);
  });
});

describe('up', () => {
  test('what plugins say is shown, and they have all of Node', async () => {
    await using here = place();
    here.configure({ plugins: [['../speaker.mjs', { word: 'hello' }]] });
    await using up = here.up();
    await here.said(up, 'supervise: info: speaker: hello, function, object\n');
  });

  test('a module that Node warns of is warned of in one line', async () => {
    await using here = place();
    writeFileSync(here.modulePath, `process.emitWarning('this is old');\n${SPEAKER}`);
    here.configure({ plugins: ['../speaker.mjs'] });
    expect((await here.daemontap('check', here.scanDir)).stderr).toBe('daemontap: warning: this is old\n');
  });

  test('what a plugin writes with console is shown, and services find their output as it was', async () => {
    const talker = `console.log('it talks');
      process.stderr.write('and more\\n');
      const definition = { name: 'talker', apiVersion: 1 };
      export const talker = Object.assign(() => ({ ...definition, apply() {} }), { definition });`;
    await using up = stack({
      through: ['sh', '-c', '"$@" 2>&1 | cat', 'sh'], // of pipes Node changes the flags
      plugins: ['../talker.mjs'],
      prepare({ here, make }) {
        writeFileSync(here.join('talker.mjs'), talker);
        make('a', 'cat /proc/$$/fdinfo/1 /proc/$$/fdinfo/2 >told; mv told flags; exec sleep 1000');
      },
    });
    const told = await until(() => existsSync(up.path('a/flags')) && readFileSync(up.path('a/flags'), 'latin1'), {
      describe: 'the service has told its flags',
    });
    const flags = [...told.matchAll(/^flags:\s*(\d+)$/gm)].map(([, octal = '']) => Number.parseInt(octal, 8));
    expect(flags.map((each) => each & constants.O_NONBLOCK)).toEqual([0, 0]);
    expect(up.up.stdout()).toBe('it talks\nand more\n');
  });

  test('at HUP a plugin that is added meets running services with the options that come with it', async () => {
    await using here = place();
    here.configure({});
    await using up = here.up();
    const pid = await here.pid('a');
    here.configure({
      plugins: [['../speaker.mjs', { word: 'any' }]],
      services: { a: { speaker: { word: 'its own' } } },
    });
    process.kill(up.pid, 'SIGHUP');
    await here.said(up, 'svscan: info: speaker: meets a with its own\n');
    await here.said(up, 'svscan: info: configuration: plugin speaker: added\n');
    expect(await here.pid('a')).toBe(pid);
  });

  test('at HUP a file that is broken or gone is refused, what runs is shown all the same, and a mended one is taken up', async () => {
    await using here = place();
    here.configure({ plugins: [['../speaker.mjs', { word: 'one' }]] });
    await using up = here.up();
    const pid = await here.pid('a');
    const refused = 'svscan: warning: unable to take up the configuration, the old one stays in force: ';
    here.configure('{ "plugins": ');
    process.kill(up.pid, 'SIGHUP');
    await here.said(up, `${refused}daemontap.config.json`);
    const shown = await here.daemontap('plugins', here.scanDir);
    expect(shown).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^daemontap: warning: daemontap\.config\.json/),
    });
    expect(shown.stdout).toMatch(new RegExp(`^running, pid ${up.pid}\n[^]*^speaker +serviceStarted +1 +0 `, 'm'));
    rmSync(join(here.scanDir, 'daemontap.config.json'));
    process.kill(up.pid, 'SIGHUP');
    await here.said(
      up,
      `${refused}${here.scanDir}/daemontap.config.json: it is gone; {} in it stands for all defaults\n`,
    );
    here.configure({});
    process.kill(up.pid, 'SIGHUP');
    await here.said(up, 'svscan: info: configuration: plugin speaker: removed\n');
    expect(await here.pid('a')).toBe(pid);
  });

  test('of two on one scan directory the one that supervises is shown, also when the other one has ended', async () => {
    await using here = place();
    await using first = here.up();
    await here.pid('a');
    await using second = here.up();
    await here.said(second, 'unable to acquire a/supervise/lock: temporary failure\n');
    const head = async (): Promise<string | undefined> =>
      (await here.daemontap('plugins', here.scanDir)).stdout.split('\n')[0];
    expect(await head()).toBe(`running, pid ${first.pid}`);
    process.kill(second.pid, 'SIGTERM');
    expect(await second.exit).toEqual({ code: 0, signal: undefined });
    expect(await head()).toBe(`running, pid ${first.pid}`);
  });

  test('run-record that is left out and taken back goes on recording', async () => {
    await using here = place();
    here.configure({});
    await using up = here.up();
    await here.pid('a');
    for (const [config, said] of [
      [{ without: ['run-record'] }, 'plugin run-record: removed'],
      [{}, 'plugin run-record: added'],
    ] as const) {
      here.configure(config);
      process.kill(up.pid, 'SIGHUP');
      await here.said(up, said);
    }
    expect(up.stderr()).not.toContain('warning');
    process.kill(up.pid, 'SIGTERM');
    expect(await up.exit).toEqual({ code: 0, signal: undefined });
    expect(readdirSync(join(here.scanDir, '../run'))).toEqual([]);
  });
});
