/** A directory's processor: what it runs with. Section 8.8 of the behaviour reference. */
import { closeSync, constants, openSync } from 'node:fs';

const { O_CREAT, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = constants;

/** A processor to run: `/bin/sh -c COMMAND` in the log directory, with the files of {@link openProcessorFiles}. */
export interface ProcessorPlan {
  /** The log directory, as the script names it. */
  readonly path: Buffer;
  /** What `sh -c` is given. */
  readonly command: Buffer;
  /** The log directory, open. */
  readonly directoryFd: number;
}

/** Open files of a processor. */
export interface ProcessorFiles {
  /** What the processor has open, as [its descriptor, ours]: 0 `previous`, 1 `processed`, 4 `state`, 5 `newstate`. */
  readonly descriptors: readonly (readonly [target: number, source: number])[];
  /** Closes all of them. To be called once. */
  close(): void;
}

/**
 * Opens what a processor reads and writes.
 * @throws the system's error for the first that cannot be opened
 */
export function openProcessorFiles({ directoryFd }: ProcessorPlan): ProcessorFiles {
  const inside = (name: string): string => `/proc/self/fd/${directoryFd}/${name}`;
  const read = (name: string): number => openSync(inside(name), O_RDONLY | O_NONBLOCK);
  const truncate = (name: string): number => openSync(inside(name), O_WRONLY | O_NONBLOCK | O_TRUNC | O_CREAT, 0o644);
  const descriptors: [target: number, source: number][] = [];
  const close = (): void => {
    for (const [, fd] of descriptors) closeSync(fd);
  };
  try {
    descriptors.push([0, read('previous')]);
    descriptors.push([1, truncate('processed')]);
    descriptors.push([4, read('state')]);
    descriptors.push([5, truncate('newstate')]);
  } catch (error) {
    close();
    throw error;
  }
  return { descriptors, close };
}
