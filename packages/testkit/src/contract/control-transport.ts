/** What every control transport keeps: a plugin that taps `openControl`. */
import assert from 'node:assert/strict';
import type { Closeable, ServiceStatus } from '@daemontap/kernel';
import { anyPluginChecks } from './any-plugin.ts';
import { declareTests } from './check.ts';
import type { ContractCheck } from './check.ts';
import { filesIn, openThings } from './process-state.ts';
import { inTrial, Trial } from './trial.ts';
import type { ContractService, PluginContractOptions, TrialKernel, TrialService } from './trial.ts';

/** What the contract needs to know of a control transport. */
export interface ControlTransportContractOptions extends PluginContractOptions {
  /**
   * Does what a client does: sends bytes to a service, and resolves once they are on their way. It may reject bytes
   * that are no commands, and must reject, not wait, where nobody listens any more.
   */
  readonly send: (service: ContractService, bytes: Buffer) => Promise<void>;
  /** The letters that it carries; default: all eleven. */
  readonly commands?: string;
}

const ALL_COMMANDS = 'udopchaitkx';
const DOWN: ServiceStatus = {
  pid: undefined,
  paused: false,
  startDue: false,
  leaving: false,
  want: 'down',
  sinceNs: 0n,
};

/**
 * Declares vitest tests of what every control transport keeps. Letters arrive once and in order; what is opened is
 * handed over, and nothing is left behind.
 * @throws Error when vitest is not installed
 * @example
 * controlTransportContract({
 *   name: 'control-fifo',
 *   create: () => controlFifo(),
 *   send: async ({ path }, bytes) => {
 *     const fd = openSync(`${path}/supervise/control`, constants.O_WRONLY | constants.O_NONBLOCK);
 *     try {
 *       writeSync(fd, bytes);
 *     } finally {
 *       closeSync(fd);
 *     }
 *   },
 * });
 */
export function controlTransportContract(options: ControlTransportContractOptions): void {
  declareTests(`${options.name} as a control transport`, controlTransportChecks(options));
}

/** The checks of {@link controlTransportContract}, for other test frameworks and for tests of the contract itself. */
export function controlTransportChecks(options: ControlTransportContractOptions): readonly ContractCheck[] {
  const commands = options.commands ?? ALL_COMMANDS;
  const check = (title: string, body: (trial: TransportTrial) => Promise<void>): ContractCheck => ({
    title,
    run: () =>
      inTrial(new TransportTrial(options), async (trial) => {
        try {
          await body(trial);
        } finally {
          trial.closeAll();
        }
        await trial.settle();
        trial.assertNothingCameLate();
        trial.assertQuiet();
      }),
  });
  return [
    ...anyPluginChecks(options, 'openControl'),
    check('carries every command, one by one', async (trial) => {
      const controlled = trial.open();
      let expected = '';
      for (const letter of commands) {
        expected += letter;
        await trial.send(controlled, letter);
        await trial.arrived(controlled, expected);
      }
    }),
    check('carries the commands of one message once each and in order', async (trial) => {
      const controlled = trial.open();
      await trial.sendAndCompare(controlled, commands);
      await trial.sendAndCompare(controlled, [...commands].toReversed().join(''));
    }),
    check('carries a burst of a thousand commands whole', async (trial) => {
      await trial.sendAndCompare(trial.open(), commands.repeat(Math.ceil(1000 / commands.length)));
    }),
    check('carries the commands of clients that come at the same time', async (trial) => {
      const controlled = trial.open();
      const sent = [...commands.repeat(5)];
      await Promise.all(sent.map((letter) => trial.send(controlled, letter)));
      await trial.countArrived(controlled, sent.length);
      await trial.settle();
      assert.deepEqual([...controlled.letters].toSorted(), sent.toSorted());
    }),
    check('ignores or refuses bytes that are no commands, and goes on', async (trial) => {
      const controlled = trial.open();
      const unknown = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).filter(
        (byte) => !ALL_COMMANDS.includes(String.fromCharCode(byte)),
      );
      for (const bytes of [Buffer.from(unknown), Buffer.from('?'), Buffer.of(0), Buffer.of(10), Buffer.alloc(0)]) {
        await trial.sendOrBeRefused(controlled, bytes);
      }
      await trial.send(controlled, commands);
      await trial.arrived(controlled, commands);
    }),
    check('keeps the services of one kernel apart', async (trial) => {
      const kernel = trial.kernel();
      const [first, second] = [trial.open(kernel, 'finger'), trial.open(kernel, 'nntp')];
      await trial.sendAndCompare(first, commands);
      await trial.sendAndCompare(second, [...commands].toReversed().join(''));
      first.close();
      await trial.sendAndCompare(second, commands);
    }),
    check('keeps two kernels apart', async (trial) => {
      const [first, second] = [trial.open(), trial.open()];
      await trial.sendAndCompare(first, commands);
      await trial.sendAndCompare(second, [...commands].toReversed().join(''));
      first.close();
      await trial.sendAndCompare(second, commands);
    }),
    check('goes on working when the service directory is renamed', async (trial) => {
      const controlled = trial.open();
      controlled.service.rename();
      await trial.sendAndCompare(controlled, commands);
    }),
    check('hands over what it opens, and carries nothing once that is closed', async (trial) => {
      const controlled = trial.open();
      assert.notEqual(controlled.handedOver, 0, 'nothing was handed over');
      await trial.sendAndCompare(controlled, commands);
      controlled.close();
      await trial.sendOrBeRefused(controlled, Buffer.from(commands));
      await trial.settle();
    }),
    check('is closed twice without harm, to itself or to others', async (trial) => {
      const kernel = trial.kernel();
      const controlled = trial.open(kernel, 'finger');
      controlled.close();
      const other = trial.open(kernel, 'nntp'); // it may have the descriptors now that were closed
      controlled.closeAgain();
      await trial.sendAndCompare(other, commands);
    }),
    check('is closed before the first status without harm', async (trial) => {
      const kernel = trial.kernel();
      const controlled = trial.open(kernel, 'finger', { announces: false });
      controlled.close();
      await trial.sendAndCompare(trial.open(kernel, 'nntp'), commands);
    }),
    check('listens again when a service is supervised again', async (trial) => {
      const kernel = trial.kernel();
      const first = trial.open(kernel);
      await trial.sendAndCompare(first, commands);
      first.close();
      await trial.sendAndCompare(trial.openFor(kernel, first.service), commands);
    }),
    check('opens nothing more however often a status is told', async (trial) => {
      const controlled = trial.open();
      controlled.announce();
      await trial.settle();
      const before = openThings();
      const handedOver = controlled.handedOver;
      for (let count = 0; count < 20; count++) controlled.announce();
      await trial.settledTo(before);
      assert.equal(controlled.handedOver, handedOver, 'more was handed over');
    }),
    check('leaves nothing behind', async (trial) => {
      const kernel = trial.kernel();
      const service = kernel.service('finger');
      const files = (): readonly string[] => [
        ...filesIn(service.path).filter((path) => !path.startsWith('supervise/')),
        ...filesIn(kernel.stateDir),
        ...filesIn(kernel.place.dir),
      ];
      const filesBefore = files();
      const superviseOnce = async (): Promise<void> => {
        const controlled = trial.openFor(kernel, service);
        await trial.sendAndCompare(controlled, commands);
        controlled.close();
      };
      await superviseOnce(); // whatever is opened once for a whole process is open now
      await trial.settle();
      const [before, superviseBefore] = [openThings(), filesIn(`${service.path}/supervise`)];
      for (let count = 0; count < 3; count++) await superviseOnce();
      await trial.settledTo(before);
      await trial.until('its files are gone', () => String(files()) === String(filesBefore));
      assert.deepEqual(filesIn(`${service.path}/supervise`), superviseBefore, 'files in supervise/ become more');
    }),
    check('leaves nothing open where it cannot listen', async (trial) => {
      const kernel = trial.kernel();
      const service = kernel.service('finger');
      const nowhere = { ...service, directory: { ...service.directory, path: `${service.path}/nowhere` } };
      const attempt = (): void => {
        try {
          trial.openFor(kernel, nowhere).close();
        } catch (error) {
          assert.ok(error instanceof Error && error.message !== '', 'a refusal is an Error and names the reason');
        }
      };
      attempt();
      await trial.settle();
      const before = openThings();
      for (let count = 0; count < 3; count++) attempt();
      await trial.settledTo(before);
    }),
  ];
}

/** The kernel's side of control transports. */
class TransportTrial extends Trial {
  readonly #send: ControlTransportContractOptions['send'];
  readonly #controlled: Controlled[] = [];

  constructor(options: ControlTransportContractOptions) {
    super(options);
    this.#send = options.send;
  }

  open(kernel = this.kernel(), name = 'finger', options = { announces: true }): Controlled {
    return this.openFor(kernel, kernel.service(name), options);
  }

  openFor(kernel: TrialKernel, service: TrialService, { announces } = { announces: true }): Controlled {
    const controlled = new Controlled(kernel, service);
    this.#controlled.push(controlled);
    controlled.open();
    if (announces) controlled.announce();
    return controlled;
  }

  async send({ service }: Controlled, bytes: string | Buffer): Promise<void> {
    await this.settled('the client has sent', this.#send(service, Buffer.from(bytes)));
  }

  async sendOrBeRefused(controlled: Controlled, bytes: Buffer): Promise<void> {
    const sent = this.#send(controlled.service, bytes).then(
      () => {},
      () => {},
    );
    await this.settled('the client has sent, or was refused', sent);
    await this.settle();
  }

  /** Sends letters and sees that they, and no others, arrive. */
  async sendAndCompare(controlled: Controlled, letters: string): Promise<void> {
    const expected = controlled.letters + letters;
    await this.send(controlled, letters);
    await this.arrived(controlled, expected);
  }

  async arrived(controlled: Controlled, expected: string): Promise<void> {
    await this.countArrived(controlled, expected.length);
    await this.settle(); // what comes twice may come later
    assert.equal(controlled.letters, expected);
  }

  async countArrived(controlled: Controlled, count: number): Promise<void> {
    await this.until(
      () => `${count} letters arrive; there are ${controlled.letters.length}: ${controlled.letters.slice(0, 100)}`,
      () => controlled.letters.length >= count,
    );
  }

  closeAll(): void {
    for (const each of this.#controlled) each.close();
  }

  assertNothingCameLate(): void {
    for (const { late } of this.#controlled) assert.equal(late, '', 'commands came after the transport was closed');
  }
}

/** One service, and what its transport gives to the kernel. */
class Controlled {
  readonly service: TrialService;
  readonly #kernel: TrialKernel;
  readonly #opened: Closeable[] = [];
  #isClosed = false;
  #letters = '';
  #late = '';

  constructor(kernel: TrialKernel, service: TrialService) {
    this.#kernel = kernel;
    this.service = service;
  }

  get letters(): string {
    return this.#letters;
  }

  get late(): string {
    return this.#late;
  }

  get handedOver(): number {
    return this.#opened.length;
  }

  open(): void {
    try {
      const answers = this.#kernel.call('openControl', this.service.directory, {
        command: (letter) => {
          if (this.#isClosed) this.#late += letter;
          else this.#letters += letter;
        },
        opened: (transport) => {
          this.#opened.push(transport);
          if (this.#isClosed) transport.close();
        },
      });
      for (const answer of answers) assert.ok(!(answer instanceof Promise), 'openControl is not answered at once');
    } catch (error) {
      this.#isClosed = true;
      this.closeAgain();
      throw error;
    }
  }

  announce(): void {
    this.#kernel.call('statusChanged', this.service.directory, DOWN);
  }

  /** Ends supervision, as the kernel does. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.closeAgain();
    this.#kernel.call('serviceReleased', this.service.directory);
  }

  closeAgain(): void {
    for (const each of this.#opened.toReversed()) each.close();
  }
}
