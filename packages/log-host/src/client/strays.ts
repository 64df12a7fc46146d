/** Hosts that an earlier kernel has left and nobody needs any more: they are told to finish, and their directories go. */
import { closeSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { connectForPackets, hasCode, sendPacket } from '@daemontap/posix';
import { encode, SOCKET } from '../protocol.ts';

/** Dismisses those in a directory whose names are chosen. */
export function dismissStrays(dir: string, isStray: (name: string) => boolean): void {
  for (const name of readdirSync(dir).filter(isStray)) {
    const path = join(dir, name);
    try {
      const fd = connectForPackets(join(path, SOCKET));
      sendPacket(fd, { bytes: encode({ type: 'leave' }), fds: [] });
      closeSync(fd);
    } catch (error) {
      if (!hasCode(error, 'ENOENT') && !hasCode(error, 'ECONNREFUSED')) continue; // it is busy: the next kernel's
    }
    rmSync(path, { recursive: true, force: true });
  }
}
