/**
 * On which device something lies, as far as the system tells without asking the device itself: on a dead one whoever asks
 * does not come back.
 */
import { closeSync, openSync, readFileSync, readlinkSync, readSync } from 'node:fs';

const AGE_MS = 1000;
const start = Buffer.alloc(512);
const LINKS_MOST = 40; // as in Linux
const FROM_DESCRIPTOR = /^(\/proc\/self\/fd\/\d+)\//;

interface Mount {
  readonly id: string;
  /** Its numbers, e.g. `8:1`. */
  readonly device: string;
  /** Where it is mounted: one character for each byte. */
  readonly point: string;
}

/** Reads where a symbolic link leads, which its device may never answer; `undefined` for what is none. */
export type ReadLink = (device: string, path: Buffer) => Promise<Buffer | undefined>;

/** The table of what is mounted. */
export class Mounts {
  readonly #read: () => string;
  #mounts: readonly Mount[] = [];
  #readAtMs = -Infinity;

  /** `read` gives the table, as in /proc/self/mountinfo. */
  constructor(read: () => string = () => readFileSync('/proc/self/mountinfo', 'latin1')) {
    this.#read = read;
  }

  /** The device of an open file. */
  deviceOf(fd: number): string {
    const [, id = ''] = /^mnt_id:\s*(\d+)$/m.exec(readStart(`/proc/self/fdinfo/${fd}`)) ?? [];
    const find = (): string | undefined => this.#mounts.find((mount) => mount.id === id)?.device;
    const known = find();
    if (known !== undefined) return known;
    this.#refresh();
    return find() ?? `mount ${id}`; // it was taken away, but is still in use here
  }

  /**
   * The device on which a path ends: symbolic links are followed one by one, each asked for on its own device. What is not
   * there yet is expected where it would be made.
   */
  async deviceOfPath(path: Buffer, readLink: ReadLink): Promise<string> {
    let rest = path.toString('latin1');
    let place = '';
    const [begin = '', directory] = FROM_DESCRIPTOR.exec(rest) ?? [];
    if (directory !== undefined) {
      const target = readlinkSync(directory, 'latin1');
      place = target === '/' ? '' : target;
      rest = rest.slice(begin.length);
    }
    const names = rest.split('/');
    for (let links = 0; ;) {
      const name = names.shift();
      if (name === undefined) return this.#at(place);
      if (name === '' || name === '.') continue;
      if (name === '..') {
        place = place.slice(0, Math.max(0, place.lastIndexOf('/')));
        continue;
      }
      const next = `${place}/${name}`;
      const target = await readLink(this.#at(next), Buffer.from(next, 'latin1'));
      if (target === undefined || ++links > LINKS_MOST) {
        place = next;
        continue;
      }
      const text = target.toString('latin1');
      if (text.startsWith('/')) place = '';
      names.unshift(...text.split('/'));
    }
  }

  /** The device of a path without symbolic links. */
  #at(path: string): string {
    if (performance.now() - this.#readAtMs > AGE_MS) this.#refresh();
    let found: Mount | undefined;
    for (const mount of this.#mounts) {
      // Of two at one place the later one hides the other.
      if (isBelow(path, mount.point) && mount.point.length >= (found?.point.length ?? 0)) found = mount;
    }
    return found?.device ?? 'unknown';
  }

  #refresh(): void {
    this.#readAtMs = performance.now();
    this.#mounts = this.#read()
      .split('\n')
      .flatMap((line) => {
        const [id, , device, , point] = line.split(' ');
        return id === undefined || device === undefined || point === undefined
          ? []
          : [{ id, device, point: point === '/' ? '' : point.replaceAll(/\\(\d{3})/g, octal) }];
      });
  }
}

/** Reads the beginning of a file, all that there is to know. Node takes far more memory to read one of unknown size. */
function readStart(path: string): string {
  const fd = openSync(path, 'r');
  try {
    return start.toString('latin1', 0, readSync(fd, start));
  } finally {
    closeSync(fd);
  }
}

function isBelow(path: string, point: string): boolean {
  return path.startsWith(point) && (path.length === point.length || path[point.length] === '/');
}

function octal(_: string, digits: string): string {
  return String.fromCharCode(Number.parseInt(digits, 8));
}
