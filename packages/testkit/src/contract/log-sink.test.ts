/** The contract of log sinks can be kept, and notices what does not keep it. */
import { closeSync, constants, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { LogSink, Plugin, ServiceDirectory } from '@daemontap/kernel';
import { mkfifo } from '@daemontap/posix';
import { afterEach, expect, test } from 'vitest';
import { logSinkChecks, logSinkContract, failedChecks } from '../index.ts';
import type { ContractCheck, LogSinkContractOptions } from '../index.ts';

const { O_RDONLY, O_RDWR, O_WRONLY, O_NONBLOCK, O_APPEND, O_CREAT } = constants;

/** What a broken sink opened and nobody closes. */
const leaked: number[] = [];
afterEach(() => {
  for (const fd of leaked.splice(0)) closeSync(fd);
});

/** A FIFO of which each end is opened anew. */
function pipeSink(path: string): Required<LogSink> {
  mkfifo(path, 0o600);
  const held = openSync(path, O_RDWR | O_NONBLOCK);
  let isHeld = true;
  const end = (): void => {
    if (isHeld) closeSync(held);
    isHeld = false;
  };
  return {
    openOutput: () => openSync(path, O_RDWR),
    openInput: () => openSync(path, O_RDONLY | O_NONBLOCK),
    end,
    close() {
      end();
      rmSync(path, { force: true });
    },
  };
}

/** A sink with parts exchanged. */
function example(change: (sink: Required<LogSink>, path: string) => Partial<LogSink> = () => ({})): Plugin {
  return {
    name: 'example',
    apiVersion: 1,
    apply(kernel) {
      const open = async ({ identity, hasLog }: ServiceDirectory): Promise<LogSink | undefined> => {
        if (!hasLog) return undefined;
        const path = join(kernel.stateDir(), identity);
        const sink = pipeSink(path);
        // A blocking open of the reading side would wait for a writer; /proc opens the same FIFO without.
        const openInput = (): number => {
          const nonblocking = sink.openInput();
          try {
            const writer = openSync(path, O_WRONLY);
            try {
              return openSync(`/proc/self/fd/${nonblocking}`, O_RDONLY);
            } finally {
              closeSync(writer);
            }
          } finally {
            closeSync(nonblocking);
          }
        };
        const whole = { ...sink, openInput };
        return { ...whole, ...change(whole, path) };
      };
      kernel.hooks.openLogSink.tapPromise('example', open);
    },
  };
}

logSinkContract({ name: 'an example pipe', create: () => example() });

/** A sink without a reader: output goes to a file. */
const fileSink: LogSinkContractOptions = {
  name: 'an example file',
  create: ({ dir }) => ({
    name: 'example-file',
    apiVersion: 1,
    apply({ hooks }) {
      hooks.openLogSink.tap('example-file', ({ identity }) => ({
        openOutput: () => openSync(join(dir, identity), O_WRONLY | O_APPEND | O_CREAT, 0o600),
        end() {},
        close() {},
      }));
    },
  }),
  received: ({ directory, place }) => readFileSync(join(place.dir, directory.identity)),
};
logSinkContract(fileSink);

const titlesOfFailed = async (checks: readonly ContractCheck[]): Promise<readonly string[]> =>
  (await failedChecks(checks)).map(({ title }) => title);

test.each<[string, (sink: Required<LogSink>, path: string) => Partial<LogSink>, string]>([
  [
    'gives the same output twice',
    (sink) => {
      let fd: number | undefined;
      return { openOutput: () => (fd ??= sink.openOutput()) };
    },
    'opens an output anew each time: closing one leaves the others',
  ],
  [
    'gives outputs that do not wait',
    (_sink, path) => ({ openOutput: () => openSync(path, O_RDWR | O_NONBLOCK) }),
    'opens descriptors that wait, and that no other process inherits',
  ],
  [
    'adds a stamp',
    (sink) => ({
      openOutput() {
        const fd = sink.openOutput();
        writeSync(fd, '@4000 ');
        return fd;
      },
    }),
    'hands on every byte as it was written',
  ],
  [
    'holds nothing while nobody reads',
    (sink) => {
      sink.end();
      return {};
    },
    'keeps what is written while nobody reads',
  ],
  ['does not end', () => ({ end() {} }), 'gives end of file after the end and the last writer, and not before'],
  [
    'leaves its file',
    (sink, path) => ({
      close() {
        sink.close();
        writeFileSync(path, '');
      },
    }),
    'leaves nothing behind',
  ],
  [
    'keeps a descriptor',
    (sink) => {
      leaked.push(sink.openOutput());
      return {};
    },
    'leaves nothing behind',
  ],
  [
    'cannot be closed twice',
    (sink, path) => ({
      close() {
        sink.end();
        rmSync(path);
      },
    }),
    'is closed twice without harm, to itself or to others',
  ],
])('a log sink that %s is found out', async (_what, change, title) => {
  const checks = logSinkChecks({ name: 'broken', create: () => example(change), timeoutMs: 100 });
  expect(await titlesOfFailed(checks)).toContain(title);
});

test('a sink whose services share one file is found out', async () => {
  const shared: LogSinkContractOptions = {
    ...fileSink,
    create: ({ dir }) => ({
      name: 'shared',
      apiVersion: 1,
      apply({ hooks }) {
        hooks.openLogSink.tap('shared', () => ({
          openOutput: () => openSync(join(dir, 'all'), O_WRONLY | O_APPEND | O_CREAT, 0o600),
          end() {},
          close() {},
        }));
      },
    }),
    received: ({ place }) => readFileSync(join(place.dir, 'all')),
    timeoutMs: 100,
  };
  expect(await titlesOfFailed(logSinkChecks(shared))).toEqual(
    expect.arrayContaining(['keeps the services of one kernel apart']),
  );
});

test('a plugin that gives no sink is found out', async () => {
  const create = (): Plugin => ({
    name: 'none',
    apiVersion: 1,
    apply({ hooks }) {
      hooks.openLogSink.tap('none', () => undefined);
    },
  });
  expect(await titlesOfFailed(logSinkChecks({ name: 'none', create, timeoutMs: 100 }))).toContain(
    'gives a service that has a log its sink',
  );
});
