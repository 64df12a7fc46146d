/** What every log sink keeps: a plugin that taps `openLogSink`. */
import assert from 'node:assert/strict';
import { closeSync, constants, readSync, writeSync } from 'node:fs';
import { isReady } from '@daemontap/posix';
import type { LogSink } from '@daemontap/kernel';
import { anyPluginChecks } from './any-plugin.ts';
import { declareTests } from './check.ts';
import type { ContractCheck } from './check.ts';
import { filesIn, flagsOf, openThings } from './process-state.ts';
import { inTrial, Trial } from './trial.ts';
import type { ContractService, PluginContractOptions, TrialKernel, TrialService } from './trial.ts';

/** What the contract needs to know of a log sink. */
export interface LogSinkContractOptions extends PluginContractOptions {
  /**
   * All that has come out for a service so far, as it was written: without stamps, say. Every write of the contract
   * ends with a newline. Default: what can be read from `openInput()`; a sink that has it gives no `received`.
   */
  readonly received?: (service: ContractService) => Buffer | Promise<Buffer>;
}

const { O_ACCMODE, O_CLOEXEC, O_NONBLOCK, O_RDONLY, O_WRONLY } = {
  ...constants,
  O_ACCMODE: 0o3,
  O_CLOEXEC: 0o2000000,
};

/** Every byte there is, in lines. A write of it fits into any pipe, so it never waits for a reader. */
const ALL_BYTES = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)), Buffer.from('\n')]);

/**
 * Declares vitest tests of what every log sink keeps: each output is opened anew, every byte comes out as it was
 * written, and nothing is left behind.
 * @throws Error when vitest is not installed
 * @example
 * logSinkContract({ name: 'log-pipe', create: () => logPipe() });
 * logSinkContract({
 *   name: 'log-file',
 *   create: ({ dir }) => logFile({ dir }),
 *   received: ({ directory, place }) => readFileSync(`${place.dir}/${directory.label}`),
 *   wrongOptions: { 'a relative path': () => logFile({ dir: 'x' }) },
 * });
 */
export function logSinkContract(options: LogSinkContractOptions): void {
  declareTests(`${options.name} as a log sink`, logSinkChecks(options));
}

/** The checks of {@link logSinkContract}, for other test frameworks and for tests of the contract itself. */
export function logSinkChecks(options: LogSinkContractOptions): readonly ContractCheck[] {
  const check = (title: string, body: (trial: SinkTrial) => Promise<void>): ContractCheck => ({
    title,
    run: () =>
      inTrial(new SinkTrial(options), async (trial) => {
        try {
          await body(trial);
        } finally {
          trial.closeAll();
        }
        await trial.settle();
        trial.assertQuiet();
      }),
  });
  const readerChecks = [
    check('keeps what is written while nobody reads', async (trial) => {
      const opened = await trial.open();
      const text = Buffer.concat(Array.from({ length: 16 }, () => ALL_BYTES));
      opened.write(text);
      await trial.comesOut(opened, text);
    }),
    check('lets a reader that begins anew go on at the next byte', async (trial) => {
      const opened = await trial.open();
      opened.write('one\n');
      await trial.comesOut(opened, 'one\n');
      opened.closeInput();
      opened.write('two\n');
      await trial.comesOut(opened, 'one\ntwo\n');
    }),
    check('gives end of file after the end and the last writer, and not before', async (trial) => {
      const opened = await trial.open();
      const output = opened.openOutput();
      writeSync(output, 'one\n');
      await trial.comesOut(opened, 'one\n');
      opened.closeOutput(output);
      await trial.staysOpen(opened, 'there was an output, and the next one may come');
      const last = opened.openOutput();
      opened.sink.end();
      opened.sink.end();
      await trial.staysOpen(opened, 'a writer is left');
      writeSync(last, 'two\n');
      await trial.comesOut(opened, 'one\ntwo\n');
      opened.closeOutput(last);
      await trial.until('a reader meets end of file', () => opened.readAll());
    }),
  ];
  return [
    ...anyPluginChecks(options, 'openLogSink'),
    check('gives a service that has a log its sink', async (trial) => {
      const { sink } = await trial.open();
      for (const name of ['openOutput', 'end', 'close'] as const) {
        assert.equal(typeof sink[name], 'function', `the sink has no ${name}()`);
      }
      const sides = [typeof sink.openInput, typeof options.received].filter((type) => type === 'function');
      assert.equal(sides.length, 1, 'what comes out is seen through openInput() or through the option received');
    }),
    check('opens descriptors that wait, and that no other process inherits', async (trial) => {
      const opened = await trial.open();
      const output = opened.openOutput();
      const input = opened.sink.openInput === undefined ? [] : [opened.openInput()];
      assert.notEqual(flagsOf(output) & O_ACCMODE, O_RDONLY, 'the output cannot be written');
      for (const fd of input) assert.notEqual(flagsOf(fd) & O_ACCMODE, O_WRONLY, 'the input cannot be read');
      for (const fd of [output, ...input]) {
        assert.equal(flagsOf(fd) & O_NONBLOCK, 0, 'O_NONBLOCK is set: programs fail with EAGAIN');
        assert.equal(flagsOf(fd) & O_CLOEXEC, O_CLOEXEC, 'O_CLOEXEC is not set');
      }
    }),
    check('opens an output anew each time: closing one leaves the others', async (trial) => {
      const opened = await trial.open();
      const [first, second] = [opened.openOutput(), opened.openOutput()];
      assert.notEqual(first, second);
      writeSync(first, 'one\n');
      await trial.comesOut(opened, 'one\n');
      opened.closeOutput(first);
      writeSync(second, 'two\n');
      await trial.comesOut(opened, 'one\ntwo\n');
      opened.closeOutput(second);
      opened.write('three\n');
      await trial.comesOut(opened, 'one\ntwo\nthree\n');
    }),
    check('hands on every byte as it was written', async (trial) => {
      const opened = await trial.open();
      opened.write(ALL_BYTES);
      opened.write(ALL_BYTES);
      await trial.comesOut(opened, Buffer.concat([ALL_BYTES, ALL_BYTES]));
    }),
    ...(options.received === undefined ? readerChecks : []),
    check('loses nothing by the end', async (trial) => {
      const opened = await trial.open();
      const output = opened.openOutput();
      if (options.received === undefined) opened.openInput(); // after the end there may be none any more
      writeSync(output, 'one\n');
      opened.sink.end();
      writeSync(output, 'two\n');
      opened.closeOutput(output);
      await trial.comesOut(opened, 'one\ntwo\n');
    }),
    check('keeps the services of one kernel apart', async (trial) => {
      const kernel = trial.kernel();
      await trial.staysApart(await trial.open(kernel, 'finger'), await trial.open(kernel, 'nntp'));
    }),
    check('keeps two kernels apart', async (trial) => {
      await trial.staysApart(await trial.open(), await trial.open());
    }),
    check('goes on working when the service directory is renamed', async (trial) => {
      const opened = await trial.open();
      opened.write('one\n');
      opened.service.rename();
      opened.write('two\n');
      await trial.comesOut(opened, 'one\ntwo\n');
    }),
    check('is closed twice without harm, to itself or to others', async (trial) => {
      const kernel = trial.kernel();
      for (const ends of [true, false]) {
        const opened = await trial.open(kernel, `finger-${ends}`);
        opened.write('one\n');
        await trial.comesOut(opened, 'one\n');
        if (ends) opened.sink.end();
        opened.close();
        const other = await trial.open(kernel, `nntp-${ends}`); // it may have the descriptors now that were closed
        opened.sink.close();
        opened.sink.end();
        other.write('two\n');
        await trial.comesOut(other, 'two\n');
      }
    }),
    check('leaves nothing behind', async (trial) => {
      const kernel = trial.kernel();
      const first = kernel.service('finger');
      const others = ['nntp', 'smtp', 'http'].map((name) => kernel.service(name));
      const superviseOnce = async (service: TrialService): Promise<void> => {
        const opened = await trial.openFor(kernel, service);
        opened.write('one\n');
        await trial.comesOut(opened, 'one\n');
        opened.sink.end();
        opened.close();
      };
      await superviseOnce(first); // whatever is opened once for a whole process is open now
      await trial.settle();
      const before = openThings();
      for (const service of others) await superviseOnce(service);
      await trial.settledTo(before);
      await trial.until('the runtime directory is empty', () => filesIn(kernel.stateDir).length === 0);
    }),
    check('leaves nothing open where it cannot be opened', async (trial) => {
      const kernel = trial.kernel({ hasStateDir: false });
      const service = kernel.service('finger');
      const attempt = async (): Promise<void> => {
        try {
          (await trial.openFor(kernel, service)).close();
        } catch (error) {
          assert.ok(error instanceof Error && error.message !== '', 'a refusal is an Error and names the reason');
        }
      };
      await attempt();
      await trial.settle();
      const before = openThings();
      for (let times = 0; times < 3; times++) await attempt();
      await trial.settledTo(before);
    }),
  ];
}

/** The kernel's side of log sinks, and the services' and readers'. */
class SinkTrial extends Trial {
  readonly #received: LogSinkContractOptions['received'];
  readonly #opened: OpenedSink[] = [];

  constructor(options: LogSinkContractOptions) {
    super(options);
    this.#received = options.received;
  }

  open(kernel = this.kernel(), name = 'finger'): Promise<OpenedSink> {
    return this.openFor(kernel, kernel.service(name));
  }

  async openFor(kernel: TrialKernel, service: TrialService): Promise<OpenedSink> {
    for (const answer of kernel.call('openLogSink', service.directory)) {
      // A hook's taps return what its type says; a plugin that does not fails here or below.
      const sink = (await this.settled('openLogSink is answered', answer)) as LogSink | undefined;
      if (sink === undefined) continue;
      const opened = new OpenedSink(sink, { kernel, service });
      this.#opened.push(opened);
      return opened;
    }
    throw new Error('the service has a log, and openLogSink gives it no sink');
  }

  /** Sees that this, and nothing else, has come out since the sink was opened. */
  async comesOut(opened: OpenedSink, expected: string | Buffer): Promise<void> {
    const bytes = Buffer.from(expected);
    let out: Buffer = Buffer.alloc(0);
    const look = async (): Promise<boolean> => {
      out = await this.#out(opened);
      return out.length >= bytes.length;
    };
    await this.until(() => `${bytes.length} bytes come out; there are ${out.length}`, look);
    await this.settle(); // what comes twice may come later
    await look();
    // As text, so that a difference can be seen.
    assert.equal(out.toString('latin1'), bytes.toString('latin1'));
  }

  async staysApart(first: OpenedSink, second: OpenedSink): Promise<void> {
    first.write('first\n');
    second.write('second\n');
    await this.comesOut(first, 'first\n');
    await this.comesOut(second, 'second\n');
    first.sink.end();
    first.close();
    second.write('on\n');
    await this.comesOut(second, 'second\non\n');
  }

  async staysOpen(opened: OpenedSink, why: string): Promise<void> {
    await this.settle();
    assert.equal(opened.readAll(), false, `a reader meets end of file too early: ${why}`);
  }

  closeAll(): void {
    for (const each of this.#opened) each.close();
  }

  async #out(opened: OpenedSink): Promise<Buffer> {
    if (this.#received !== undefined) return this.#received(opened.service);
    opened.readAll();
    return opened.out;
  }
}

/** A sink that a kernel has, with the ends that it has given. */
class OpenedSink {
  readonly sink: LogSink;
  readonly service: TrialService;
  readonly #kernel: TrialKernel;
  readonly #outputs = new Set<number>();
  readonly #chunks: Buffer[] = [];
  #input: number | undefined;
  #isClosed = false;

  constructor(sink: LogSink, { kernel, service }: { readonly kernel: TrialKernel; readonly service: TrialService }) {
    this.sink = sink;
    this.service = service;
    this.#kernel = kernel;
  }

  /** What was read so far. */
  get out(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  openOutput(): number {
    const fd = this.sink.openOutput();
    this.#outputs.add(fd);
    return fd;
  }

  /** Closes what is ours, as the kernel does after the start and a service at its end. */
  closeOutput(fd: number): void {
    if (this.#outputs.delete(fd)) closeSync(fd);
  }

  /** One run of a service. */
  write(bytes: string | Buffer): void {
    const fd = this.openOutput();
    writeSync(fd, Buffer.from(bytes));
    this.closeOutput(fd);
  }

  openInput(): number {
    assert.ok(this.sink.openInput !== undefined, 'the sink has no openInput(), and the option received is not given');
    return (this.#input ??= this.sink.openInput());
  }

  closeInput(): void {
    if (this.#input !== undefined) closeSync(this.#input);
    this.#input = undefined;
  }

  /** Reads what can be read now; true at end of file. */
  readAll(): boolean {
    const fd = this.openInput();
    const buffer = Buffer.alloc(65_536);
    while (isReady('readable', fd)) {
      const length = readSync(fd, buffer);
      if (length === 0) return true;
      this.#chunks.push(Buffer.from(buffer.subarray(0, length)));
    }
    return false;
  }

  /** Ends supervision, as the kernel does: the processes are gone before. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const fd of this.#outputs) this.closeOutput(fd);
    this.closeInput();
    this.sink.close();
    this.#kernel.call('serviceReleased', this.service.directory);
  }
}
