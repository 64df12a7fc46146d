/** The working directory by names that are not UTF-8, and by descriptor, neither of which Node can enter. */
import { check, declare } from './native.ts';
import { terminated } from './strings.ts';

const cChdir = declare('int chdir(void *path)');
const cFchdir = declare('int fchdir(int fd)');

/** Makes a directory the working directory. @throws what chdir(2) reports */
export function enterDirectory(path: Buffer): void {
  check(cChdir(terminated(path)), 'chdir', path.toString());
}

/** Makes an open directory the working directory. @throws what fchdir(2) reports */
export function enterOpenDirectory(fd: number): void {
  check(cFchdir(fd), 'fchdir');
}
