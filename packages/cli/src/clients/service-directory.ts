/**
 * A service directory as a client sees it. daemontools' clients change into it and use relative paths; here it is held
 * by a descriptor, because Node can change only into directories whose names are UTF-8.
 */
import { closeSync, constants, openSync, statSync } from 'node:fs';

/** A service directory that was found and may be entered. */
export interface ServiceDirectory {
  /** The path of something inside, whatever the directory is called meanwhile. */
  inside(name: string): string;
  close(): void;
}

const O_PATH = 0o10000000; // no permission to read is needed, as none is for chdir(2)

/**
 * Enters a directory.
 * @throws what chdir(2) would
 */
export function enter(directory: Buffer): ServiceDirectory {
  const fd = openSync(directory, O_PATH | constants.O_DIRECTORY);
  const service: ServiceDirectory = {
    inside: (name) => `/proc/self/fd/${fd}/${name}`,
    close() {
      closeSync(fd);
    },
  };
  try {
    statSync(service.inside('.')); // refused when the directory may not be searched
  } catch (error) {
    service.close();
    throw error;
  }
  return service;
}

/**
 * Opens the way back that daemontools' clients take after each directory. It is not needed here, but its absence is
 * theirs to tell.
 * @throws when the current directory may not be read
 */
export function checkCurrentDirectory(): void {
  closeSync(openSync('.', constants.O_RDONLY | constants.O_NONBLOCK));
}
