/**
 * Does calls of the file system on the threads of libuv's pool, so that one which never comes back keeps nobody waiting
 * but its own stream, and, once a few are there, the others of its device.
 */
import {
  chmod,
  close,
  fchmod,
  fstat,
  fsync,
  link,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  stat,
  unlink,
  write,
} from 'node:fs';
import type { FileCall, FileCalls, Place } from './calls.ts';
import { Gate } from './gate.ts';
import { Mounts } from './mounts.ts';

/** Takes the answer to a call, or what kept it from being done. */
export type Done<T> = (error: unknown, answer?: T) => void;

/** The calls as they are done while others go on. */
export type PoolCalls = {
  readonly [Name in keyof FileCalls]: (
    ...args: [...Parameters<FileCalls[Name]>, done: Done<ReturnType<FileCalls[Name]>>]
  ) => void;
};

/** The calls of Node. */
export const poolCalls: PoolCalls = {
  chmod,
  close: (fd, done) => close(fd, done),
  fchmod,
  fstat: (fd, done) => fstat(fd, done),
  fsync,
  link,
  mkdir: (path, mode, done) => mkdir(path, mode, (error) => done(error)),
  open,
  readdir: (path, done) => readdir(path, 'latin1', done),
  rename,
  stat: (path, done) => stat(path, done),
  unlink,
  write: (fd, bytes, at, length, position, done) => write(fd, bytes, at, length, position, done),
};

const AT_ONCE_MOST = 4;
/** The threads that libuv has if nobody says how many. */
const POOL_SIZE = 4;

/** Where calls are done. */
export interface FilePoolOptions {
  readonly calls?: PoolCalls;
  /** How many calls may be under way for one device. */
  readonly atOnce?: number;
  readonly mounts?: Pick<Mounts, 'deviceOf' | 'deviceOfPath'>;
}

/** Does calls, a few at once for each device. */
export class FilePool {
  readonly #calls: PoolCalls;
  readonly #gate: Gate;
  readonly #mounts: Pick<Mounts, 'deviceOf' | 'deviceOfPath'>;

  constructor({ calls = poolCalls, atOnce = defaultAtOnce(), mounts = new Mounts() }: FilePoolOptions = {}) {
    this.#calls = calls;
    this.#gate = new Gate(atOnce);
    this.#mounts = mounts;
  }

  /** Does one call. */
  do({ name, args, place }: FileCall, done: Done<unknown>): void {
    const body = this.#calls[name] as (...args: readonly unknown[]) => void; // the arguments are those of that name
    const begin = (device: string): void => this.#enter(device, (callback) => body(...args, callback), done);
    const device = this.#knownDevice(place);
    if (device !== undefined) begin(device);
    else this.#findDevice(place).then(begin, done);
  }

  #knownDevice(place: Place): string | undefined {
    if (place.device === undefined && place.fd !== undefined) place.device = this.#mounts.deviceOf(place.fd);
    return place.device;
  }

  async #findDevice(place: Place): Promise<string> {
    const device = await this.#mounts.deviceOfPath(place.path, (on, path) => this.#readLink(on, path));
    place.device ??= device;
    return device;
  }

  #readLink(device: string, path: Buffer): Promise<Buffer | undefined> {
    return new Promise((resolve) => {
      const call = (callback: Done<Buffer>): void => readlink(path, 'buffer', callback);
      // What is no link, or not there, is none.
      this.#enter(device, call, (_, target) => resolve(target));
    });
  }

  #enter<T>(device: string, call: (callback: Done<T>) => void, done: Done<T>): void {
    this.#gate.enter(device, (leave) => {
      const callback: Done<T> = (error, answer) => {
        leave();
        done(error, answer);
      };
      try {
        call(callback);
      } catch (error) {
        callback(error);
      }
    });
  }
}

/** A quarter of the threads, so that three dead devices leave as many to the others. */
function defaultAtOnce(): number {
  const threads = Number(process.env['UV_THREADPOOL_SIZE'] ?? POOL_SIZE);
  return Math.min(AT_ONCE_MOST, Math.max(1, Math.floor(threads / 4)));
}
