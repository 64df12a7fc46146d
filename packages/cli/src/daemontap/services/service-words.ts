/** Which services the words of a command line name, and which a scan directory holds. Names are bytes. */
import { lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { KernelError, labelOf } from '@daemontap/kernel';

/** A service, as it was named or found. */
export interface NamedService {
  /** As a kernel calls it: `finger`, or `finger/log`. */
  readonly label: string;
  /** `helper`: a process that a plugin of the kernel has asked for. */
  readonly role: 'service' | 'log' | 'helper';
  /** As it was named: the label, or a path. */
  readonly shown: string;
  readonly directory: Buffer;
  /** The directory itself, or, of a log service, the one that it is the log of. */
  readonly mainDirectory: Buffer;
  readonly scanDir: Buffer;
}

const SLASH = 0x2f;

/**
 * The service that a word names. `NAME` and `NAME/log` are services of the scan directory; anything else with a slash
 * in it, `.` and `..` are paths of service directories, as svc takes them. That there is such a one is not looked at.
 */
export function namedService(word: Buffer, scanDir: Buffer): NamedService {
  const [name, log, ...more] = partsOf(word);
  if (name !== undefined && isName(name) && more.length === 0 && (log === undefined || isLog(log)))
    return serviceOf({ scanDir, name, role: log === undefined ? 'service' : 'log' });
  // No path: it must not be taken for the current directory's.
  if (word.length === 0)
    return { ...serviceOf({ scanDir, name: word, role: 'service' }), shown: "''", directory: word };
  return { ...serviceAt(word), shown: labelOf(word) };
}

/**
 * The services of a scan directory, each before its log. Directories without a `run` that nobody has ever supervised
 * are left out: a scan may begin them, but they are no services yet.
 * @throws `NO_DIRECTORY`
 */
export function servicesIn(scanDir: Buffer): readonly NamedService[] {
  return directoriesIn(scanDir)
    .toSorted((a, b) => a.compare(b))
    .flatMap((name) => {
      const service = serviceOf({ scanDir, name, role: 'service' });
      if (!isServiceDirectory(service.directory)) return [];
      const log = serviceOf({ scanDir, name, role: 'log' });
      return isDirectory(log.directory) ? [service, log] : [service];
    });
}

/** True for a directory that holds services and is none. */
export function isScanDirectory(path: Buffer): boolean {
  return isDirectory(path) && !isServiceDirectory(path) && servicesIn(path).length > 0;
}

/** True when there is a directory of that path. */
export function isDirectory(path: Buffer): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** A service of a scan directory. */
function serviceOf({
  scanDir,
  name,
  role,
}: Pick<NamedService, 'scanDir'> & { readonly name: Buffer; readonly role: 'service' | 'log' }): NamedService {
  const path = joined(scanDir, name);
  const label = role === 'log' ? `${labelOf(name)}/log` : labelOf(name);
  const directory = role === 'log' ? joined(path, Buffer.from('log')) : path;
  return { label, role, shown: label, directory, mainDirectory: path, scanDir };
}

function serviceAt(path: Buffer): NamedService {
  const { parent, name } = splitPath(path);
  // A service may be called log, too: what it lies in tells.
  if (!isLog(name) || !isServiceDirectory(parent)) return serviceOf({ scanDir: parent, name, role: 'service' });
  const service = splitPath(parent);
  return { ...serviceOf({ scanDir: service.parent, name: service.name, role: 'log' }), directory: path };
}

/** The directory that a path lies in, and its name there. */
function splitPath(path: Buffer): { readonly parent: Buffer; readonly name: Buffer } {
  const parts = partsOf(path);
  const name = parts.at(-1);
  if (name === undefined || !isName(name)) {
    try {
      const real = realpathSync(path, 'buffer');
      if (!real.equals(path)) return splitPath(real);
    } catch {
      // It is not there, which whoever looks will find.
    }
    return { parent: path, name: name ?? Buffer.from('/') };
  }
  let end = path.length;
  while (path[end - 1] === SLASH) end--;
  end -= name.length;
  return { parent: end === 0 ? Buffer.from('.') : path.subarray(0, end === 1 ? 1 : end - 1), name };
}

function directoriesIn(scanDir: Buffer): readonly Buffer[] {
  try {
    return readdirSync(scanDir, 'buffer').filter((name) => name[0] !== 0x2e && isDirectory(joined(scanDir, name)));
  } catch (cause) {
    throw new KernelError('NO_DIRECTORY', `unable to chdir to ${labelOf(scanDir)}`, { cause });
  }
}

function isServiceDirectory(directory: Buffer): boolean {
  return ['supervise', 'run'].some((name) => {
    try {
      return lstatSync(joined(directory, Buffer.from(name)), { throwIfNoEntry: false }) !== undefined;
    } catch {
      return true; // it may not be looked into
    }
  });
}

function isName(part: Buffer): boolean {
  const text = part.toString('latin1');
  return text !== '' && text !== '.' && text !== '..';
}

function isLog(part: Buffer): boolean {
  return part.toString('latin1') === 'log';
}

/** The parts between slashes; those at the end do not count. */
function partsOf(path: Buffer): readonly Buffer[] {
  const text = path.toString('latin1').replace(/\/+$/, '');
  return text === '' ? [] : text.split('/').map((part) => Buffer.from(part, 'latin1'));
}

function joined(directory: Buffer, name: Buffer): Buffer {
  const isRoot = directory.at(-1) === SLASH;
  return Buffer.concat([directory, Buffer.from(isRoot ? '' : '/'), name]);
}
