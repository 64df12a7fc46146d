/** Waits until a new service directory is no longer being filled, so that nothing half-copied is started. */
import type { Closeable, HeldDirectory, Ports } from '../ports.ts';

const QUIET_NS = 200_000_000n;
const LONGEST_NS = 2_000_000_000n;
const LOOK_AGAIN_NS = 50_000_000n;

/** True when nothing has changed in a directory for 200 ms. */
export function isQuiet({ clock, files }: Pick<Ports, 'clock' | 'files'>, held: HeldDirectory): boolean {
  const nowNs = clock.wallNs();
  const agoNs = nowNs - files.lastChangeNs(held, { longAgoNs: nowNs - LONGEST_NS });
  return agoNs >= LONGEST_NS || (agoNs >= QUIET_NS && !isUnfinished(files, held));
}

/** Calls back once, when the directory has been quiet for 200 ms, or after 2 s. */
export function whenQuiet(ports: Pick<Ports, 'clock' | 'files'>, held: HeldDirectory, callback: () => void): Closeable {
  const { clock } = ports;
  const latestNs = clock.monotonicNs() + LONGEST_NS;
  const look = (): void => {
    if (clock.monotonicNs() >= latestNs || isQuiet(ports, held)) callback();
    else timer = clock.wakeAt(clock.monotonicNs() + LOOK_AGAIN_NS, look);
  };
  let timer = clock.wakeAt(clock.monotonicNs() + LOOK_AGAIN_NS, look);
  return { close: () => timer.close() };
}

/** Without `run` there is nothing to start; with the sticky bit, as for daemontools 0.70, a log/ is still to come. */
function isUnfinished(files: Ports['files'], held: HeldDirectory): boolean {
  try {
    if (files.kindOf(held, 'run') === 'nothing') return true;
    return files.isSticky(held) && files.kindOf(held, 'log') === 'nothing';
  } catch {
    return false; // whatever is wrong with it, starting it will tell
  }
}
