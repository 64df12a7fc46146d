/** One service's output on its way to a log host: the pipe, and what the host is told about it. */
import { closeSync, constants, openSync } from 'node:fs';
import type { ServiceDirectory } from '@daemontap/kernel';
import type { Packet } from '@daemontap/posix';
import { encode } from '../protocol.ts';
import { LogPipe } from './pipe.ts';

const { O_DIRECTORY } = constants;
const O_PATH = 0o10000000;

/** What a stream is made of. */
export interface StreamSetUp {
  /** Names it among all of the plugin's, and after a kernel's end, too. */
  readonly id: string;
  readonly service: ServiceDirectory;
  readonly pipePath: string;
  /** What the host's program makes a sink of: anything that JSON can hold. */
  readonly options: unknown;
}

/** A stream that is open, or whose last output is on its way. */
export class LogStream {
  readonly id: string;
  readonly #pipe: LogPipe;
  #service: ServiceDirectory;
  #options: unknown;
  /** The service's directory, once its supervision is about to end. */
  #directoryFd: number | undefined;
  #isReleased = false;
  /** Output may follow, of a process that was started before. */
  #isLeft = false;

  /** @throws the system's error when there can be no pipe */
  constructor({ id, service, pipePath, options }: StreamSetUp) {
    this.id = id;
    this.#service = service;
    this.#options = options;
    this.#pipe = new LogPipe(pipePath);
  }

  get service(): ServiceDirectory {
    return this.#service;
  }

  /** True when nobody waits for anything but the end of its output. */
  get isReleased(): boolean {
    return this.#isReleased;
  }

  /** Goes on, perhaps with other options, for a service that is supervised anew. True when the host must be told. */
  goOn({ service, options }: Pick<StreamSetUp, 'service' | 'options'>): boolean {
    const isOther = this.#pipe.isEnding || JSON.stringify(options) !== JSON.stringify(this.#options);
    this.#service = service;
    this.#options = options;
    this.#isReleased = false;
    this.#isLeft = false;
    this.#pipe.reopen();
    this.#forgetDirectory();
    return isOther;
  }

  openOutput(): number {
    return this.#pipe.openOutput();
  }

  /** No output will follow. */
  end(): void {
    this.#isLeft = false;
    if (this.#pipe.isEnding) return;
    this.#directoryFd = this.#openDirectory(); // for a host that is started anew after the service has gone
    this.#pipe.end();
  }

  /** The service is gone: what is left is the host's to finish. */
  release(): void {
    this.#isReleased = true;
  }

  /** It ends with the process that writes to it: there will be no further one. */
  leave(): void {
    if (this.#isReleased) return;
    this.release();
    this.end();
    this.#isLeft = true;
  }

  /** What tells a host about it. @throws the system's error */
  order(): Packet {
    const { label } = this.#service;
    const isEnding = this.#pipe.isEnding && !this.#isLeft;
    const bytes = encode({ type: 'open', id: this.id, label, options: this.#options, isEnding });
    const pipeFd = this.#pipe.openInput();
    try {
      return { bytes, fds: [pipeFd, this.#openDirectory()] };
    } catch (error) {
      closeSync(pipeFd);
      throw error;
    }
  }

  /** To be called once. */
  close(): void {
    this.#forgetDirectory();
    this.#pipe.close();
  }

  #openDirectory(): number {
    const path = this.#directoryFd === undefined ? this.#service.path : `/proc/self/fd/${this.#directoryFd}`;
    return openSync(path, O_PATH | O_DIRECTORY);
  }

  #forgetDirectory(): void {
    if (this.#directoryFd !== undefined) closeSync(this.#directoryFd);
    this.#directoryFd = undefined;
  }
}
