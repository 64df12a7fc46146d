/** The services that a command is about, with what is known of each. */
import { statSync } from 'node:fs';
import { KernelError, labelOf } from '@daemontap/kernel';
import { hasCode } from '@daemontap/posix';
import { suggestion } from '../../configuration/problem.ts';
import { program as voiceOf } from '../../program.ts';
import type { DirectoryOptions } from '../directory.ts';
import { keyOf } from './ask-kernel.ts';
import type { AskedKernel, KernelService } from './ask-kernel.ts';
import { kernelOf } from './kernel-of.ts';
import { isScanDirectory, namedService, servicesIn } from './service-words.ts';
import type { NamedService } from './service-words.ts';
import type { ServiceView } from './service-view.ts';
import { identity, normally, viewByFiles } from './supervise-files.ts';

/** A service that is there. */
export interface FoundService {
  readonly service: NamedService;
  /** Who supervises it, where that can be asked; and as what. */
  readonly kernel: AskedKernel | undefined;
  readonly told: KernelService | undefined;
  readonly view: ServiceView;
}

/** What the words have led to. */
export interface Findings {
  readonly found: readonly FoundService[];
  /** Why there is no service of a name, a line for each. */
  readonly missing: readonly string[];
}

const { warning } = voiceOf('daemontap');

/**
 * Finds the services that are named, or all those of the scan directory if none is.
 * @throws `NO_DIRECTORY`
 */
export async function findServices(words: readonly Buffer[], options: DirectoryOptions): Promise<Findings> {
  const { dir } = options;
  const named = words.map((word) => {
    const service = namedService(word, dir);
    // A helper's name may look like a path: log-stdout/1-1.
    const mayBeHelper = /^[^/.]/.test(service.shown) && isMissing(service.directory);
    return mayBeHelper ? { ...service, label: service.shown, scanDir: dir } : service;
  });
  const scanDirs = named.length === 0 ? [dir] : distinct(named.map(({ scanDir }) => scanDir));
  const asked = await Promise.all(scanDirs.map(async (scanDir) => ask(scanDir, options)));
  const kernelIn = (scanDir: Buffer): AskedKernel | undefined =>
    asked[scanDirs.findIndex((each) => each.equals(scanDir))];
  if (named.length === 0) return { found: allOf(dir, asked[0]), missing: [] };
  const findings = named.map((service) => find(service, kernelIn(service.scanDir)));
  return {
    found: findings.filter((each) => typeof each !== 'string'),
    missing: findings.filter((each) => typeof each === 'string'),
  };
}

/** What there is to say where there are none: it is another directory that was meant, more often than not. */
export function nothingFound({ dir }: DirectoryOptions): string {
  return `unable to find services in ${placeText(dir)}: --dir names the scan directory`;
}

/** What a kernel says of a service. */
export function viewByKernel(service: NamedService, told: KernelService): ServiceView {
  const { state, identity, pid, paused, want, sinceNs, leaving, startDue } = told;
  const by = 'kernel';
  const known = { service, identity, normally: normally(service.directory), by } as const;
  return { ...known, state, pid, paused, want, sinceNs, leaving, startDue };
}

async function ask(scanDir: Buffer, options: DirectoryOptions): Promise<AskedKernel | undefined> {
  try {
    statSync(scanDir);
  } catch (cause) {
    if (scanDir !== options.dir) return undefined; // the service is not there, either
    throw new KernelError('NO_DIRECTORY', `unable to chdir to ${labelOf(scanDir)}`, { cause });
  }
  const { kernel, complaint } = await kernelOf({ ...options, dir: scanDir });
  if (complaint !== undefined) warning(`${complaint}; going by the files in supervise/`);
  return kernel;
}

function allOf(scanDir: Buffer, kernel: AskedKernel | undefined): readonly FoundService[] {
  const found = servicesIn(scanDir).map((service) => foundService(service, kernel));
  const seen = new Set(found.map(({ told }) => told));
  // Of services that have no directory any more, or never had one.
  const others = [...(kernel?.services.values() ?? [])].filter((told) => !seen.has(told));
  return [...found, ...others.map((told) => otherService(told, { scanDir, kernel }))];
}

/** The service, or why there is none. */
function find(service: NamedService, kernel: AskedKernel | undefined): FoundService | string {
  const { label, shown, directory, scanDir } = service;
  if (isScanDirectory(directory))
    return `unable to find a service ${shown}: it holds services (did you mean --dir ${shown}?)`;
  if (!isMissing(directory)) return foundService(service, kernel);
  const siblings = siblingsOf(service);
  const meant = siblings.find((each) => each.label === label); // its bytes are not what is shown and was typed
  if (meant !== undefined) return foundService(meant, kernel);
  const known = [...(kernel?.services.values() ?? [])];
  const told = known.find(({ name }) => name === label);
  if (told !== undefined) return otherService(told, { scanDir, kernel });
  const labels = new Set([...siblings.map((each) => each.label), ...known.map(({ name }) => name)]);
  return `unable to find ${shown}: there is no such service in ${placeText(scanDir)}${suggestion(label, [...labels])}`;
}

function foundService(service: NamedService, kernel: AskedKernel | undefined): FoundService {
  const key = keyOf({ identity: identity(service), role: service.role });
  const told = kernel?.services.get(key);
  return told === undefined
    ? { service, told, view: viewByFiles(service), kernel: undefined }
    : { service, told, view: viewByKernel(service, told), kernel };
}

/** One that only its kernel knows. */
function otherService(
  told: KernelService,
  { scanDir, kernel }: { readonly scanDir: Buffer; readonly kernel: AskedKernel | undefined },
): FoundService {
  const { name: label, role } = told;
  const directory = Buffer.concat([scanDir, Buffer.from(`/${label}`)]);
  const service = { label, role, shown: label, directory, mainDirectory: directory, scanDir };
  return { service, told, kernel, view: viewByKernel(service, told) };
}

/** Those in the same scan directory, where it can be read. */
function siblingsOf({ scanDir }: NamedService): readonly NamedService[] {
  try {
    return servicesIn(scanDir);
  } catch {
    return [];
  }
}

function placeText(scanDir: Buffer): string {
  return scanDir.equals(Buffer.from('.')) ? process.cwd() : labelOf(scanDir);
}

function isMissing(directory: Buffer): boolean {
  try {
    return !statSync(directory).isDirectory();
  } catch (error) {
    return ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].some((code) => hasCode(error, code));
  }
}

function distinct(paths: readonly Buffer[]): readonly Buffer[] {
  return paths.filter((path, index) => paths.findIndex((each) => each.equals(path)) === index);
}
