/**
 * How processes have ended, the last ten of each service: in memory, and in a file for the kernel after this one. The
 * file is written once the services have had their turn, and no failure of it is of any consequence to them.
 */
import type { Clock, Closeable, ProcessEnd, ServiceDirectory } from '@daemontap/kernel';
import { ExitFile } from './exit-file.ts';
import type { FiledExit } from './exit-file.ts';

/** How a process has ended. */
export interface KnownExit {
  readonly pid: number;
  /** Wall clock. */
  readonly atNs: bigint;
  /** `undefined`: it cannot be known. */
  readonly end: ProcessEnd | undefined;
  /** `undefined`: it is not known when it began. */
  readonly ranForMs: number | undefined;
}

/** Which service. */
export type ServiceKey = Pick<ServiceDirectory, 'identity' | 'role'>;

/** What a history is given. */
export interface ExitHistoryOptions {
  readonly clock: Clock;
  /** The directory of its file. @throws when there is none */
  stateDir(): string;
  /** Is told of a failure, once until it works again. */
  warn(message: string, cause: unknown): void;
}

/** Of a service. */
export const MOST_EXITS = 10;
/** Lines that the file may have besides those of services that are known. */
const SPARE_LINES = 1000;

/** The exits of all services of a kernel. */
export class ExitHistory {
  readonly #options: ExitHistoryOptions;
  /** By service, the newest first; those that nobody has asked about yet are of an earlier kernel. */
  readonly #exits = new Map<string, readonly KnownExit[]>();
  #file: ExitFile | undefined;
  #unwritten: FiledExit[] = [];
  #writing: Closeable | undefined;
  #isOpen = false;
  #isComplaining = false;

  constructor(options: ExitHistoryOptions) {
    this.#options = options;
  }

  /** Reads what an earlier kernel has left. */
  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#attempt(() => {
      this.#file = new ExitFile(this.#options.stateDir());
      for (const [key, exit] of this.#file.read()) this.#remember(key, exit);
    });
  }

  /** The exits of a service, the newest first. */
  of(service: ServiceKey): readonly KnownExit[] {
    return this.#exits.get(keyOf(service)) ?? [];
  }

  add(service: ServiceKey, exit: KnownExit): void {
    this.#note(keyOf(service), exit);
  }

  /** Forgets a service that is no longer supervised: another one may get its inode. */
  forget(service: ServiceKey): void {
    const key = keyOf(service);
    if (this.#exits.has(key)) this.#note(key, undefined);
  }

  /** Lets go of the file. It stays, for a later kernel, unless nothing is supervised any more. */
  close({ isOver }: { readonly isOver: boolean }): void {
    if (!this.#isOpen) return;
    this.#writing?.close();
    this.#writing = undefined;
    if (!isOver) this.#write();
    this.#unwritten = [];
    this.#attempt(() => this.#file?.close({ isOver }));
    this.#file = undefined;
    this.#isOpen = false;
    this.#exits.clear();
  }

  #note(key: string, exit: KnownExit | undefined): void {
    this.#remember(key, exit);
    this.#unwritten.push([key, exit]);
    const { clock } = this.#options;
    this.#writing ??= clock.wakeAt(clock.monotonicNs(), () => this.#write());
  }

  #remember(key: string, exit: KnownExit | undefined): void {
    if (exit === undefined) this.#exits.delete(key);
    else this.#exits.set(key, [exit, ...(this.#exits.get(key) ?? [])].slice(0, MOST_EXITS));
  }

  #write(): void {
    this.#writing = undefined;
    const exits = this.#unwritten;
    this.#unwritten = [];
    if (exits.length === 0) return;
    this.#attempt(() => {
      this.#file ??= new ExitFile(this.#options.stateDir());
      const isFull = this.#file.lines > SPARE_LINES + 2 * MOST_EXITS * this.#exits.size;
      if (isFull || !this.#file.append(exits)) this.#file.replace(this.#oldestFirst());
    });
  }

  #oldestFirst(): readonly FiledExit[] {
    return [...this.#exits].flatMap(([key, exits]) => exits.toReversed().map((exit) => [key, exit] as const));
  }

  #attempt(body: () => void): void {
    try {
      body();
      this.#isComplaining = false;
    } catch (cause) {
      if (!this.#isComplaining) this.#options.warn('unable to keep how services have ended', cause);
      this.#isComplaining = true;
    }
  }
}

function keyOf({ identity, role }: ServiceKey): string {
  return `${identity}/${role}`;
}
