/**
 * The process of a log host. It is started in its own directory, listens there, gives up its rights, and serves the
 * streams that kernels tell it about; without a kernel it goes on with those it has.
 */
import { closeSync, fstatSync, rmSync } from 'node:fs';
import {
  acceptForPackets,
  argumentBytes,
  exitAtOnce,
  listenForPackets,
  openPipeReader,
  openReadiness,
  setProcessName,
} from '@daemontap/posix';
import type { Packet } from '@daemontap/posix';
import { Channel } from '../channel.ts';
import { decode, encode, PROTOCOL, SOCKET } from '../protocol.ts';
import type { Answer, Order } from '../protocol.ts';
import type { LogHostProgram } from './hosted-sink.ts';
import { HostStream } from './stream.ts';
import type { StreamDefinition, StreamHost } from './stream.ts';
import { Turns } from './turns.ts';

/** Without a kernel and without streams. */
const IDLE_MS = 60_000;
/** A kernel that does not listen is not told more than this. */
const UNSENT_MAX = 1000;
const LISTEN_AGAIN_MS = 1000;
/** A stream that cannot finish has that long when the host is told to leave: what it has not written stays in its pipe. */
const LEAVE_MS = 2000;

/**
 * Runs a log host until it is told to leave, or nobody needs it. Its arguments are its generation and the numbers of a
 * user, a group and further groups; none of these: it stays who it is.
 */
export function runLogHost(program: LogHostProgram): void {
  const words = argumentBytes();
  setProcessName({ name: program.name, words });
  const [generation = '', ...ids] = words.map((word) => word.toString());
  new LogHost(program, generation).run(ids.map(Number));
}

class LogHost {
  readonly #program: LogHostProgram;
  readonly #generation: string;
  readonly #streams = new Map<string, HostStream>();
  /** Streams to be opened once those of the same name have ended. */
  readonly #next = new Map<string, StreamDefinition>();
  readonly #channels = new Set<Channel>();
  readonly #turns = new Turns();
  readonly #readiness = openReadiness((error) => {
    throw error;
  });
  #idle: NodeJS.Timeout | undefined;
  #isLeaving = false;

  constructor(program: LogHostProgram, generation: string) {
    this.#program = program;
    this.#generation = generation;
  }

  run(ids: readonly number[]): void {
    process.umask(0o077);
    rmSync(SOCKET, { force: true }); // a predecessor's
    const listener = listenForPackets(SOCKET);
    process.umask(0o022); // as multilog
    const reader = openPipeReader();
    become(ids);
    process.on('SIGTERM', () => this.#leave());
    process.on('SIGALRM', () => {
      for (const stream of this.#streams.values()) stream.rotate();
    });
    for (const name of ['SIGHUP', 'SIGUSR1'] as const) process.on(name, () => {});
    const host: StreamHost = {
      program: this.#program,
      reader,
      wantsTurn: (stream) => this.#turns.add(stream),
      watchArrivals: (fd, callback) => this.#readiness.watchArrivals(fd, callback),
      onTrouble: (stream) => this.#tellTrouble(stream),
      onEnded: (stream) => this.#ended(stream, host),
    };
    this.#listen(listener, host);
    this.#wait();
  }

  #listen(listener: number, host: StreamHost): void {
    const watch = this.#readiness.watchReadable(listener, () => {
      try {
        for (let fd = acceptForPackets(listener); fd !== undefined; fd = acceptForPackets(listener)) {
          this.#serve(fd, host);
        }
      } catch {
        watch.close(); // out of descriptors: streams that end make room
        setTimeout(() => this.#listen(listener, host), LISTEN_AGAIN_MS);
      }
    });
  }

  #serve(fd: number, host: StreamHost): void {
    const channel: Channel = new Channel({
      fd,
      watchReadable: (each, callback) => this.#readiness.watchReadable(each, callback),
      after: (ms, callback) => {
        const timer = setTimeout(callback, ms);
        return { close: () => clearTimeout(timer) };
      },
      onPacket: (packet) => this.#carryOut(packet, channel, host),
      onClose: () => {
        this.#channels.delete(channel);
        this.#wait();
      },
    });
    this.#channels.add(channel);
    this.#wait();
  }

  #carryOut({ bytes, fds }: Packet, channel: Channel, host: StreamHost): void {
    const order = decode<Order>(bytes);
    const [pipeFd, directoryFd, ...others] = fds;
    if (order?.type === 'open' && pipeFd !== undefined && directoryFd !== undefined && !this.#isLeaving) {
      if (others.length === 0 && fstatSync(pipeFd).isFIFO() && fstatSync(directoryFd).isDirectory()) {
        this.#open({ ...order, pipeFd, directoryFd }, host);
        return;
      }
    }
    for (const fd of fds) closeSync(fd);
    if (order?.type === 'open' && !this.#isLeaving) this.#send({ type: 'refused', id: order.id }, [channel]);
    switch (order?.type) {
      case 'hello':
        this.#send({ type: 'hello', protocol: PROTOCOL, generation: this.#generation }, [channel]);
        break;
      case 'ending':
        this.#setEnding(order.id);
        break;
      case 'yield':
        this.#forgetNext(order.id); // or it would be the one that goes on
        if (this.#streams.has(order.id)) this.#streams.get(order.id)?.finish();
        else this.#send({ type: 'ended', id: order.id });
        break;
      case 'leave':
        this.#leave();
        break;
      case 'open':
      case undefined:
        break; // told above, or of no use
    }
  }

  #open(definition: StreamDefinition, host: StreamHost): void {
    const { id } = definition;
    const known = this.#streams.get(id);
    if (known === undefined) {
      this.#streams.set(id, new HostStream(definition, host));
      this.#wait();
      return;
    }
    if (isSame(known.definition, definition) && !this.#next.has(id)) {
      for (const fd of [definition.pipeFd, definition.directoryFd]) closeSync(fd);
      known.setEnding(definition.isEnding);
      if (known.trouble !== undefined) this.#tellTrouble(known);
      return;
    }
    this.#forgetNext(id);
    this.#next.set(id, definition);
    known.finish();
  }

  #ended({ definition: { id } }: HostStream, host: StreamHost): void {
    this.#streams.delete(id);
    const next = this.#next.get(id);
    this.#next.delete(id);
    if (next !== undefined && !this.#isLeaving) {
      this.#streams.set(id, new HostStream(next, host));
      return;
    }
    if (!this.#isLeaving) this.#send({ type: 'ended', id });
    this.#exitWhereDone();
    this.#wait();
  }

  #setEnding(id: string): void {
    const next = this.#next.get(id);
    if (next === undefined) this.#streams.get(id)?.setEnding(true);
    else this.#next.set(id, { ...next, isEnding: true });
  }

  #forgetNext(id: string): void {
    const next = this.#next.get(id);
    for (const fd of next === undefined ? [] : [next.pipeFd, next.directoryFd]) closeSync(fd);
    this.#next.delete(id);
  }

  #tellTrouble({ definition: { id }, trouble }: HostStream): void {
    this.#send(trouble === undefined ? { type: 'recovered', id } : { type: 'trouble', id, ...trouble });
  }

  #send(answer: Answer, channels: Iterable<Channel> = this.#channels): void {
    for (const channel of channels) {
      if (channel.unsent < UNSENT_MAX || answer.type === 'ended')
        channel.send(() => ({ bytes: encode(answer), fds: [] }));
    }
  }

  /** Ends with the blocks at hand; what is in the pipes is the next host's. */
  #leave(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    for (const stream of this.#streams.values()) stream.finish();
    setTimeout(() => exitAtOnce(0), LEAVE_MS);
    this.#exitWhereDone();
  }

  #exitWhereDone(): void {
    if (this.#isLeaving && this.#streams.size === 0) exitAtOnce(0);
  }

  #wait(): void {
    clearTimeout(this.#idle);
    if (this.#streams.size > 0 || this.#channels.size > 0) return;
    this.#idle = setTimeout(() => exitAtOnce(0), IDLE_MS);
  }
}

/** Gives up all rights but those of an account. */
function become([uid, gid, ...groups]: readonly number[]): void {
  if (uid === undefined || gid === undefined) return;
  process.setgroups?.([gid, ...groups]);
  process.setgid?.(gid);
  process.setuid?.(uid);
}

function isSame(before: StreamDefinition, now: StreamDefinition): boolean {
  const pipe = ({ pipeFd }: StreamDefinition): string => {
    const { dev, ino } = fstatSync(pipeFd);
    return `${dev}-${ino}`;
  };
  return pipe(before) === pipe(now) && JSON.stringify(before.options) === JSON.stringify(now.options);
}
