/** The whole way: what a scan directory's configuration becomes, and all that can be wrong with it. */
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { describe, expect, test } from 'vitest';
import { serviceProblems } from './check-service.ts';
import { compareConfigurations } from './compare.ts';
import { packageFiles, pluginModule, testDirectory } from './directory.test-support.ts';
import { loadConfiguration } from './load.ts';
import type { Configuration, LoadRequest } from './load.ts';
import { ConfigurationError } from './problem.ts';

const uid = process.geteuid?.() ?? 0;
const preset = ['log-stderr', 'status-file', 'control-fifo', 'log-pipe', 'run-record', 'scan-watch'];
/** What comes behind the presets. */
const own = ['control-socket'];
/** Without a configuration. */
const all = [...preset, ...own];

const load = (scanDir: string, more: Partial<LoadRequest> = {}): Promise<Configuration> =>
  loadConfiguration({ scanDir, environment: {}, uid, ...more });

/** The lines of the error. */
async function problems(scanDir: string, more: Partial<LoadRequest> = {}): Promise<readonly string[]> {
  const error: unknown = await load(scanDir, more).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConfigurationError);
  const { message, problems: list } = error as ConfigurationError;
  expect(message).toBe(list.map((each) => `${each.place}: ${each.message}`).join('\n'));
  return message.split('\n');
}

const names = ({ plugins }: Configuration): readonly string[] => plugins.map(({ name }) => name);
const heartbeat = packageFiles(
  'daemontap-plugin-heartbeat',
  pluginModule('heartbeat', { options: ['interval', 'jitter'] }),
);

describe('without a configuration', () => {
  test('the preset is used, with the default of each setting', async () => {
    using dir = testDirectory();
    const configuration = await load(dir.path);
    expect(names(configuration)).toEqual(all);
    expect(configuration).toMatchObject({ file: undefined, settings: { log: 'plain', stopTimeoutMs: 30_000 } });
    expect(configuration.values).toContainEqual({ key: 'stopTimeout', value: 30, origin: 'default' });
    expect(configuration.values).toContainEqual({ key: 'preset', value: 'daemontools', origin: 'default' });
    for (const { plugin, name, place, module, version, options } of configuration.plugins) {
      const from = own.includes(name) ? 'daemontap up' : 'preset daemontools';
      expect([place, module, version, plugin.origin]).toEqual([from, 'built in', '0.1.0', undefined]);
      expect(plugin.source).toEqual({ place, module, version, options });
    }
  });

  test('the setting log decides which plugin shows messages', async () => {
    using dir = testDirectory();
    const configuration = await load(dir.path, { environment: { DAEMONTAP_LOG: 'json' } });
    expect(configuration.plugins[0]).toMatchObject({ name: 'log-pino', options: { format: 'json', colours: false } });
  });

  test('what is wrong in the environment and on the command line is said together', async () => {
    using dir = testDirectory();
    const environment = { DAEMONTAP_LOG: 'loud', DAEMONTAP_STOP_TIMEOUT: 'soon' };
    expect(await problems(dir.path, { environment, commandLine: { onTerm: 'kill' } })).toEqual([
      'environment DAEMONTAP_LOG: it must be plain, json or pretty, and is "loud"',
      'command line: onTerm: it must be stop or leave, and is "kill"',
      'environment DAEMONTAP_STOP_TIMEOUT: it must be a number of seconds, or 0 for never, and is "soon"',
    ]);
  });
});

test('a setting has the value of the highest authority that gives one', async () => {
  using dir = testDirectory({
    'daemontap.config.json': { log: 'json', onTerm: 'leave', stopTimeout: 0, runtimeDir: 'run' },
  });
  const environment = { DAEMONTAP_LOG: 'pretty', DAEMONTAP_ON_TERM: 'leave' };
  const { settings, values } = await load(dir.path, { environment, commandLine: { log: 'plain' } });
  expect(settings).toEqual({
    log: 'plain',
    onTerm: 'leave',
    stopTimeoutMs: undefined,
    runtimeRoot: join(dir.path, 'run'),
  });
  expect(values.slice(0, 4)).toEqual([
    { key: 'log', value: 'plain', origin: 'command line' },
    { key: 'onTerm', value: 'leave', origin: 'environment DAEMONTAP_ON_TERM' },
    { key: 'stopTimeout', value: 0, origin: 'daemontap.config.json: stopTimeout' },
    { key: 'runtimeDir', value: join(dir.path, 'run'), origin: 'daemontap.config.json: runtimeDir' },
  ]);
});

test('plugins come after those of the preset, with their options, place, module and version', async () => {
  using dir = testDirectory({
    ...heartbeat,
    'local.mjs': pluginModule('local'),
    'daemontap.config.yaml': 'plugins:\n  - [heartbeat, { interval: 5 }]\n  - ./local.mjs\n',
  });
  const configuration = await load(dir.path);
  expect(names(configuration)).toEqual([...all, 'heartbeat', 'local']);
  expect(configuration.file).toBe(join(dir.path, 'daemontap.config.yaml'));
  expect(configuration.plugins.at(-2)).toMatchObject({
    plugin: { name: 'heartbeat', apiVersion: 1, origin: 'plugins[0] in daemontap.config.yaml' },
    options: { interval: 5 },
    place: 'plugins[0] in daemontap.config.yaml',
    module: join(dir.path, 'node_modules/daemontap-plugin-heartbeat/index.js'),
    version: '1.2.3',
    isStale: false,
  });
  expect(configuration.plugins.at(-1)).toMatchObject({ module: join(dir.path, 'local.mjs'), version: undefined });
  expect(
    [configuration, configuration.plugins, configuration.plugins[0], configuration.settings].every(Object.isFrozen),
  ).toBe(true);
});

test('a file given by path is read wherever it lies, and paths in it begin there', async () => {
  using scanDir = testDirectory({ 'daemontap.config.json': { plugins: ['nonsense'] } });
  using elsewhere = testDirectory({ 'local.mjs': pluginModule('local'), 'mine.json': { plugins: ['./local.mjs'] } });
  const configuration = await load(scanDir.path, { configPath: join(elsewhere.path, 'mine.json') });
  expect(names(configuration)).toEqual([...all, 'local']);
});

test('presets are applied in their order, less what is left out; their plugins are found from where they lie', async () => {
  using dir = testDirectory({
    ...packageFiles(
      'daemontap-preset-quiet',
      `export const quiet = { name: 'quiet', plugins: [['pulse', { interval: 2 }], './near.mjs', 'missing'] };`,
    ),
    'node_modules/daemontap-preset-quiet/near.mjs': pluginModule('near'),
    'node_modules/daemontap-preset-quiet/node_modules/daemontap-plugin-pulse/index.js': pluginModule('pulse', {
      options: ['interval'],
    }).replace('export const plugin', 'exports.plugin'),
    'daemontap.config.json': { preset: ['quiet', 'daemontools'], without: ['scan-watch', 'missing'] },
  });
  const configuration = await load(dir.path);
  expect(names(configuration)).toEqual(['pulse', 'near', ...preset.slice(0, -1), ...own]);
  expect(configuration.plugins[0]).toMatchObject({
    place: 'plugins[0] in preset quiet',
    options: { interval: 2 },
    plugin: { origin: 'plugins[0] in preset quiet' },
  });
});

test('an empty list of presets is none', async () => {
  using dir = testDirectory({ 'daemontap.config.json': { preset: [], plugins: ['status-file'] } });
  expect(names(await load(dir.path))).toEqual([...own, 'status-file']);
});

test("the control socket is there by default, is the configuration's where it names it, and can be left out", async () => {
  using dir = testDirectory({ 'daemontap.config.json': { plugins: [['control-socket', { mode: '0660' }]] } });
  const named = await load(dir.path);
  expect(names(named)).toEqual(all);
  expect(named.plugins.at(-1)).toMatchObject({
    options: { mode: '0660' },
    place: 'plugins[0] in daemontap.config.json',
    plugin: { source: { place: 'plugins[0] in daemontap.config.json', module: 'built in', options: { mode: '0660' } } },
  });
  dir.write('daemontap.config.json', { without: ['control-socket'] });
  expect(names(await load(dir.path))).toEqual(preset);
  const another = { without: ['control-socket'], plugins: ['status-file', ['control-socket', { mode: '0660' }]] };
  dir.write('daemontap.config.json', { preset: [], ...another });
  expect(names(await load(dir.path))).toEqual(['status-file', 'control-socket']); // as with the plugins of presets
  dir.write('daemontap.config.json', { plugins: [['control-socket', { mode: 660 }]] });
  expect(await problems(dir.path)).toEqual([
    'daemontap.config.json: plugins[0][1].mode: plugin control-socket: it must be octal digits in quotes',
  ]);
});

test('all that is wrong is reported together, each with its place', async () => {
  using dir = testDirectory({
    ...heartbeat,
    ...packageFiles('daemontap-plugin-old', pluginModule('old', { apiVersion: 7 })),
    ...packageFiles('daemontap-plugin-throws', 'throw new RangeError("not today");'),
    'daemontap.config.json': {
      presets: [],
      log: 'loud',
      plugins: ['heartbeat', ['heartbeat', { intervall: 5, jitter: -1 }], 3, 'old', 'throws', 'nowhere'],
      services: { finger: 3 },
      allow: ['heartbeat'],
    },
  });
  const lines = await problems(dir.path, { environment: { DAEMONTAP_ON_TERM: 'never' } });
  expect(lines.map((line) => line.replaceAll(dir.path, 'DIR'))).toEqual([
    'daemontap.config.json: presets: unknown key (did you mean preset?)',
    'daemontap.config.json: plugins[2]: must be a name, or a list of a name and options',
    'daemontap.config.json: services.finger: must be options by plugin',
    'daemontap.config.json: allow[0]: must be PLUGIN.OPTION',
    'daemontap.config.json: log: must be plain, json or pretty',
    'environment DAEMONTAP_ON_TERM: it must be stop or leave, and is "never"',
    'daemontap.config.json: plugins[1][1].intervall: plugin heartbeat: unknown option (did you mean interval?)',
    'daemontap.config.json: plugins[1][1].jitter: plugin heartbeat: must not be negative',
    'daemontap.config.json: plugins[3]: plugin old: it is made for version 7 of the plugin API, and this is 1',
    expect.stringMatching(
      /^daemontap\.config\.json: plugins\[4\]: unable to load plugin throws from DIR\/node_modules\/daemontap-plugin-throws\/index\.js: RangeError: not today \(DIR\/node_modules\/daemontap-plugin-throws\/index\.js:1\)$/,
    ),
    expect.stringMatching(
      /^daemontap\.config\.json: plugins\[5\]: there is no plugin nowhere: tried daemontap-plugin-nowhere, then @daemontap\/nowhere, then nowhere, in node_modules of DIR, then \/.* and the directories above$/,
    ),
  ]);
});

test('plugins that do not fit together are found', async () => {
  using dir = testDirectory({
    ...heartbeat,
    ...packageFiles('daemontap-plugin-needy', pluginModule('needy', { requires: ['bell'] })),
    'daemontap.config.json': {
      without: ['scan-wach', 'log-pipe'],
      plugins: ['control-fifo', 'heartbeat', ['heartbeat', { interval: 5 }], 'needy'],
      services: { finger: { hartbeat: { interval: 3 }, heartbeat: { intervall: 3, jitter: -1 } } },
      allow: ['heartbeat.interval', 'heartbeat.jiter', 'bell.sound', 'needy.sound'],
    },
  });
  expect(await problems(dir.path)).toEqual([
    'daemontap.config.json: without[0]: no preset has a plugin scan-wach (did you mean scan-watch?)',
    'daemontap.config.json: plugins[0]: plugin control-fifo is there already: preset daemontools; to replace that one, add it to without',
    'daemontap.config.json: plugins[2]: plugin heartbeat is there already: plugins[1] in daemontap.config.json',
    'daemontap.config.json: plugins[3]: plugin needy is of no use without plugin bell, which is not there',
    'daemontap.config.json: services.finger.hartbeat: there is no plugin hartbeat (did you mean heartbeat?)',
    'daemontap.config.json: services.finger.heartbeat.intervall: unknown option (did you mean interval?)',
    'daemontap.config.json: services.finger.heartbeat.jitter: must not be negative',
    'daemontap.config.json: allow[1]: plugin heartbeat has no option jiter (did you mean jitter?)',
    'daemontap.config.json: allow[2]: there is no plugin bell',
    'daemontap.config.json: allow[3]: plugin needy has no option sound',
  ]);
});

test('what follows from a key that is wrong is not said', async () => {
  using dir = testDirectory({
    'daemontap.config.json': { without: 'scan-watch', plugins: ['scan-watch'], allow: ['bell.sound'] },
  });
  expect(await problems(dir.path)).toEqual(['daemontap.config.json: without: must be a list of names']);
});

test('two presets with the same plugin are told of, and no way to replace one', async () => {
  using dir = testDirectory({
    ...packageFiles('daemontap-preset-twice', `export const twice = { name: 'twice', plugins: ['status-file'] };`),
    'daemontap.config.json': { preset: ['daemontools', 'twice'] },
  });
  expect(await problems(dir.path)).toEqual([
    'preset twice: plugins[0]: plugin status-file is there already: preset daemontools',
  ]);
});

test.each([
  [`throw new Error('no');`, /^daemontap\.config\.json: preset: unable to load preset bad from .*: Error: no \(/],
  [
    'export const preset = 3;',
    /^daemontap\.config\.json: preset: unable to use preset bad from .*: it exports no preset/,
  ],
  [
    `export const bad = { name: 'bad', plugins: ['a', () => {}] };`,
    /^preset bad: plugins\[1\]: is a function: name its package or file instead$/,
  ],
  [`export const bad = { name: 'bad', plugins: [3] };`, /^preset bad: plugins\[0\]: must be a name, or a list/],
])('a preset that is none is refused: %s', async (code, message) => {
  using dir = testDirectory({
    ...packageFiles('daemontap-preset-bad', code),
    'daemontap.config.json': { preset: 'bad' },
  });
  expect(await problems(dir.path)).toEqual([expect.stringMatching(message)]);
});

test.skipIf(uid !== 0)('as root, a plugin that another may write is not loaded', async () => {
  using dir = testDirectory({ ...heartbeat, 'daemontap.config.json': { plugins: ['heartbeat'] } });
  const file = join(dir.path, 'node_modules/daemontap-plugin-heartbeat/index.js');
  chmodSync(file, 0o666);
  expect(await problems(dir.path)).toEqual([
    `daemontap.config.json: plugins[0]: unable to load plugin heartbeat from ${file}: it may be written by its group and others, and would be run as root: chmod go-w ${file}`,
  ]);
});

test('a plugin of several of a module is named by its export', async () => {
  using dir = testDirectory({
    ...packageFiles(
      'daemontap-plugin-two',
      pluginModule('bell', { as: 'bell' }) + pluginModule('book', { as: 'book' }),
    ),
    'daemontap.config.json': { plugins: ['two#book', 'two#bell'] },
  });
  expect(names(await load(dir.path)).slice(-2)).toEqual(['book', 'bell']);
});

// With --lite-mode, as the programs are run, there is no WebAssembly, with which Node strips types.
test.each([[[]], [['--lite-mode']]])('Node itself loads plugins that are TypeScript, run with %j', (flags) => {
  using dir = testDirectory({
    'typed.ts': `import { part } from './part.mts';\n${pluginModule('typed').replace('(options = {})', '(options: object = part)')}`,
    'part.mts': 'export const part: object = {};',
    'enum.ts': 'enum Colour { red }\nexport const plugin = Colour;',
    'bad.mjs': 'export const plugin = [;',
    'daemontap.config.json': { plugins: ['./typed.ts'] },
    'enum.json': { plugins: ['./enum.ts'] },
    'bad.json': { plugins: ['./bad.mjs'] },
  });
  const script = `
    import { loadConfiguration } from './load.ts';
    void (async () => {
    for (const configPath of [undefined, 'enum.json', 'bad.json']) {
      await loadConfiguration({ scanDir: '.', configPath, environment: {}, uid: process.geteuid() }).then(
        ({ plugins }) => console.log(plugins.at(-1).name),
        ({ message }) => console.log(message),
      );
    } })();`;
  // As the programs are: bundled, or a Node without WebAssembly could not read the sources.
  buildSync({
    stdin: { contents: script, resolveDir: import.meta.dirname },
    outfile: join(dir.path, 'bundle.cjs'),
    ...{ bundle: true, platform: 'node', conditions: ['@daemontap/source'], external: ['koffi'] },
    define: { 'import.meta.filename': '__filename' },
  });
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, 'bundle.cjs'], { cwd: dir.path, encoding: 'utf8' });
  expect([stderr, stdout.replaceAll(dir.path, 'DIR').split('\n')]).toEqual([
    '',
    [
      'typed',
      expect.stringMatching(
        /^enum\.json: plugins\[0\]: unable to load plugin \.\/enum\.ts from DIR\/enum\.ts: .*enum is not supported/,
      ),
      `bad.json: plugins[0]: unable to load plugin ./bad.mjs from DIR/bad.mjs: SyntaxError: Unexpected token ';'`,
      '',
    ],
  ]);
});

test("a service's own options can be checked before it is started", async () => {
  using dir = testDirectory({
    ...heartbeat,
    'well/daemontap.config.json': { heartbeat: { interval: 2 } },
    'wrong/daemontap.config.json': { heartbeat: { interval: -1 } },
    'more/daemontap.config.json': { heartbeat: { jitter: 1 } },
    'daemontap.config.json': { plugins: ['heartbeat'], allow: ['heartbeat.interval'] },
  });
  const configuration = await load(dir.path);
  const check = (label: string): readonly string[] =>
    serviceProblems(configuration, {
      label,
      path: join(dir.path, label),
      role: 'service',
      hasLog: false,
      identity: '1-2',
    });
  expect(check('well')).toEqual([]);
  expect(check('wrong')).toEqual([
    'unable to use the options of plugin heartbeat for wrong: interval: must not be negative',
  ]);
  expect(check('more')).toEqual([
    expect.stringMatching(/^unable to use .* more\/daemontap\.config\.json: heartbeat\.jitter is not allowed there/),
  ]);
});

describe('loaded again', () => {
  test('what has not changed keeps its plugin, and what has gets another', async () => {
    using dir = testDirectory({
      ...heartbeat,
      'local.mjs': pluginModule('local'),
      'daemontap.config.json': { plugins: [['heartbeat', { interval: 5, jitter: 1 }], './local.mjs'] },
    });
    const before = await load(dir.path);
    // Another order of keys, and another place in the list.
    dir.write('daemontap.config.json', { plugins: ['./local.mjs', ['heartbeat', { jitter: 1, interval: 5 }]] });
    const same = await load(dir.path, { previous: before });
    const byName = (configuration: Configuration, name: string): unknown =>
      configuration.plugins.find((each) => each.name === name)?.plugin;
    for (const name of names(before)) expect(byName(same, name)).toBe(byName(before, name));
    expect(compareConfigurations({ before, after: same })).toEqual([
      `plugins: their order is now ${[...all, 'local', 'heartbeat'].join(', ')}`,
    ]);
    dir.write('daemontap.config.json', {
      plugins: [['heartbeat', { interval: 10, jitter: 1 }]],
      stopTimeout: 10,
      log: 'json',
    });
    const changed = await load(dir.path, { previous: same });
    expect(byName(changed, 'heartbeat')).not.toBe(byName(before, 'heartbeat'));
    expect(byName(changed, 'status-file')).toBe(byName(before, 'status-file'));
    expect(compareConfigurations({ before: same, after: changed })).toEqual([
      'log: plain → json',
      'stopTimeout: 30 → 10: takes effect at the next start',
      'plugin log-stderr: removed',
      'plugin local: removed',
      'plugin log-pino: added',
      'plugin heartbeat: options changed: interval 5 → 10',
    ]);
  });

  test('code that has changed is told of, and not taken up', async () => {
    using dir = testDirectory({ ...heartbeat, 'daemontap.config.json': { plugins: ['heartbeat'] } });
    const before = await load(dir.path);
    const file = join(dir.path, 'node_modules/daemontap-plugin-heartbeat/index.js');
    writeFileSync(file, pluginModule('heartbeat', { options: ['interval', 'jitter', 'more'] }));
    const after = await load(dir.path, { previous: before });
    expect(after.plugins.at(-1)?.plugin).toBe(before.plugins.at(-1)?.plugin);
    expect(compareConfigurations({ before, after })).toEqual([
      'plugin heartbeat: its code has changed: takes effect at the next start',
    ]);
  });

  test('so is a preset that has changed', async () => {
    const preset = (...plugins: readonly string[]): string =>
      `export const quiet = ${JSON.stringify({ name: 'quiet', plugins })};`;
    using dir = testDirectory({
      'quiet.mjs': preset('status-file'),
      'daemontap.config.json': { preset: './quiet.mjs' },
    });
    const before = await load(dir.path);
    dir.write('quiet.mjs', preset('status-file', 'control-fifo'));
    const after = await load(dir.path, { previous: before });
    expect(names(after)).toEqual(names(before));
    expect(compareConfigurations({ before, after })).toEqual([
      'preset quiet: its code has changed: takes effect at the next start',
    ]);
    expect(compareConfigurations({ before: after, after: await load(dir.path, { previous: after }) })).toEqual([]);
  });

  test('a module that failed is looked at again once it is mended', async () => {
    using dir = testDirectory({
      ...packageFiles('daemontap-plugin-mended', 'export const plugin = [;'),
      'daemontap.config.json': { plugins: ['mended'] },
    });
    expect(await problems(dir.path)).toEqual([
      expect.stringMatching(/unable to load plugin mended from .*: SyntaxError: Unexpected token/),
    ]);
    dir.write('node_modules/daemontap-plugin-mended/index.js', pluginModule('mended'));
    expect(names(await load(dir.path))).toContain('mended');
  });
});
