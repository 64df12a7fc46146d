/**
 * Follows services that put themselves into the background: one is up until the last process that holds its pipe has
 * ended, and commands reach the process that it is at the time. What it must never do is take such a service for ended.
 */
import * as v from 'valibot';
import { definePlugin, KernelError } from '@daemontap/kernel';
import type { PluginFactory, ServiceDirectory, Successor } from '@daemontap/kernel';
import { findHolder, setSubreaper } from '@daemontap/posix';
import { pipeNumbers } from './numbers.ts';
import { findPipe, makePipe } from './pipe.ts';
import type { ServicePipe } from './pipe.ts';

/** Which services are followed. */
export interface FghackOptions {
  /** Whether a service is followed, from its next start on; default true. */
  readonly follow?: boolean;
}

const schema = v.strictObject({ follow: v.optional(v.boolean(), true) });

/** Behind all that choose limits and descriptors. */
const LATE = 100;

const SECOND_NS = 1_000_000_000n;
/** Between two looks, of which each costs as much as there are processes. */
const LONGEST_PAUSE_NS = 60n * SECOND_NS;
/** After so many looks in vain it is said: a process may just begin or end. */
const LOOKS_IN_SILENCE = 3;

/** Looks for who has a pipe, in vain until now. */
interface Search {
  looks: number;
  nextAtNs: bigint;
  pauseNs: bigint;
}

/** Follows services into the background. Log services are not followed. */
export const fghack: PluginFactory<FghackOptions> = definePlugin({
  name: 'fghack',
  apiVersion: 1,
  schema,
  apply({ hooks, log, clock, stateDir, optionsFor, opened }) {
    /** By the service's identity. `undefined`: it was looked for, and there is none. */
    const pipes = new Map<string, ServicePipe | undefined>();
    const searches = new Map<string, Search>();
    /** The processes that the kernel knows, by service. */
    const pids = new Map<string, number>();
    let isOpen = false;

    /** With the first pipe: daemons are to be this process's children, which tell how they end and are found at once. */
    const open = (): void => {
      if (isOpen) return;
      isOpen = true;
      setSubreaper(true);
      opened({ close });
    };
    const close = (): void => {
      isOpen = false;
      setSubreaper(false);
      for (const pipe of pipes.values()) if (pipe !== undefined) leave(pipe);
      pipes.clear();
    };
    const pathOf = ({ identity }: ServiceDirectory): string => `${stateDir()}/pipe-${identity}`;
    const keep = <P extends ServicePipe | undefined>({ identity }: ServiceDirectory, pipe: P): P => {
      if (pipe !== undefined) open();
      pipes.set(identity, pipe);
      return pipe;
    };
    const pipeOf = (service: ServiceDirectory): ServicePipe | undefined => {
      if (service.role !== 'service') return undefined;
      if (pipes.has(service.identity)) return pipes.get(service.identity);
      let path: string;
      try {
        path = pathOf(service);
      } catch {
        return undefined; // nowhere, so nobody has made one
      }
      return keep(service, findPipe(path));
    };
    /** One that this start alone will have: what others have left is not followed again. */
    const pipeForStart = (service: ServiceDirectory): ServicePipe => {
      const known = pipeOf(service);
      if (known?.isPrepared === true) return known;
      pipes.delete(service.identity);
      known?.close();
      // By its name, under which a later kernel looks for it: somebody may have tidied up.
      const path = pathOf(service);
      const found = findPipe(path);
      if (found?.isHeld() === false) return keep(service, found);
      found?.close();
      return keep(service, makePipe(path));
    };

    /** One that was left to this process, which costs little to find, or else any. */
    const find = (service: ServiceDirectory, { file, isHeld }: ServicePipe): Successor | undefined => {
      const nowNs = clock.monotonicNs();
      const search = searches.get(service.identity) ?? { looks: 0, nextAtNs: nowNs, pauseNs: SECOND_NS };
      if (nowNs < search.nextAtNs) return 'later';
      const except = new Set(pids.values());
      const found = findHolder({ file, among: 'children', except }) ?? findHolder({ file, among: 'all', except });
      if (found !== undefined) return found;
      if (!isHeld()) return undefined;
      search.looks++;
      search.nextAtNs = nowNs + search.pauseNs;
      search.pauseNs = search.pauseNs * 2n > LONGEST_PAUSE_NS ? LONGEST_PAUSE_NS : search.pauseNs * 2n;
      searches.set(service.identity, search);
      if (search.looks === LOOKS_IN_SILENCE) {
        log.warning(`unable to find the process of ${service.label}: it may not be looked at`, { service });
      }
      return 'later';
    };

    hooks.prepareSpawn.tap({ name: 'fghack', stage: LATE }, (plan, service) => {
      if (service.role !== 'service' || !optionsFor(service).follow) return plan;
      const { label } = service;
      const numbers = pipeNumbers(plan);
      if (numbers.length === 0) {
        throw new KernelError('START_FAILED', `unable to follow ${label}: its limit leaves no descriptor for a pipe`);
      }
      try {
        const fd = pipeForStart(service).input();
        return { ...plan, descriptors: [...plan.descriptors, ...numbers.map((number) => [number, fd] as const)] };
      } catch (cause) {
        throw new KernelError('PIPE_FAILED', `unable to create pipe for ${label}`, { cause });
      }
    });
    hooks.serviceStarted.tap('fghack', (service) => pipeOf(service)?.letGo());
    hooks.startFailed.tap('fghack', (service) => pipeOf(service)?.letGo());

    hooks.findSuccessor.tap('fghack', (service): Successor | undefined => {
      pids.delete(keyOf(service));
      const pipe = pipeOf(service);
      if (pipe?.isHeld() !== true) {
        searches.delete(service.identity);
        return undefined;
      }
      const found = find(service, pipe);
      if (found !== 'later') searches.delete(service.identity);
      return found;
    });

    hooks.statusChanged.tap('fghack', (service, { pid }) => {
      if (pid === undefined) pids.delete(keyOf(service));
      else pids.set(keyOf(service), pid);
      pipeOf(service); // left by an earlier kernel, or by this plugin before it was taken away: it is open from now on
    });
    hooks.serviceReleased.tap('fghack', (service) => {
      pids.delete(keyOf(service));
      if (service.role !== 'service') return;
      searches.delete(service.identity);
      pipeOf(service)?.remove();
      pipes.delete(service.identity);
    });
  },
});

/** Where somebody has the pipe it is to be found again: by a later kernel, or by this plugin taken back. */
function leave(pipe: ServicePipe): void {
  try {
    if (!pipe.isHeld()) pipe.remove();
  } catch {
    // Then it stays.
  }
  pipe.close();
}

function keyOf({ identity, role }: ServiceDirectory): string {
  return `${identity}/${role}`;
}
