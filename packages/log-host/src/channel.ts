/** One connection between a kernel and a host: packets in order, none of which makes anybody wait. */
import { closeSync } from 'node:fs';
import { hasCode, receivePacket, sendPacket } from '@daemontap/posix';
import type { Packet } from '@daemontap/posix';

/** While the other side takes no more, it is tried again so often. */
const TRY_AGAIN_MS = 10;
/** Packets handled before others get their turn. */
const PACKETS_A_TURN = 64;
const GONE = ['EPIPE', 'ECONNRESET', 'ENOTCONN'];

/** What a channel is made of. */
export interface ChannelOptions {
  /** A connected socket; the channel closes it. */
  readonly fd: number;
  readonly watchReadable: (fd: number, callback: () => void) => { close(): void };
  /** Calls back once, after so many milliseconds. */
  readonly after: (ms: number, callback: () => void) => { close(): void };
  onPacket(packet: Packet): void;
  /** The other side is gone. */
  onClose(): void;
}

/** An open channel. */
export class Channel {
  readonly #options: ChannelOptions;
  readonly #watch: { close(): void };
  /** Made when their turn has come: they may hold descriptors. */
  readonly #unsent: (() => Packet | undefined)[] = [];
  #timer: { close(): void } | undefined;
  #isOpen = true;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#watch = options.watchReadable(options.fd, () => this.#receive());
  }

  /** How many packets wait to be sent. */
  get unsent(): number {
    return this.#unsent.length;
  }

  /**
   * Sends what `make` makes, when it can be sent; its descriptors are closed then. `undefined`: nothing any more. Where it
   * throws it is asked again.
   */
  send(make: () => Packet | undefined): void {
    this.#unsent.push(make);
    if (this.#timer === undefined) this.#flush();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#timer?.close();
    this.#watch.close();
    closeSync(this.#options.fd);
  }

  #flush(): void {
    this.#timer = undefined;
    for (let make = this.#unsent[0]; make !== undefined && this.#isOpen; make = this.#unsent[0]) {
      if (!this.#sendOne(make)) {
        this.#timer = this.#options.after(TRY_AGAIN_MS, () => this.#flush());
        return;
      }
      this.#unsent.shift();
    }
  }

  #sendOne(make: () => Packet | undefined): boolean {
    let packet: Packet | undefined;
    try {
      packet = make();
      return packet === undefined || sendPacket(this.#options.fd, packet);
    } catch (error) {
      // Where the other side is gone, reading tells. Else the system is out of something, descriptors perhaps.
      return GONE.some((code) => hasCode(error, code));
    } finally {
      for (const fd of packet?.fds ?? []) closeSync(fd);
    }
  }

  #receive(): void {
    for (let count = 0; count < PACKETS_A_TURN && this.#isOpen; count++) {
      let packet: Packet | undefined;
      try {
        packet = receivePacket(this.#options.fd);
      } catch {
        packet = { bytes: Buffer.alloc(0), fds: [] };
      }
      if (packet === undefined) return;
      if (packet.bytes.length === 0) {
        this.close();
        this.#options.onClose();
        return;
      }
      this.#options.onPacket(packet);
    }
  }
}
