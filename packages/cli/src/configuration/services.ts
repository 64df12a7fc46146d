/**
 * Options for single services: from the scan directory's configuration, which is the administrator's and has the last
 * word, and from a file in the service's directory, which belongs to whom the service belongs and is trusted with
 * nothing but what it is allowed.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { reasonText } from '@daemontap/formats';
import { KernelError } from '@daemontap/kernel';
import type { Config, ServiceDirectory } from '@daemontap/kernel';
import { dataNames } from './find.ts';
import { parseData } from './parse.ts';
import { ConfigurationError, enumerate, isRecord, placeOf } from './problem.ts';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
const MOST_BYTES = 64 * 1024;

type Options = Readonly<Record<string, unknown>>;
type OptionsByPlugin = Readonly<Record<string, Options>>;

/** Gives a plugin's options for one service, what the configuration says over what the service says. */
export type ServiceOptions = (plugin: string, service: ServiceDirectory) => Options;

/**
 * Makes that function. It throws `PLUGIN_OPTIONS` with all that is wrong with a service's own file, whichever plugin
 * asks. A file is read again when it has changed.
 */
export function serviceOptionsOf({ services = {}, allow = [] }: Pick<Config, 'services' | 'allow'>): ServiceOptions {
  const known = new WeakMap<ServiceDirectory, Known>();
  const ownOptions = (service: ServiceDirectory): OptionsByPlugin => {
    const found = findFile(service);
    if (found === undefined) return {};
    const last = known.get(service);
    if (last !== undefined && last.identity === identityOf(found.stats)) return last.outcome();
    const outcome = readOnce(() => readOwn(found.name, service, allow));
    known.set(service, { identity: identityOf(found.stats), outcome });
    return outcome();
  };
  return (plugin, service) => {
    const given = member(member(services, service.label) ?? {}, plugin) ?? {};
    const own = allow.length === 0 ? {} : (member(ownOptions(service), plugin) ?? {});
    return { ...own, ...given };
  };
}

interface Known {
  readonly identity: string;
  readonly outcome: () => OptionsByPlugin;
}

function member<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

/** Reads at once, and gives the value or throws the error as often as it is asked. */
function readOnce<T>(read: () => T): () => T {
  try {
    const value = read();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

function identityOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}

function findFile(service: ServiceDirectory): { readonly name: string; readonly stats: BigIntStats } | undefined {
  const files = dataNames.flatMap((name) => {
    const stats = lstatSync(`${service.path}/${name}`, { throwIfNoEntry: false, bigint: true });
    return stats === undefined ? [] : [{ name, stats }];
  });
  if (files.length < 2) return files[0];
  const names = enumerate(files.map(({ name }) => name));
  throw refusal(service.label, [`there is more than one: ${names}`]);
}

/** @throws KernelError for what is no small file, cannot be parsed, or says what it is not allowed to say */
function readOwn(name: string, service: ServiceDirectory, allow: readonly string[]): OptionsByPlugin {
  const label = `${service.label}/${name}`;
  let content: string;
  try {
    content = readSmallFile(`${service.path}/${name}`);
  } catch (error) {
    throw refusal(label, [reasonText(error)]);
  }
  try {
    const value = parseData({ content, label });
    const reasons = reasonsAgainst(value, allow);
    if (reasons.length > 0) throw refusal(label, reasons);
    return value as OptionsByPlugin; // there was no reason against it
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    throw refusal(
      label,
      error.problems.map(({ place, message }) => `${place.slice(label.length).replace(/^:\s*/, '')} ${message}`.trim()),
    );
  }
}

function readSmallFile(path: string): string {
  const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw new Error('it is not a file');
    if (stats.size > MOST_BYTES) throw new Error(`it has more than ${MOST_BYTES} bytes`);
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

function reasonsAgainst(value: unknown, allow: readonly string[]): readonly string[] {
  if (!isRecord(value)) return ['it must be an object of plugins and their options'];
  return Object.entries(value).flatMap(([plugin, options]) => {
    if (!isRecord(options)) return [`${placeOf('', [plugin]).slice(2)} must be an object of options and values`];
    return Object.keys(options)
      .map((option) => `${plugin}.${option}`)
      .filter((key) => !allow.includes(key))
      .map(
        (key) => `${key} is not allowed there: the scan directory's configuration would have to say allow: ["${key}"]`,
      );
  });
}

function refusal(label: string, reasons: readonly string[]): KernelError {
  return new KernelError('PLUGIN_OPTIONS', `unable to use the configuration of ${label}: ${reasons.join('; ')}`);
}
