/**
 * One log host as the kernel sees it: a helper that is supervised for as long as there are streams, and a connection
 * to it for as long as it runs, over which it learns of them.
 */
import { mkdirSync } from 'node:fs';
import type { Closeable, PluginKernel } from '@daemontap/kernel';
import { connectForPackets } from '@daemontap/posix';
import { Channel } from '../channel.ts';
import { decode, encode, PROTOCOL, SOCKET } from '../protocol.ts';
import type { Answer } from '../protocol.ts';
import type { LogStream } from './stream.ts';

/** A host that was just started does not listen yet. */
const CONNECT_EVERY_NS = 20_000_000n;
/** A host that is well has answered by then. */
const SILENT_FOR_NS = 10_000_000_000n;
/** There may be room later. */
const REFUSED_AGAIN_NS = 5_000_000_000n;

/** What a host is made of. */
export interface LogHostSetUp {
  /** Another one after a change of the plugin's options. */
  kernel(): Pick<PluginKernel, 'clock' | 'readiness' | 'log' | 'supervise'>;
  /** For messages. */
  readonly name: string;
  /** Its directory. */
  readonly path: string;
  /** One that was started as another generation is replaced. */
  generation(): string;
  /** All output of a stream that was released is where it belongs. */
  onEnded(stream: LogStream): void;
}

/** A log host. */
export class LogHost {
  readonly #setUp: LogHostSetUp;
  readonly #streams = new Map<string, LogStream>();
  #helper: Closeable | undefined;
  #channel: Channel | undefined;
  /** It has told its version, and may be told about streams. */
  #isGreeted = false;
  /** What is to be done once a stream is no longer written here. */
  readonly #givenUp = new Map<string, () => void>();
  /** Where its directory is, while it runs. */
  #runsIn: string | undefined;
  #timer: Closeable | undefined;
  /** Since when it was to run and has not answered; monotonic clock. */
  #silentSinceNs: bigint | undefined;
  #hasComplained = false;

  constructor(setUp: LogHostSetUp) {
    this.#setUp = setUp;
  }

  /** Has it write a stream. Again, for one that goes on: tells it what is other now. */
  add(stream: LogStream): void {
    const { kernel, name, path } = this.#setUp;
    this.#streams.set(stream.id, stream);
    this.#givenUp.delete(stream.id); // it is to have it after all
    if (this.#helper === undefined) {
      mkdirSync(path, { recursive: true, mode: 0o711 });
      this.#helper = kernel().supervise({ name, path });
    }
    this.#tell(stream);
  }

  /** Lets another host have a stream, and says when it may begin. */
  giveUp(stream: LogStream, then: () => void): void {
    this.#streams.delete(stream.id);
    if (this.#runsIn === undefined) then();
    else {
      this.#givenUp.set(stream.id, then);
      if (this.#isGreeted) this.#haveYielded(stream.id);
    }
    this.#endWhereUnneeded();
  }

  /** Tells it that no output of a stream will follow. */
  ending({ id }: LogStream): void {
    if (this.#isGreeted) this.#channel?.send(() => ({ bytes: encode({ type: 'ending', id }), fds: [] }));
  }

  /** True while there is something to write. */
  get isNeeded(): boolean {
    return this.#helper !== undefined;
  }

  /** Is told what the host's process does: it is connected to where it runs. */
  runs(runsIn: string | undefined, isWanted: boolean): void {
    this.#runsIn = runsIn;
    if (!isWanted) this.#silentSinceNs = undefined;
    else if (!this.#isGreeted) this.#silentSinceNs ??= this.#setUp.kernel().clock.monotonicNs();
    if (runsIn === undefined) this.#disconnected();
    else if (this.#channel === undefined) this.#connect();
  }

  /** Lets go of the connection: the host goes on by itself. */
  letGo(): void {
    this.#timer?.close();
    this.#channel?.close();
    this.#channel = undefined;
    this.#isGreeted = false;
  }

  /** Connects after {@link LogHost.letGo}. */
  reconnect(): void {
    this.#connect();
  }

  /** The connection is lost, and perhaps the host. */
  #disconnected(): void {
    this.letGo();
    for (const [id, then] of this.#givenUp) {
      this.#givenUp.delete(id);
      then();
    }
    this.#endWhereUnneeded();
  }

  #connect(): void {
    const { clock, readiness } = this.#setUp.kernel();
    if (this.#runsIn === undefined || this.#channel !== undefined) return;
    this.#complainWhereSilent();
    try {
      const fd = connectForPackets(`${this.#runsIn}/${SOCKET}`);
      this.#channel = new Channel({
        fd,
        watchReadable: (each, callback) => readiness.watchReadable(each, callback),
        after: (ms, callback) => clock.wakeAt(clock.monotonicNs() + BigInt(ms) * 1_000_000n, callback),
        onPacket: ({ bytes }) => this.#hear(decode(bytes)),
        onClose: () => {
          this.#disconnected();
          this.#connectLater();
        },
      });
      this.#channel.send(() => ({ bytes: encode({ type: 'hello', protocol: PROTOCOL }), fds: [] }));
    } catch {
      this.#connectLater(); // it is being started; where it cannot be, its own messages tell
    }
  }

  #connectLater(): void {
    const { clock } = this.#setUp.kernel();
    this.#timer?.close();
    this.#timer = clock.wakeAt(clock.monotonicNs() + CONNECT_EVERY_NS, () => this.#connect());
  }

  #complainWhereSilent(): void {
    const { clock, log } = this.#setUp.kernel();
    const sinceNs = this.#silentSinceNs;
    if (this.#hasComplained || sinceNs === undefined || clock.monotonicNs() - sinceNs < SILENT_FOR_NS) return;
    this.#hasComplained = true;
    log.warning(`log host ${this.#setUp.name} does not answer: what services write waits in their pipes`);
  }

  #hear(answer: Answer | undefined): void {
    if (answer === undefined) return;
    if (answer.type === 'hello') {
      if (answer.protocol === PROTOCOL && answer.generation === this.#setUp.generation()) {
        this.#isGreeted = true;
        this.#silentSinceNs = undefined;
        this.#hasComplained = false;
        for (const stream of this.#streams.values()) this.#tell(stream);
        for (const id of this.#givenUp.keys()) this.#haveYielded(id);
      } else {
        // Of another version, or with an earlier kernel's output: it finishes what is at hand, and one of this version takes its place.
        this.#channel?.send(() => ({ bytes: encode({ type: 'leave' }), fds: [] }));
      }
      return;
    }
    const stream = this.#streams.get(answer.id);
    if (stream === undefined) {
      const then = this.#givenUp.get(answer.id); // else it is an earlier kernel's
      if (answer.type !== 'ended' || then === undefined) return;
      this.#givenUp.delete(answer.id);
      then();
      this.#endWhereUnneeded();
      return;
    }
    const { log } = this.#setUp.kernel();
    const { service } = stream;
    switch (answer.type) {
      case 'trouble': {
        const { text, reason, code } = answer;
        const cause = reason === undefined ? undefined : Object.assign(new Error(reason), { code });
        log.warning(`log of ${service.label}: ${text}`, { service, cause });
        break;
      }
      case 'recovered':
        log.warning(`log of ${service.label}: goes on`, { service });
        break;
      case 'refused': {
        log.warning(`log of ${service.label}: its log host has too few descriptors`, { service });
        const { clock } = this.#setUp.kernel();
        clock.wakeAt(clock.monotonicNs() + REFUSED_AGAIN_NS, () => this.#tell(stream));
        break;
      }
      case 'ended':
        if (stream.isReleased) this.#drop(stream);
        else this.#tell(stream); // it goes on after all, or an earlier kernel had left it without a writer
        break;
    }
  }

  #tell(stream: LogStream): void {
    if (!this.#isGreeted) return;
    this.#channel?.send(() => (this.#streams.get(stream.id) === stream ? stream.order() : undefined));
  }

  #haveYielded(id: string): void {
    this.#channel?.send(() => ({ bytes: encode({ type: 'yield', id }), fds: [] }));
  }

  #drop(stream: LogStream): void {
    this.#streams.delete(stream.id);
    this.#setUp.onEnded(stream);
    this.#endWhereUnneeded();
  }

  #endWhereUnneeded(): void {
    if (this.#streams.size > 0 || this.#givenUp.size > 0) return;
    this.#helper?.close();
    this.#helper = undefined;
  }
}
