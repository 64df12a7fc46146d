/** Readiness of real descriptors, looked at when a test says so: there is no thread and nothing to close. */
import { isReady } from '@daemontap/posix';
import { FakeReadiness } from '../fake-readiness.ts';

/** Asks poll(2) about what is watched, at every {@link PolledReadiness.look}. */
export class PolledReadiness extends FakeReadiness {
  /** Calls back for each descriptor that can be read now. */
  look(): void {
    // One callback may close what another one watches: then it is not called.
    for (const fd of this.watched) if (this.watched.includes(fd) && isReady('readable', fd)) this.ready(fd);
  }
}
