/** What this process has open, so that a check can tell what a plugin has added to it. It changes nothing. */
import { createHook } from 'node:async_hooks';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** What is open: names that a message can show, with how many of each. */
export type OpenThings = ReadonlyMap<string, number>;

/** Every descriptor by number and target, every child process, and what keeps Node's event loop alive. */
export function openThings(): OpenThings {
  const things = new Map<string, number>();
  const add = (name: string): void => void things.set(name, (things.get(name) ?? 0) + 1);
  for (const fd of descriptors()) add(fd);
  for (const pid of children()) add(`process ${pid}`);
  for (const type of process.getActiveResourcesInfo()) add(type);
  return things;
}

/** What is open now and was not before, or is there more often. */
export function addedSince(before: OpenThings): readonly string[] {
  return [...openThings()].filter(([name, count]) => count > (before.get(name) ?? 0)).map(([name]) => name);
}

/** The types of what Node's event loop is given while the body runs: timers, watches, requests, processes. */
export function startedDuring(body: () => void): readonly string[] {
  const types: string[] = [];
  const hook = createHook({
    init(_id, type) {
      if (!['PROMISE', 'TickObject', 'Microtask'].includes(type)) types.push(type);
    },
  });
  hook.enable();
  try {
    body();
  } finally {
    hook.disable();
  }
  return types;
}

/** The paths of all that lies in a directory, ascending; nothing where there is none. */
export function filesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir, { recursive: true, encoding: 'utf8' }).toSorted();
  } catch {
    return [];
  }
}

/** The flags of an open descriptor, as open(2) takes them. */
export function flagsOf(fd: number): number {
  const [, flags = '0'] = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? [];
  return parseInt(flags, 8);
}

function descriptors(): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [`descriptor ${fd} (${readlinkSync(join('/proc/self/fd', fd))})`];
    } catch {
      return []; // the one that the directory was read through
    }
  });
}

function children(): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const stat = readFileSync(join('/proc', pid, 'stat'), 'latin1');
      // The command name in front may hold anything.
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] === String(process.pid);
    } catch {
      return false; // it has ended meanwhile
    }
  });
}
