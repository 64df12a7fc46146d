/** The contract of control transports can be kept, and notices what does not keep it. */
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import type { Closeable, Command, ControlPort, Plugin, PluginKernel, ServiceDirectory } from '@daemontap/kernel';
import { ensureFifo } from '@daemontap/posix';
import { afterEach, expect, test } from 'vitest';
import { controlTransportChecks, controlTransportContract, failedChecks } from '../index.ts';
import type { ContractCheck, ControlTransportContractOptions } from '../index.ts';

const { O_RDONLY, O_RDWR, O_WRONLY, O_NONBLOCK } = constants;

/** What a broken transport opened and nobody closes. */
const leaked: Closeable[] = [];
afterEach(() => {
  for (const each of leaked.splice(0)) each.close();
});

interface Opening {
  readonly kernel: PluginKernel;
  readonly service: ServiceDirectory;
  readonly control: ControlPort;
}

interface Parts {
  /** What becomes of the bytes that were read. */
  deliver(bytes: Buffer, control: ControlPort): void;
  /** What becomes of an open FIFO. */
  handOver(fifo: { readonly fd: number; readonly watch: Closeable }, control: ControlPort): void;
  open(opening: Opening, parts: Parts): void;
  /** What is done besides when it is applied. */
  applied(kernel: PluginKernel): void;
}

const working: Parts = {
  deliver(bytes, control) {
    for (const letter of bytes.toString('latin1')) if (isCommand(letter)) control.command(letter);
  },
  handOver({ fd, watch }, control) {
    let isOpen = true;
    control.opened({
      close() {
        if (!isOpen) return;
        isOpen = false;
        watch.close();
        closeSync(fd);
      },
    });
  },
  open({ kernel, service, control }, parts) {
    const path = `${service.path}/supervise/letters`;
    ensureFifo(path, 0o600);
    const fd = openSync(path, O_RDWR | O_NONBLOCK);
    const buffer = Buffer.alloc(64);
    const read = (): void => parts.deliver(buffer.subarray(0, readSync(fd, buffer)), control);
    parts.handOver({ fd, watch: kernel.readiness.watchReadable(fd, read) }, control);
  },
  applied() {},
};

/** A control transport of one FIFO, with parts exchanged. */
function example(changed: Partial<Parts> = {}): ControlTransportContractOptions {
  const parts = { ...working, ...changed };
  const create = (): Plugin => ({
    name: 'example',
    apiVersion: 1,
    apply(kernel) {
      parts.applied(kernel);
      kernel.hooks.openControl.tap('example', (service, control) => parts.open({ kernel, service, control }, parts));
    },
  });
  return {
    name: 'an example',
    create,
    send: async ({ path }, bytes) => {
      const fd = openSync(`${path}/supervise/letters`, O_WRONLY | O_NONBLOCK);
      try {
        writeSync(fd, bytes);
      } finally {
        closeSync(fd);
      }
    },
  };
}

function isCommand(letter: string): letter is Command {
  return 'udopchaitkx'.includes(letter);
}

controlTransportContract(example());

let last: ControlPort | undefined;

const titlesOfFailed = async (checks: readonly ContractCheck[]): Promise<readonly string[]> =>
  (await failedChecks(checks)).map(({ title }) => title);

test.each<[string, Partial<Parts>, string]>([
  [
    'delivers each letter twice',
    {
      deliver(bytes, control) {
        working.deliver(bytes, control);
        working.deliver(bytes, control);
      },
    },
    'carries the commands of one message once each and in order',
  ],
  [
    'delivers what was sent together in its own order',
    { deliver: (bytes, control) => working.deliver(Buffer.from(bytes.toSorted()), control) },
    'carries the commands of one message once each and in order',
  ],
  [
    'delivers one letter of a message',
    { deliver: (bytes, control) => working.deliver(bytes.subarray(0, 1), control) },
    'carries a burst of a thousand commands whole',
  ],
  [
    'delivers bytes that are no commands',
    {
      deliver(bytes, control) {
        for (const letter of bytes.toString('latin1')) control.command(letter as Command);
      },
    },
    'ignores or refuses bytes that are no commands, and goes on',
  ],
  [
    'delivers to the service that came last',
    {
      open(opening, parts) {
        last = opening.control;
        working.open(opening, parts);
      },
      deliver: (bytes, control) => working.deliver(bytes, last ?? control),
    },
    'keeps two kernels apart',
  ],
  [
    'hands nothing over',
    { handOver: ({ fd, watch }) => void leaked.push(watch, { close: () => closeSync(fd) }) },
    'hands over what it opens, and carries nothing once that is closed',
  ],
  [
    'closes whatever has its descriptor by now',
    {
      handOver({ fd, watch }, control) {
        control.opened({
          close() {
            watch.close();
            closeSync(fd);
          },
        });
      },
    },
    'is closed twice without harm, to itself or to others',
  ],
  [
    'keeps a descriptor open',
    {
      open(opening, parts) {
        working.open(opening, parts);
        const fd = openSync('/dev/null', O_RDONLY);
        leaked.push({ close: () => closeSync(fd) });
      },
    },
    'leaves nothing behind',
  ],
  [
    'opens a descriptor when it is applied',
    {
      applied() {
        const fd = openSync('/dev/null', O_RDONLY);
        leaked.push({ close: () => closeSync(fd) });
      },
    },
    'opens, starts and writes nothing when it is made and applied',
  ],
  [
    'sets a timer when it is applied',
    {
      applied() {
        const timer = setInterval(() => {}, 1000).unref();
        leaked.push({ close: () => clearInterval(timer) });
      },
    },
    'opens, starts and writes nothing when it is made and applied',
  ],
  [
    "sets one of the kernel's timers when it is applied",
    { applied: ({ clock }) => void clock.wakeAt(clock.monotonicNs() + 10n ** 15n, () => {}) },
    'opens, starts and writes nothing when it is made and applied',
  ],
])('a control transport that %s is found out', async (_what, changed, title) => {
  expect(await titlesOfFailed(controlTransportChecks({ ...example(changed), timeoutMs: 100 }))).toContain(title);
});

test('a factory that takes wrong options is found out', async () => {
  const wrongOptions = { 'a path that is empty': () => example() };
  expect(await titlesOfFailed(controlTransportChecks({ ...example(), wrongOptions }))).toEqual([
    'refuses wrong options when it is made: a path that is empty',
  ]);
});
