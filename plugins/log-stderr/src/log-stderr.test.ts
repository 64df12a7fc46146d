/** The plugin writes to standard error, so each test gives it one of its own: that of a Node that runs the source. */
import { spawnSync } from 'node:child_process';
import type { PluginFactory, Report } from '@daemontap/kernel';
import { applyAlone } from '@daemontap/testkit';
import { expect, expectTypeOf, test } from 'vitest';
import { logStderr } from './index.ts';
import type { LogStderrOptions } from './index.ts';

/** What appears on standard error when these are reported. The causes are expressions. */
function shown(
  reports: readonly (Omit<Report, 'cause'> & { readonly cause?: string })[],
  options: LogStderrOptions = {},
): string {
  const calls = reports.map(({ cause, ...report }) => `report({ ...${JSON.stringify(report)}, cause: ${cause} });`);
  const script = `
    import { logStderr } from './log-stderr.ts';
    let report;
    logStderr(${JSON.stringify(options)}).apply({ hooks: { reported: { tap: (_name, tap) => (report = tap) } } });
    const missing = Object.assign(new Error('ENOENT'), { code: 'ENOENT', errno: -2 });
    ${calls.join('\n')}`;
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--conditions=@daemontap/source', '--input-type=module', '--eval', script],
    { cwd: import.meta.dirname, encoding: 'utf8' },
  );
  expect([status, stdout]).toEqual([0, '']);
  return stderr;
}

const report = (fields: Partial<Omit<Report, 'cause'>> & { readonly cause?: string }) =>
  ({
    level: 'warning',
    program: 'svscan',
    message: 'unable to scan',
    plugin: undefined,
    service: undefined,
    ...fields,
  }) as const;

test('a message is a line of daemontools, with the reason in the words of daemontools', () => {
  const all = [
    report({ message: 'unable to stat finger', cause: 'missing' }),
    report({ level: 'fatal', program: 'supervise', message: 'unable to start finger/run', cause: 'missing' }),
    report({ message: 'finger/log is not a directory: finger is not logged' }),
    report({ cause: "new Error('two\\nlines')" }),
    report({ plugin: 'heartbeat' }),
  ];
  expect(shown(all)).toBe(
    'svscan: warning: unable to stat finger: file does not exist\n' +
      'supervise: fatal: unable to start finger/run: file does not exist\n' +
      'svscan: warning: finger/log is not a directory: finger is not logged\n' +
      'svscan: warning: unable to scan: two lines\n' +
      'svscan: warning: heartbeat: unable to scan\n',
  );
});

test('it is silent about what is no trouble, and opens nothing for it', () => {
  expect(shown([report({ level: 'info' }), report({ level: 'debug' })])).toBe('');
  const plugin = applyAlone(logStderr());
  plugin.call('reported', { ...report({ level: 'info', message: 'well' }), cause: undefined });
  expect(plugin.said).toEqual([]);
});

test('more is shown on request', () => {
  const all = (['debug', 'info', 'warning', 'fatal'] as const).map((level) => report({ level, message: level }));
  expect(shown(all, { level: 'info' })).toBe('svscan: info: info\nsvscan: warning: warning\nsvscan: fatal: fatal\n');
  expect(shown(all, { level: 'debug' }).startsWith('svscan: debug: debug\n')).toBe(true);
  expect(() => logStderr({ level: 'loud' as 'info' })).toThrow(
    /unable to use the options of plugin log-stderr: level: /,
  );
});

test('the types of its options are the words of levels', () => {
  expectTypeOf(logStderr).toEqualTypeOf<PluginFactory<LogStderrOptions>>();
  // @ts-expect-error: no level is called so
  expect(() => logStderr({ level: 'loud' })).toThrow('unable to use the options of plugin log-stderr: level: ');
});
