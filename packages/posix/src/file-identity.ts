/** What a file is known by whatever it is called: its device and inode, as daemontools knows a service directory. */
import { statSync } from 'node:fs';

/** `DEV-INO`, of what a look at the file has told. */
export function identityOf({ dev, ino }: { readonly dev: bigint; readonly ino: bigint }): string {
  return `${dev}-${ino}`;
}

/** `DEV-INO` of the file that a path leads to. @throws what stat(2) reports */
export function fileIdentity(path: string): string {
  return identityOf(statSync(path, { bigint: true }));
}
