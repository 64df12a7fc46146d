/** Configurations that are code. Each is evaluated by a Node of its own, so these tests start processes. */
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { testDirectory } from './directory.test-support.ts';
import { evaluate } from './evaluate.ts';
import type { Evaluation } from './evaluate.ts';

const CODE = 'daemontap.config.mjs';

async function evaluated(
  content: string,
  more: Partial<Evaluation> & { readonly name?: string } = {},
): Promise<unknown> {
  const { name = CODE, ...rest } = more;
  using dir = testDirectory({ [name]: content, 'value.mjs': 'export const value = 7;' });
  try {
    return await evaluate({ path: join(dir.path, name), label: name, environment: process.env, ...rest });
  } catch (error) {
    return String(error).replaceAll(dir.path, 'DIR');
  }
}

test.each([
  ['an object', 'export default { log: "json" }'],
  ['a promise', 'export default Promise.resolve({ log: "json" })'],
  ['a function', 'export default () => ({ log: "json" })'],
  ['a function that answers later', 'export default async () => ({ log: "json" })'],
  ['what is undefined left out', 'export default { log: "json", onTerm: undefined }'],
])('the value is the default export: %s', async (_what, code) => {
  expect(await evaluated(code)).toEqual({ log: 'json' });
});

test('it may be CommonJS or TypeScript, and import', async () => {
  expect(await evaluated('module.exports = { a: require("node:path").sep }', { name: 'daemontap.config.cjs' })).toEqual(
    { a: '/' },
  );
  const typed =
    'import { value } from "./value.mjs"; interface A { readonly a: number } export default { a: value } satisfies A';
  for (const name of ['daemontap.config.ts', 'daemontap.config.mts']) {
    expect(await evaluated(typed, { name })).toEqual({ a: 7 });
  }
});

test('what it prints does no harm, nor does what it leaves behind', async () => {
  const code = `
    import { spawn } from 'node:child_process';
    console.log('{"foreign":[],"value":1}');
    setInterval(() => {}, 1000);
    spawn('sleep', ['1000'], { stdio: 'inherit' });
    export default { a: 1 }`;
  expect(await evaluated(code)).toEqual({ a: 1 });
});

test('it sees a clean environment, its own directory, and no descriptor of ours', async () => {
  using dir = testDirectory();
  const code = `
    import { readlinkSync } from 'node:fs';
    const isOpen = (fd) => { try { return readlinkSync('/proc/self/fd/' + fd).includes('${dir.path}'); } catch { return false; } };
    const open = Array.from({ length: 100 }, (_, fd) => fd).filter(isOpen);
    export default { names: Object.keys(process.env).toSorted(), cwd: process.cwd(), open }`;
  const path = dir.write(CODE, code);
  const environment = { PATH: '/bin', HOME: '/root', NODE_OPTIONS: '--bad', DAEMONTAP_LOG: 'json', SECRET: 'x' };
  const fd = openSync(dir.write('mine', ''), 'r');
  try {
    const expected = { names: ['HOME', 'PATH'], cwd: dir.path, open: [] };
    expect(await evaluate({ path, label: CODE, environment })).toEqual(expected);
  } finally {
    closeSync(fd);
  }
});

test('what is no data is refused with its place', async () => {
  const code = `
    class Duration {}
    const loop = { in: {} };
    loop.in.again = loop;
    export default {
      plugins: ['a', () => {}, , ['b', { at: new Duration(), 'a b': Symbol() }]],
      stopTimeout: NaN,
      services: { finger: Promise.resolve() },
      loop,
      big: 3n,
    }`;
  expect(await evaluated(code)).toBe(
    [
      `ConfigurationError: ${CODE}: plugins[1]: is a function: name its package or file instead`,
      `${CODE}: plugins[2]: is undefined`,
      `${CODE}: plugins[3][1].at: is an instance of Duration: only plain data can be used`,
      `${CODE}: plugins[3][1]["a b"]: is a symbol`,
      `${CODE}: stopTimeout: is NaN`,
      `${CODE}: services.finger: is a promise: await it`,
      `${CODE}: loop.in.again: contains itself`,
      `${CODE}: big: is a bigint`,
    ].join('\n'),
  );
});

describe('an evaluation that fails', () => {
  test('names the line that throws, without what is inside of Node', async () => {
    expect(await evaluated('\nthrow new RangeError("not today")')).toBe(
      `ConfigurationError: ${CODE}: its evaluation ended with exit code 1
    file://DIR/${CODE}:2
    throw new RangeError("not today")
          ^
    RangeError: not today
        at file://DIR/${CODE}:2:7`,
    );
  });

  test('names the line that is not well-formed', async () => {
    expect(await evaluated('export default {\n  a: [\n}')).toMatch(
      /exit code 1\n {4}file:\/\/DIR\/.*:3\n.*\n.*\n.*SyntaxError: Unexpected token/,
    );
  });

  test('names a package that is missing', async () => {
    expect(await evaluated('import "nowhere"; export default {}')).toBe(
      `ConfigurationError: ${CODE}: its evaluation ended with exit code 1
    Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'nowhere' imported from DIR/${CODE}
      code: 'ERR_MODULE_NOT_FOUND'
    }`,
    );
  });

  test.each([
    ['export const a = 1', 'it has no default export: write export default { … }'],
    ['console.error("because"); process.exit(3)', 'its evaluation ended with exit code 3\n    because'],
    ['process.exit(0)', 'its evaluation ended with exit code 0 and no value'],
    ['process.kill(process.pid, "SIGKILL")', 'its evaluation ended with signal SIGKILL'],
    ['export default new Promise(() => {})', 'its evaluation ended with a promise that is never settled'],
  ])('%s', async (code, message) => {
    expect(await evaluated(code)).toBe(`ConfigurationError: ${CODE}: ${message}`);
  });

  test('is ended at its deadline, with all that it has started', async () => {
    using dir = testDirectory();
    const pidPath = join(dir.path, 'pid');
    const code = `
      import { spawn } from 'node:child_process';
      import { writeFileSync, renameSync } from 'node:fs';
      writeFileSync('${pidPath}.new', String(spawn('sleep', ['1000'], { stdio: 'inherit' }).pid));
      renameSync('${pidPath}.new', '${pidPath}');
      for (;;);`;
    const path = dir.write(CODE, code);
    const deadlineMs = 2000; // long enough to get that far
    await expect(evaluate({ path, label: CODE, environment: process.env, deadlineMs })).rejects.toThrow(
      `${CODE}: its evaluation took more than 2 seconds`,
    );
    const pid = readFileSync(pidPath, 'utf8');
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false));
  });
});

/** Whether a process is there that is more than the remembrance of one. */
function isRunning(pid: string): boolean {
  return existsSync(`/proc/${pid}`) && !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}
