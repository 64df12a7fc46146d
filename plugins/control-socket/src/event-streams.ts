/** Events for everybody who listens: each is written once, to all of them, and nobody who is slow costs memory. */
import { reasonText } from '@daemontap/formats';
import type { Clock, Closeable, Report } from '@daemontap/kernel';
import { ApiError } from './api-error.ts';
import type { KnownExit } from './exit-history.ts';
import { COMMENT_EVERY_MS, MOST_STREAMS, MOST_WAITING_BYTES } from './limits.ts';
import { API } from './schema.ts';
import type { AboutService, EventData, ServicesAnswer } from './schema.ts';
import type { ServiceListener, Supervised } from './services.ts';
import { isoTime, shownExit, shownService } from './shown.ts';

/** Where the events of one listener go. */
export interface EventSink {
  /** Takes text, at once; what cannot be sent yet is kept. */
  write(text: string): void;
  /** How much is kept, in bytes. */
  readonly waiting: number;
  /** Ends it in order. */
  end(): void;
  /** Ends it now, and forgets what is kept. */
  destroy(): void;
}

interface Stream {
  readonly sink: EventSink;
  /** The name of the one service whose events are wanted; `undefined`: all. */
  readonly name: string | undefined;
  /** What may wait. */
  readonly most: number;
}

/** All streams of events. */
export class EventStreams implements ServiceListener {
  readonly #clock: Clock;
  readonly #streams = new Set<Stream>();
  #comments: Closeable | undefined;
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Begins a stream with all that is now, before anything else is sent. @throws ApiError `TOO_MANY` */
  open(
    name: string | undefined,
    begin: () => { readonly sink: EventSink; readonly snapshot: ServicesAnswer },
  ): Closeable {
    if (this.#streams.size >= MOST_STREAMS) {
      throw new ApiError('TOO_MANY', `there are ${MOST_STREAMS} event streams already`);
    }
    const { sink, snapshot } = begin();
    const text = this.#text('snapshot', snapshot);
    // The first event is as large as there are services, and needs time.
    const stream = { sink, name, most: MOST_WAITING_BYTES + Buffer.byteLength(text) };
    this.#streams.add(stream);
    this.#send(stream, text);
    this.#commentLater();
    return { close: () => this.#forget(stream) };
  }

  changed(service: Supervised): void {
    this.#emit('service', service.directory.label, () => ({
      version: API,
      service: shownService(service, this.#clock.wallNs()),
    }));
  }

  started(service: Supervised, pid: number): void {
    this.#emit('started', service.directory.label, () => ({ ...this.#about(service), pid }));
  }

  ended(service: Supervised, exit: KnownExit): void {
    this.#emit('ended', service.directory.label, () => ({
      ...this.#about(service, exit.atNs),
      exit: shownExit(exit),
    }));
  }

  startFailed(service: Supervised, message: string): void {
    this.#emit('startFailed', service.directory.label, () => ({ ...this.#about(service), message }));
  }

  released(service: Supervised): void {
    this.#emit('released', service.directory.label, () => this.#about(service));
  }

  /** What the kernel or a plugin says, where it is a warning at the least. */
  reported({ level, message, cause, service, plugin }: Report): void {
    if (level !== 'warning' && level !== 'fatal') return;
    this.#emit('message', service, () => ({
      version: API,
      ...timeOf(this.#clock.wallNs()),
      ...{ level, message },
      reason: cause === undefined ? null : reasonText(cause),
      name: service ?? null,
      plugin: plugin ?? null,
    }));
  }

  /** Ends all streams in order. */
  close(): void {
    for (const stream of [...this.#streams]) {
      this.#forget(stream);
      stream.sink.end();
    }
  }

  #emit<E extends keyof EventData>(event: E, name: string | undefined, data: () => EventData[E]): void {
    if (this.#streams.size === 0) return;
    let text: string | undefined;
    for (const stream of [...this.#streams]) {
      if (stream.name !== undefined && stream.name !== name) continue;
      text ??= this.#text(event, data());
      this.#send(stream, text);
    }
  }

  #text<E extends keyof EventData>(event: E, data: EventData[E]): string {
    return `event: ${event}\nid: ${++this.#count}\ndata: ${JSON.stringify(data)}\n\n`;
  }

  #send(stream: Stream, text: string): void {
    const { sink, most } = stream;
    sink.write(text);
    if (sink.waiting <= most) return;
    this.#forget(stream);
    sink.destroy();
  }

  /** A line that is no event, so that a connection that is dead is found to be. */
  #commentLater(): void {
    this.#comments ??= this.#clock.wakeAt(this.#clock.monotonicNs() + BigInt(COMMENT_EVERY_MS) * 1_000_000n, () => {
      this.#comments = undefined;
      for (const stream of [...this.#streams]) this.#send(stream, ':\n\n');
      if (this.#streams.size > 0) this.#commentLater();
    });
  }

  #forget(stream: Stream): void {
    this.#streams.delete(stream);
    if (this.#streams.size > 0) return;
    this.#comments?.close();
    this.#comments = undefined;
  }

  #about({ directory: { label, role, identity } }: Supervised, atNs = this.#clock.wallNs()): AboutService {
    return { version: API, name: label, role, identity, ...timeOf(atNs) };
  }
}

function timeOf(atNs: bigint): Pick<AboutService, 'at' | 'atNs'> {
  return { at: isoTime(atNs), atNs: String(atNs) };
}
